//! A Redis of the test's own: it takes 10 ms to start, and may be frozen, killed, or heard through a line that loses messages.

mod cluster;
mod lossy;
mod sentinel;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use cluster::RedisCluster;
pub use lossy::LossyLine;
pub use sentinel::SentinelRedis;

use crate::process::{Process, output};
use crate::scratch::Scratch;
use crate::wait::until;
use crate::wire::free_address;

/// Runs until dropped.
#[derive(Debug)]
pub struct TestRedis {
    address: SocketAddr,
    process: Process,
    directory: Scratch,
}

impl TestRedis {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let directory = Scratch::new("redis");
        let address = free_address();
        let process = start(address, &directory);
        let redis = Self { address, process, directory };
        redis.answers().await;
        redis
    }

    async fn answers(&self) {
        answers(self.address).await;
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes into `MODELUX_REDIS_URL`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Stops it where it is.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, empty, at the same address.
    pub async fn restart(&mut self) {
        self.process = start(self.address, &self.directory);
        self.answers().await;
    }
}

fn start(address: SocketAddr, directory: &Scratch) -> Process {
    start_with(address, directory, &[])
}

fn start_with(address: SocketAddr, directory: &Scratch, more: &[&str]) -> Process {
    let mut command = Command::new("redis-server");
    let port = address.port().to_string();
    command
        .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
        .args(more)
        .arg("--dir")
        .arg(directory.path());
    Process::start("redis", directory.path(), command)
}

async fn answers(address: SocketAddr) {
    until("Redis answers", Duration::from_secs(10), || async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"PING\r\n").await.ok()?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await.ok().filter(|_| &answer == b"+PONG\r\n")
    })
    .await;
}

/// What `redis-cli` prints when it asks the server at `address`.
fn ask(address: SocketAddr, question: &[&str]) -> String {
    let port = address.port().to_string();
    let answer = output("redis-cli", &[&["-h", "127.0.0.1", "-p", &port], question].concat());
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

/// How many listen to the channel of doorbells there.
fn listeners(address: SocketAddr) -> u64 {
    let printed = ask(address, &["PUBSUB", "NUMSUB", policy::link::Doorbell::CHANNEL]);
    printed.lines().last().and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
