//! A line to Redis on which published messages get lost: everything else passes as it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Listens until dropped.
#[derive(Debug)]
pub struct LossyLine {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    seen: AtomicU64,
    lost: AtomicU64,
}

impl LossyLine {
    /// A line to `redis` that loses the messages whose number (from 1) `loses` says.
    pub async fn to(redis: SocketAddr, loses: fn(u64) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let accepting = tokio::spawn(async move {
            while let (Ok((near, _)), Ok(far)) = (listener.accept().await, TcpStream::connect(redis).await) {
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                tokio::spawn(pass_all(near_read, far_write));
                tokio::spawn(pass_some(far_read, near_write, Arc::clone(&shared), loses));
            }
        });
        Self { address, counts, accepting }
    }

    /// What goes into `MODELUX_REDIS_URL`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// How many messages were lost so far.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }
}

impl Drop for LossyLine {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass_all(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    tokio::io::copy(&mut from, &mut to).await.ok();
}

async fn pass_some(from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: Arc<Counts>, loses: fn(u64) -> bool) {
    let mut from = BufReader::new(from);
    while let Ok(value) = read_value(&mut from).await {
        if is_message(&value) {
            let number = counts.seen.fetch_add(1, Ordering::Relaxed) + 1;
            if loses(number) {
                counts.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
        }
        if to.write_all(&value).await.is_err() {
            return;
        }
    }
}

fn is_message(value: &[u8]) -> bool {
    value.starts_with(b"*3\r\n$7\r\nmessage\r\n") || value.starts_with(b">3\r\n$7\r\nmessage\r\n")
}

/// One value of the Redis protocol with everything in it, as bytes.
async fn read_value(from: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut wanted = 1_u64;
    while wanted > 0 {
        wanted -= 1;
        let start = bytes.len();
        if from.read_until(b'\n', &mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&bytes[start..]).trim_end().to_owned();
        let (kind, count) = line.split_at(1);
        let count = count.parse::<i64>().ok().and_then(|count| u64::try_from(count).ok());
        match (kind, count) {
            ("*" | "~" | ">", Some(count)) => wanted += count,
            ("%", Some(count)) => wanted += 2 * count,
            ("$" | "=" | "!", Some(length)) => {
                let mut text = vec![0; usize::try_from(length).expect("a length") + 2];
                from.read_exact(&mut text).await?;
                bytes.extend(text);
            }
            _ => {}
        }
    }
    Ok(bytes)
}
