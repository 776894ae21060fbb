//! Redis: the channel that says which revision is newest, and the place where the bundle may already be.
//!
//! Nothing is trusted that comes from here: a message only says "look", and a bundle is checked like any other. Every call has a short
//! time limit, so a Redis that hangs costs no more than that before the link is asked instead. After each new connection the feed is
//! asked once, for what was announced in between.

use std::time::Duration;

use futures::StreamExt as _;
use policy::bundle::Envelope;
use policy::link;
use policy::redis::RedisAddress;
use redis::{AsyncCommands as _, RedisError};
use tokio::sync::Mutex;

use super::Policies;
use crate::redis::{Connection, Redis};

const CALL_LIMIT: Duration = Duration::from_millis(250);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A connection that says nothing for this long is asked whether it is alive.
const QUIET: Duration = Duration::from_secs(5);

/// The Redis in use.
pub(super) struct Doorbell {
    redis: Redis,
    store: Mutex<Option<Connection>>,
}

/// Why the channel can't be listened to any more.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("redis says no")]
    Redis(#[from] RedisError),
    #[error("redis does not answer")]
    TimedOut,
    #[error("redis closed the connection")]
    Closed,
}

impl Doorbell {
    /// At `address`; an unusable one is logged and the link's feed followed instead.
    pub(super) fn new(address: &RedisAddress) -> Option<Self> {
        match Redis::new(address) {
            Ok(redis) => Some(Self { redis, store: Mutex::new(None) }),
            Err(error) => {
                tracing::error!(error = %error, "`redis_url` can't be used; following the control plane's feed");
                None
            }
        }
    }

    /// Listens for ever, connecting again whenever that ends.
    pub(super) async fn listen(&self, policies: &Policies) {
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            let ended = self.listen_once(policies).await;
            if policies.follows_redis() {
                pause = FIRST_PAUSE;
                told = false;
            }
            policies.set_doorbell(false);
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(error = %ended, "doorbell is not connected; following the control plane's feed");
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    async fn listen_once(&self, policies: &Policies) -> ListenError {
        match self.hear(policies).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn hear(&self, policies: &Policies) -> Result<std::convert::Infallible, ListenError> {
        let connecting = async {
            let mut subscription = self.redis.listen().await?;
            subscription.subscribe(link::Doorbell::CHANNEL).await?;
            Ok::<_, RedisError>(subscription)
        };
        let subscription = tokio::time::timeout(CONNECT_LIMIT, connecting).await.map_err(|_| ListenError::TimedOut)??;
        let (mut sink, mut messages) = subscription.split();
        policies.set_doorbell(true);
        tracing::info!("doorbell is connected");
        loop {
            match tokio::time::timeout(QUIET, messages.next()).await {
                Ok(Some(message)) => match serde_json::from_slice::<link::Doorbell>(message.get_payload_bytes()) {
                    Ok(rung) => policies.want(&rung.org_id, rung.revision),
                    Err(error) => tracing::warn!(error = %error, "message on the bundle channel can't be read"),
                },
                Ok(None) => return Err(ListenError::Closed),
                Err(_) => {
                    let alive: Result<redis::Value, RedisError> =
                        tokio::time::timeout(CONNECT_LIMIT, sink.ping()).await.map_err(|_| ListenError::TimedOut)?;
                    alive?;
                }
            }
        }
    }

    /// The bundle as Redis keeps it, if it does and answers in time.
    pub(super) async fn bundle(&self, org_id: &str, revision: u64) -> Option<Envelope> {
        let key = link::Doorbell::key(org_id, revision);
        let mut store = self.store.lock().await;
        let read = async {
            if store.is_none() {
                *store = Some(self.redis.connect().await?);
            }
            match store.as_mut() {
                Some(connection) => connection.get::<_, Option<Vec<u8>>>(&key).await,
                None => Ok(None),
            }
        };
        match tokio::time::timeout(CALL_LIMIT, read).await {
            Ok(Ok(bytes)) => serde_json::from_slice(&bytes?).ok(),
            Ok(Err(error)) => {
                tracing::debug!(error = %error, "bundle can't be read from Redis");
                *store = None;
                None
            }
            Err(_) => {
                *store = None;
                None
            }
        }
    }
}
