//! Addresses, and a line to PostgreSQL that counts statements as they pass.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An address of this machine that nothing listens on. Below the range that outgoing connections take their ports from, so that none of
/// them takes it before it is used.
pub fn free_address() -> SocketAddr {
    let start = u64::from(std::process::id()).wrapping_mul(7_919).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(104_729));
    (0..12_000_u64)
        .map(|step| SocketAddr::from(([127, 0, 0, 1], u16::try_from(20_000 + (start + step) % 12_000).expect("a port"))))
        .find(|address| std::net::TcpListener::bind(address).is_ok())
        .expect("a free port")
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Listens until dropped.
#[derive(Debug)]
pub struct StatementCounter {
    address: SocketAddr,
    count: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl StatementCounter {
    /// A line to the server of `url`.
    pub async fn to(url: &str) -> Self {
        let server: SocketAddr = host_of(url).parse().unwrap_or_else(|_| panic!("`{url}` has an address"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let count = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&count);
        let accepting = tokio::spawn(async move {
            while let (Ok((near, _)), Ok(far)) = (listener.accept().await, TcpStream::connect(server).await) {
                near.set_nodelay(true).ok();
                far.set_nodelay(true).ok();
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                tokio::spawn(count_statements(near_read, far_write, Arc::clone(&shared)));
                tokio::spawn(pass(far_read, near_write));
            }
        });
        Self { address, count, accepting }
    }

    /// `url` by way of this line.
    pub fn url(&self, url: &str) -> String {
        url.replacen(host_of(url), &self.address.to_string(), 1)
    }

    /// Statements executed so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for StatementCounter {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// `host:port` of a database address.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    tokio::io::copy(&mut from, &mut to).await.ok();
}

/// Passes what the client says and counts `Execute` and `Query` messages. The first messages (a wish for TLS, which the server declines,
/// and the start) have no type byte.
async fn count_statements(from: OwnedReadHalf, mut to: OwnedWriteHalf, count: Arc<AtomicU64>) {
    let mut from = BufReader::new(from);
    let mut started = false;
    while let Ok((kind, bytes)) = message(&mut from, started).await {
        if !started {
            let code = bytes.get(4..8).map(<[u8]>::to_vec);
            started = code.as_deref() == Some(&196_608_u32.to_be_bytes());
        } else if matches!(kind, b'E' | b'Q') {
            count.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn message(from: &mut BufReader<OwnedReadHalf>, typed: bool) -> std::io::Result<(u8, Vec<u8>)> {
    let kind = if typed { Some(from.read_u8().await?) } else { None };
    let length = from.read_u32().await?;
    let mut bytes: Vec<u8> = kind.into_iter().collect();
    bytes.extend(length.to_be_bytes());
    let start = bytes.len();
    bytes.resize(start + usize::try_from(length).expect("a length").saturating_sub(4), 0);
    from.read_exact(&mut bytes[start..]).await?;
    Ok((kind.unwrap_or(0), bytes))
}

/// A number that no other call has got, in this process or another.
pub fn unique_number() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{number:04}", std::process::id())
}
