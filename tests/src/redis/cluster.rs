//! A Redis cluster: three masters that share the keys.

use std::net::SocketAddr;
use std::time::Duration;

use super::{answers, ask, listeners, start_with};
use crate::process::{Process, output};
use crate::scratch::Scratch;
use crate::wait::until;
use crate::wire::free_address;

/// Runs until dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    address: SocketAddr,
    _process: Process,
    _directory: Scratch,
}

impl RedisCluster {
    /// Starts the nodes and waits until each of them knows who has which keys.
    pub async fn start() -> Self {
        let nodes: Vec<Node> = (0..3).map(|_| Node::start()).collect();
        for node in &nodes {
            answers(node.address).await;
        }
        let addresses: Vec<String> = nodes.iter().map(|node| node.address.to_string()).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.push("--cluster-yes");
        let created = output("redis-cli", &create);
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        until("the cluster is whole", Duration::from_secs(20), || async {
            nodes.iter().all(|node| ask(node.address, &["CLUSTER", "INFO"]).contains("cluster_state:ok")).then_some(())
        })
        .await;
        Self { nodes }
    }

    /// What goes into `MODELUX_REDIS_URL`.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.address.to_string()).collect();
        format!("redis-cluster://{}", addresses.join(","))
    }

    /// How many workers listen for doorbells, on whichever node.
    pub fn listeners(&self) -> u64 {
        self.nodes.iter().map(|node| listeners(node.address)).sum()
    }

    /// How many bundles its nodes keep together.
    pub fn bundles(&self) -> u64 {
        self.nodes.iter().map(|node| ask(node.address, &["DBSIZE"]).trim().parse::<u64>().unwrap_or(0)).sum()
    }
}

impl Node {
    fn start() -> Self {
        let directory = Scratch::new("redis-node");
        let address = free_address();
        let bus = free_address().port().to_string();
        let process = start_with(address, &directory, &["--cluster-enabled", "yes", "--cluster-port", &bus]);
        Self { address, _process: process, _directory: directory }
    }
}
