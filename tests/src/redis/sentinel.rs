//! A Redis that fails over: a master, a replica, and a sentinel that watches both.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::{answers, ask, listeners, start_with};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::until;
use crate::wire::free_address;

const NAME: &str = "modelux";

/// Runs until dropped.
#[derive(Debug)]
pub struct SentinelRedis {
    sentinel: SocketAddr,
    replica: SocketAddr,
    master: Process,
    // Ended and removed with it.
    _others: [Process; 2],
    _directories: [Scratch; 3],
}

impl SentinelRedis {
    /// Starts the three, and waits until the sentinel knows the replica.
    pub async fn start() -> Self {
        let directories = [Scratch::new("redis-master"), Scratch::new("redis-replica"), Scratch::new("redis-sentinel")];
        let (master, replica, sentinel) = (free_address(), free_address(), free_address());
        let port = master.port().to_string();
        let first = start_with(master, &directories[0], &[]);
        answers(master).await;
        let second = start_with(replica, &directories[1], &["--replicaof", "127.0.0.1", &port]);
        answers(replica).await;
        let watching = watch(sentinel, master, &directories[2]);
        answers(sentinel).await;
        until("the sentinel knows the replica", Duration::from_secs(20), || async {
            let known = ask(sentinel, &["SENTINEL", "replicas", NAME]);
            (known.contains(&replica.port().to_string()) && known.contains("master-link-status\nok")).then_some(())
        })
        .await;
        Self { sentinel, replica, master: first, _others: [second, watching], _directories: directories }
    }

    /// What goes into `MODELUX_REDIS_URL`; the first of the two sentinels in it does not answer.
    pub fn url(&self) -> String {
        format!("redis-sentinel://{},{}/{NAME}", free_address(), self.sentinel)
    }

    /// Kills the master, and waits until the replica has taken its place.
    pub async fn fail_over(&mut self) {
        self.master.kill();
        let replica = self.replica.port().to_string();
        until("the replica is the master", Duration::from_secs(30), || async {
            let named = ask(self.sentinel, &["SENTINEL", "get-master-addr-by-name", NAME]).contains(&replica);
            (named && ask(self.replica, &["ROLE"]).starts_with("master")).then_some(())
        })
        .await;
    }

    /// How many bundles the server that began as the replica keeps.
    pub fn bundles_on_the_replica(&self) -> u64 {
        ask(self.replica, &["DBSIZE"]).trim().parse().unwrap_or(0)
    }

    /// How many workers listen for doorbells on the server that began as the replica.
    pub fn listeners_on_the_replica(&self) -> u64 {
        listeners(self.replica)
    }
}

fn watch(sentinel: SocketAddr, master: SocketAddr, directory: &Scratch) -> Process {
    let file = directory.join("sentinel.conf");
    let settings = format!(
        "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {} 1\nsentinel down-after-milliseconds {NAME} 500\n\
         sentinel failover-timeout {NAME} 5000\n",
        sentinel.port(),
        directory.path().display(),
        master.port(),
    );
    std::fs::write(&file, settings).expect("a file");
    let mut command = Command::new("redis-server");
    command.arg(&file).arg("--sentinel");
    Process::start("sentinel", directory.path(), command)
}
