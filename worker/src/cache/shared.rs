//! Answers that all workers share through Redis.
//!
//! Behaviour: one connection, over which all requests ask at once. What does not answer within [`LOOK_LIMIT`], or answers with an error,
//! loses the connection, and from then on nobody asks: a missing connection is the open breaker. A task of its own connects again, first after
//! [`FIRST_REST`], each time later up to [`LONGEST_REST`] until a connection has held for [`LONGEST_REST`], and only one that answers as fast
//! as a request wants it to. So a Redis that hangs costs the requests that were asking one moment, and no others.
//!
//! What is to be kept is sent by the same task, one after the other, from a queue of at most [`QUEUE`] answers; beyond that, and while
//! there is no connection, answers are kept in memory only, and counted.
//!
//! What Redis sees: names are HMACs of keys and values are sealed, both under keys that only workers of this deployment can derive (from
//! the pool key). Nobody who reads Redis learns what was asked or answered, and a value that was changed, or put under another name, is none.
//! Its time is Redis's own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use policy::redis::RedisAddress;
use policy::seal;
use redis::{RedisError, RedisResult, Value};
use ring::hmac;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::figures::Figures;
use super::kept::Kept;
use super::key::Key;
use crate::clock;
use crate::link::Enrolment;
use crate::redis::{Connection, Redis};

/// How long a request waits for Redis.
const LOOK_LIMIT: Duration = Duration::from_millis(50);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const SEND_LIMIT: Duration = Duration::from_secs(1);
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(10);
const QUEUE: usize = 64;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ShareError {
    #[error("redis says no")]
    Redis(#[from] RedisError),
    #[error("redis does not answer in time")]
    TimedOut,
    #[error("a request was not answered, or not in time")]
    Lost,
}

/// The way to Redis.
pub(super) struct Shared {
    redis: Redis,
    enrolment: Arc<Enrolment>,
    figures: Figures,
    connection: ArcSwapOption<Connection>,
    /// The connection was lost.
    lost: Notify,
    queue: mpsc::Sender<Parcel>,
    parcels: Mutex<Option<mpsc::Receiver<Parcel>>>,
}

/// An answer on its way to Redis.
struct Parcel {
    key: Key,
    kept: Arc<Kept>,
    since: Instant,
}

impl Shared {
    /// At `address`; an unusable one is logged, and nothing is shared.
    pub(super) fn new(address: &RedisAddress, enrolment: Arc<Enrolment>, figures: Figures) -> Option<Self> {
        let redis =
            Redis::new(address).inspect_err(|error| tracing::error!(%error, "`redis_url` can't be used; no answers are shared")).ok()?;
        let (queue, parcels) = mpsc::channel(QUEUE);
        let (connection, lost) = (ArcSwapOption::empty(), Notify::new());
        Some(Self { redis, enrolment, figures, connection, lost, queue, parcels: Mutex::new(Some(parcels)) })
    }

    /// What is kept under `key`, for what is left of its time, `ttl` at most.
    pub(super) async fn find(&self, key: &Key, ttl: Duration) -> Option<Kept> {
        let connection = self.connection.load_full()?;
        let name = self.name(key)?;
        let mut asking = Connection::clone(&connection);
        let mut question = redis::pipe();
        question.get(&name).pttl(&name);
        let asked = question.query_async::<(Option<Vec<u8>>, i64)>(&mut asking);
        let (sealed, left) = match pingora_timeout::timeout(LOOK_LIMIT, asked).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return self.lose(&connection, &error.into()),
            Err(_) => return self.lose(&connection, &ShareError::TimedOut),
        };
        // No value, or one that somebody gave more time than it has.
        let left = u64::try_from(left).ok().filter(|left| *left > 0)?;
        let opened = seal::open_bytes(&self.value_key(key)?, key.bytes(), &sealed?).ok()?;
        Kept::read(&opened, Duration::from_millis(left).min(ttl))
    }

    /// Hands an answer to the task that sends.
    pub(super) fn send(&self, key: Key, kept: Arc<Kept>) {
        let unsent = self.connection.load().is_none() || self.queue.try_send(Parcel { key, kept, since: clock::instant() }).is_err();
        if unsent {
            self.figures.failed("queue");
        }
    }

    /// Connects, and sends what is handed over, until `stop`.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let Some(mut parcels) = self.parcels.lock().take() else { return };
        let (mut rest, mut told) = (FIRST_REST, false);
        loop {
            let began = clock::instant();
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.hold(&mut parcels, &mut told) => ended,
            };
            self.figures.connected(false);
            let held = clock::instant().saturating_duration_since(began);
            rest = if held >= LONGEST_REST { FIRST_REST } else { rest };
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(error = %ended, "answers are not shared through Redis; each worker keeps its own");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
            rest = rest.saturating_mul(2).min(LONGEST_REST);
        }
    }

    /// Connects and stays connected; why that ended.
    async fn hold(&self, parcels: &mut mpsc::Receiver<Parcel>, told: &mut bool) -> ShareError {
        let connection = match tokio::time::timeout(CONNECT_LIMIT, self.connect()).await {
            Ok(Ok(connection)) => Arc::new(connection),
            Ok(Err(error)) => return error,
            Err(_) => return ShareError::TimedOut,
        };
        self.connection.store(Some(Arc::clone(&connection)));
        self.figures.connected(true);
        *told = false;
        tracing::info!("answers are shared through Redis");
        let lost = async {
            while self.connection.load().is_some() {
                self.lost.notified().await;
            }
            ShareError::Lost
        };
        tokio::select! {
            ended = lost => ended,
            ended = self.send_all(&connection, parcels) => {
                self.connection.store(None);
                ended
            }
        }
    }

    /// One that answers as fast as a request wants it to.
    async fn connect(&self) -> Result<Connection, ShareError> {
        let mut connection = self.redis.connect().await?;
        let ping = redis::cmd("PING");
        let answer: RedisResult<Value> =
            tokio::time::timeout(LOOK_LIMIT, ping.query_async(&mut connection)).await.map_err(|_| ShareError::TimedOut)?;
        answer?;
        Ok(connection)
    }

    async fn send_all(&self, connection: &Connection, parcels: &mut mpsc::Receiver<Parcel>) -> ShareError {
        let mut connection = connection.clone();
        while let Some(parcel) = parcels.recv().await {
            let Some(command) = self.command(&parcel) else { continue };
            let sent: Result<RedisResult<()>, _> = tokio::time::timeout(SEND_LIMIT, command.query_async(&mut connection)).await;
            match sent {
                Ok(Ok(())) => {}
                // Redis is there and does not want it: it may be full.
                Ok(Err(error)) if !error.is_unrecoverable_error() => {
                    self.figures.failed("write");
                    tracing::debug!(%error, "an answer can't be shared");
                }
                Ok(Err(error)) => {
                    self.figures.failed("write");
                    return error.into();
                }
                Err(_) => {
                    self.figures.failed("write");
                    return ShareError::TimedOut;
                }
            }
        }
        ShareError::Lost
    }

    /// What keeps an answer in Redis for what is left of its time; `None` where nothing is.
    fn command(&self, parcel: &Parcel) -> Option<redis::Cmd> {
        let Parcel { key, kept, since } = parcel;
        let left = kept.lasts.checked_sub(clock::instant().saturating_duration_since(*since))?;
        let left = u64::try_from(left.as_millis()).ok().filter(|left| *left > 0)?;
        let sealed = seal::seal_bytes(&self.value_key(key)?, key.bytes(), &kept.write()?).ok()?;
        let mut command = redis::cmd("SET");
        command.arg(self.name(key)?).arg(sealed).arg("PX").arg(left);
        Some(command)
    }

    /// Nobody asks over this connection any more.
    fn lose<T>(&self, connection: &Arc<Connection>, error: &ShareError) -> Option<T> {
        self.figures.failed("read");
        tracing::debug!(%error, "Redis could not be asked for an answer");
        // Another request may have lost it before, and there may be a newer one.
        let current = self.connection.compare_and_swap(connection, None);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
            self.lost.notify_one();
        }
        None
    }

    fn name(&self, key: &Key) -> Option<String> {
        let secret = seal::derive_key(self.enrolment.known()?.pool_key.as_slice(), &[b"cache-name-v1"]);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), key.bytes());
        let mut name = "modelux:cache:".to_owned();
        for byte in tag.as_ref() {
            name.push_str(&format!("{byte:02x}"));
        }
        Some(name)
    }

    /// A key for each answer, so that none is used often.
    fn value_key(&self, key: &Key) -> Option<[u8; seal::KEY_LEN]> {
        Some(seal::derive_key(self.enrolment.known()?.pool_key.as_slice(), &[b"cache-value-v1", key.bytes()]))
    }
}
