//! Connections to Redis, whichever kind it is: one to ask, one to listen on.
//!
//! Promises: connecting to a service asks its sentinels for the master of this moment, so a connection made after a fail-over goes to
//! the new one. A cluster passes a message on to all of its nodes, so it is listened to on the first node that answers. Leaves out:
//! connecting again; whoever finds that a connection broke drops it and asks for another.

use policy::redis::RedisAddress;
use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{Client, Cmd, ConnectionAddr, IntoConnectionInfo as _, Pipeline, RedisFuture, RedisResult, TlsMode, Value};
use tokio::sync::Mutex;

/// A way to Redis.
pub(crate) enum Redis {
    Server(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster { all: Box<ClusterClient>, nodes: Vec<Client> },
}

impl Redis {
    /// Connects to nothing yet.
    pub(crate) fn new(address: &RedisAddress) -> RedisResult<Self> {
        match address {
            RedisAddress::Server(url) => Ok(Self::Server(Box::new(Client::open(url.as_str())?))),
            RedisAddress::Sentinel { sentinels, service, like } => {
                let like = like.as_str().into_connection_info()?;
                let mut server = SentinelNodeConnectionInfo::default().set_redis_connection_info(like.redis_settings().clone());
                if matches!(like.addr(), ConnectionAddr::TcpTls { .. }) {
                    server = server.set_tls_mode(TlsMode::Secure);
                }
                let sentinels = sentinels.iter().map(String::as_str).collect();
                let client = SentinelClient::build(sentinels, service, Some(server), SentinelServerType::Master)?;
                Ok(Self::Sentinel(Box::new(Mutex::new(client))))
            }
            RedisAddress::Cluster(nodes) => {
                let all = ClusterClient::new(nodes.iter().map(String::as_str))?;
                let nodes = nodes.iter().map(|node| Client::open(node.as_str())).collect::<RedisResult<_>>()?;
                Ok(Self::Cluster { all: Box::new(all), nodes })
            }
        }
    }

    /// For asking.
    pub(crate) async fn connect(&self) -> RedisResult<Connection> {
        Ok(match self {
            Self::Server(client) => Connection::Server(client.get_multiplexed_async_connection().await?),
            Self::Sentinel(client) => Connection::Server(client.lock().await.get_async_connection().await?),
            Self::Cluster { all, .. } => Connection::Cluster(all.get_async_connection().await?),
        })
    }

    /// For listening.
    pub(crate) async fn listen(&self) -> RedisResult<PubSub> {
        match self {
            Self::Server(client) => client.get_async_pubsub().await,
            Self::Sentinel(client) => {
                let master = client.lock().await.async_get_client().await?;
                master.get_async_pubsub().await
            }
            Self::Cluster { nodes, .. } => first_to_answer(nodes).await,
        }
    }
}

async fn first_to_answer(nodes: &[Client]) -> RedisResult<PubSub> {
    let asked = nodes.iter().map(|node| Box::pin(node.get_async_pubsub()));
    Ok(futures::future::select_ok(asked).await?.0)
}

/// To one server, or to all of a cluster. A clone is the same connection, over which several can ask at once.
#[derive(Clone)]
pub(crate) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
