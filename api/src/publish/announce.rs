//! Redis as the doorbell: the bundle under its name, then a message that says which is the newest.
//!
//! Promises: nothing waits for Redis longer than [`TIMEOUT`]; a connection that broke is made again at the next call. Redis never
//! holds anything that is not in the database too.

use std::time::Duration;

use policy::bundle::Envelope;
use policy::link::Doorbell;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

/// The channel of doorbells.
const CHANNEL: &str = "modelux:bundles";
/// A worker that comes later than this takes the bundle over the link.
const KEPT_SECONDS: u64 = 86_400;
/// A superseded bundle stays for workers that are fetching it right now.
const SUPERSEDED_SECONDS: i64 = 60;
const TIMEOUT: Duration = Duration::from_secs(1);

/// Why a bundle can't be announced.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The address is not one of Redis.
    #[error("the Redis address can't be used")]
    Address(#[source] redis::RedisError),
    /// Redis does not answer or refuses.
    #[error("can't announce revision {revision} of `{org_id}` on Redis")]
    Send {
        /// Whose bundle.
        org_id: String,
        /// Which.
        revision: u64,
        /// Why.
        source: redis::RedisError,
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

/// Tells workers through Redis.
#[derive(Clone)]
pub struct Announcer {
    connection: ConnectionManager,
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
    pub fn new(url: &str) -> Result<Self, AnnounceError> {
        let client = redis::Client::open(url).map_err(AnnounceError::Address)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(AnnounceError::Address)?;
        Ok(Self { connection })
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
        let mut pipe = redis::pipe();
        pipe.set_ex(key(&org_id, revision), body, KEPT_SECONDS).ignore();
        pipe.expire(key(&org_id, revision.saturating_sub(1)), SUPERSEDED_SECONDS).ignore();
        pipe.publish(CHANNEL, bell).ignore();
        let mut connection = self.connection.clone();
        let sent: redis::RedisResult<()> = pipe.query_async(&mut connection).await;
        sent.map_err(|source| AnnounceError::Send { org_id, revision, source })
    }
}

fn key(org_id: &str, revision: u64) -> String {
    format!("modelux:bundle:{org_id}:{revision}")
}
