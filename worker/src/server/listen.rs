//! Ports: taken before anything else starts, so that a port that is in use is an error and not a panic, and port 0 is known by its number.
//!
//! Pingora binds for itself. Until it has, the port is held by a socket that is bound and does not listen: with `SO_REUSEPORT` on both,
//! Pingora can bind beside it, nobody of another user can, and connections only ever reach the one that listens.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use super::{Bound, RunError};
use crate::clock;

/// A port that is ours.
pub(super) struct Claimed {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl Claimed {
    /// Takes `address`; port 0 takes a free one.
    pub(super) fn claim(address: SocketAddr) -> Result<Self, RunError> {
        let listen = |source: io::Error| RunError::Listen { address, source };
        if address.port() != 0 {
            // Without `SO_REUSEPORT`: another worker on this port is a mistake, not a partner.
            drop(std::net::TcpListener::bind(address).map_err(listen)?);
        }
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(listen)?;
        socket.set_reuseaddr(true).map_err(listen)?;
        socket.set_reuseport(true).map_err(listen)?;
        socket.bind(address).map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        Ok(Self { _socket: socket, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Waits until every listener accepts.
pub(super) async fn wait_until_accepting(bound: Bound, limit: Duration) -> Result<(), RunError> {
    let deadline = clock::instant() + limit;
    for address in std::iter::once(bound.proxy).chain(bound.admin) {
        let reachable = reachable(address);
        loop {
            match TcpStream::connect(reachable).await {
                Ok(_) => break,
                Err(source) if clock::instant() >= deadline => return Err(RunError::Listen { address, source }),
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }
    Ok(())
}

/// Where a listener on all addresses is reached from here.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    }
}
