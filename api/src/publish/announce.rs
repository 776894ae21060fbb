//! Redis as the doorbell: the bundle under its name, then a message that says which is the newest.
//!
//! Promises: nothing waits for Redis longer than [`TIMEOUT`]; a connection on which something failed is made again at the next call,
//! to another master where there was a fail-over. Redis never holds anything that is not in the database too.

use std::sync::Arc;
use std::time::Duration;

use policy::bundle::Envelope;
use policy::link::Doorbell;
use policy::redis::RedisAddress;
use redis::{AsyncCommands as _, RedisError, RedisResult};
use tokio::sync::Mutex;

use super::redis::{Connection, Redis};

/// A worker that comes later than this takes the bundle over the link.
const KEPT_SECONDS: u64 = 86_400;
/// A superseded bundle stays for workers that are fetching it right now.
const SUPERSEDED_SECONDS: i64 = 60;
const TIMEOUT: Duration = Duration::from_secs(1);

/// Why a bundle can't be announced.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The address is not one of Redis.
    #[error("`redis_url` can't be used")]
    Address(#[source] RedisError),
    /// Redis does not answer or refuses.
    #[error("can't announce revision {revision} of `{org_id}` on Redis")]
    Send {
        /// Whose bundle.
        org_id: String,
        /// Which.
        revision: u64,
        /// Why.
        source: RedisError,
    },
    /// The bundle can't be written as JSON.
    #[error("can't encode revision {revision} of `{org_id}` for Redis")]
    Encode {
        /// Whose bundle.
        org_id: String,
        /// Which.
        revision: u64,
        /// Why.
        source: serde_json::Error,
    },
}

/// Tells workers through Redis; cheap to clone.
#[derive(Clone)]
pub struct Announcer {
    redis: Arc<Redis>,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl std::fmt::Debug for Announcer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Announcer")
    }
}

impl Announcer {
    /// Takes the address; connects when there is something to tell.
    ///
    /// # Errors
    /// When the address can't be understood.
    pub fn new(address: &RedisAddress) -> Result<Self, AnnounceError> {
        let redis = Redis::new(address).map_err(AnnounceError::Address)?;
        Ok(Self { redis: Arc::new(redis), connection: Arc::default() })
    }

    /// Puts the bundle there and rings.
    ///
    /// # Errors
    /// When Redis does not answer; the caller tries again later.
    pub async fn announce(&self, envelope: &Envelope) -> Result<(), AnnounceError> {
        let (org_id, revision) = (envelope.org_id.clone(), envelope.revision);
        let encode = |source| AnnounceError::Encode { org_id: org_id.clone(), revision, source };
        let body = serde_json::to_string(envelope).map_err(encode)?;
        let bell = serde_json::to_string(&Doorbell { org_id: org_id.clone(), revision }).map_err(encode)?;
        let mut keep = redis::pipe();
        keep.set_ex(Doorbell::key(&org_id, revision), body, KEPT_SECONDS).ignore();
        keep.expire(Doorbell::key(&org_id, revision.saturating_sub(1)), SUPERSEDED_SECONDS).ignore();
        let sent = tokio::time::timeout(TIMEOUT, self.send(&keep, &bell)).await;
        let sent = sent.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
        sent.map_err(|source| AnnounceError::Send { org_id, revision, source })
    }

    /// Over the connection there is, then over a new one: the server may have gone, or be no master any more.
    async fn send(&self, keep: &redis::Pipeline, bell: &str) -> RedisResult<()> {
        let mut slot = self.connection.lock().await;
        // Out of its slot until everything went well: a call that is given up half way leaves it empty.
        if let Some(mut connection) = slot.take()
            && tell(&mut connection, keep, bell).await.is_ok()
        {
            *slot = Some(connection);
            return Ok(());
        }
        let mut connection = self.redis.connect().await?;
        tell(&mut connection, keep, bell).await?;
        *slot = Some(connection);
        Ok(())
    }
}

/// Two calls: on a cluster the bundle and the channel may belong to different nodes.
async fn tell(connection: &mut Connection, keep: &redis::Pipeline, bell: &str) -> RedisResult<()> {
    keep.query_async::<()>(connection).await?;
    connection.publish(Doorbell::CHANNEL, bell).await
}
