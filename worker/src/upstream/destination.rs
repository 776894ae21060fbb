//! From a host name to something that can be connected to: resolved asynchronously, cached, and checked address by address.
//!
//! A name is resolved again after [`FRESH`]; while the resolver is down, an older answer serves for [`STALE`]. Literal addresses are never
//! resolved but go through the same cache, because a ready-made peer with its pool key costs more to build than to look up.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora_core::upstreams::peer::{HttpPeer, Peer, PeerOptions};

use super::address::{Zone, zone};
use super::site::Site;
use crate::clock;

const FRESH: Duration = Duration::from_secs(30);
const STALE: Duration = Duration::from_secs(600);
/// Names seen at most; beyond that the cache starts anew. Hosts come from operators, so this is a bound against mistakes.
const NAMES: usize = 4096;

/// One address of a provider with the key under which its idle connections are kept.
#[derive(Clone)]
pub(crate) struct Destination {
    peer: HttpPeer,
    key: u64,
    zone: Zone,
}

impl Destination {
    fn new(address: SocketAddr, site: &Site, connect_timeout: Duration) -> Self {
        let mut peer = HttpPeer::new(address, site.tls, site.host.clone());
        peer.options.connection_timeout = Some(connect_timeout);
        peer.options.total_connection_timeout = Some(connect_timeout.saturating_mul(2));
        if site.tls {
            peer.options.alpn = ALPN::H2H1;
        }
        let key = peer.reuse_hash();
        Self { peer, key, zone: zone(address.ip()) }
    }

    /// The pool key.
    pub(crate) fn key(&self) -> u64 {
        self.key
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.peer.fmt(f)
    }
}

/// The same peer with the pool key computed once.
impl Peer for Destination {
    fn address(&self) -> &PeerAddress {
        self.peer.address()
    }
    fn tls(&self) -> bool {
        self.peer.tls()
    }
    fn sni(&self) -> &str {
        self.peer.sni()
    }
    fn reuse_hash(&self) -> u64 {
        self.key
    }
    fn get_peer_options(&self) -> Option<&PeerOptions> {
        self.peer.get_peer_options()
    }
    fn get_mut_peer_options(&mut self) -> Option<&mut PeerOptions> {
        self.peer.get_mut_peer_options()
    }
}

/// Why a provider has no usable address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// No answer from the resolver.
    #[error("`{host}` can't be resolved")]
    Lookup {
        /// Which name.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// All its addresses are ones that are never connected to.
    #[error("`{host}` is at an address that is not allowed")]
    Forbidden {
        /// Which name.
        host: String,
    },
    /// A TLS connection without a server name would not be verified.
    #[error("`{host}` can't be used as a server name")]
    ServerName {
        /// Which name.
        host: String,
    },
}

type Addresses = Arc<[Arc<Destination>]>;

struct Resolved {
    addresses: Addresses,
    at: Instant,
}

/// The cache.
pub(crate) struct Resolver {
    names: papaya::HashMap<String, Arc<Resolved>>,
    connect_timeout: Duration,
}

impl Resolver {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { names: papaya::HashMap::new(), connect_timeout }
    }

    /// The addresses of `site` that may be connected to, in the resolver's order.
    pub(crate) async fn resolve(&self, site: &Site, deny_private: bool) -> Result<Addresses, ResolveError> {
        let now = clock::instant();
        let known = self.names.pin().get(&site.origin).cloned();
        if let Some(known) = &known
            && now.saturating_duration_since(known.at) < FRESH
        {
            return permitted(&known.addresses, site, deny_private);
        }
        match self.look_up(site).await {
            Ok(addresses) => {
                let names = self.names.pin();
                if names.len() >= NAMES {
                    names.clear();
                }
                names.insert(site.origin.clone(), Arc::new(Resolved { addresses: Arc::clone(&addresses), at: now }));
                drop(names);
                permitted(&addresses, site, deny_private)
            }
            Err(error) => match known {
                Some(known) if now.saturating_duration_since(known.at) < STALE => permitted(&known.addresses, site, deny_private),
                _ => Err(error),
            },
        }
    }

    async fn look_up(&self, site: &Site) -> Result<Addresses, ResolveError> {
        let host = || site.host.clone();
        // An empty name would switch verification off in the TLS connector.
        if site.tls && rustls::pki_types::ServerName::try_from(site.host.as_str()).is_err() {
            return Err(ResolveError::ServerName { host: host() });
        }
        let make = |address| Arc::new(Destination::new(address, site, self.connect_timeout));
        if let Ok(literal) = site.host.parse::<IpAddr>() {
            return Ok(Arc::from([make(SocketAddr::new(literal, site.port))]));
        }
        let lookup = tokio::time::timeout(self.connect_timeout, tokio::net::lookup_host((site.host.as_str(), site.port)));
        let found = match lookup.await {
            Ok(found) => found.map_err(|source| ResolveError::Lookup { host: host(), source })?,
            Err(_) => return Err(ResolveError::Lookup { host: host(), source: std::io::ErrorKind::TimedOut.into() }),
        };
        Ok(found.map(make).collect())
    }
}

fn permitted(addresses: &Addresses, site: &Site, deny_private: bool) -> Result<Addresses, ResolveError> {
    let allowed = |destination: &Arc<Destination>| match destination.zone {
        Zone::Public => true,
        Zone::Private => !deny_private,
        Zone::Forbidden => false,
    };
    if !addresses.is_empty() && addresses.iter().all(allowed) {
        return Ok(Arc::clone(addresses));
    }
    let rest: Addresses = addresses.iter().filter(|destination| allowed(destination)).cloned().collect();
    if rest.is_empty() { Err(ResolveError::Forbidden { host: site.host.clone() }) } else { Ok(rest) }
}
