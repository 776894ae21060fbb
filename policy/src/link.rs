//! The messages of the workers' link (`/internal/v1/…`): JSON both ways but for events, authenticated by the worker token.
//!
//! | call | request | response |
//! | --- | --- | --- |
//! | `POST enrol` | [`Enrol`] | [`Enrolled`] |
//! | `POST feed` | [`FeedQuery`] | [`Feed`]; waits until something changed or `wait_ms` passed |
//! | `GET bundles/{org_id}` | | [`crate::bundle::Envelope`], the newest |
//! | `POST acks` | [`Ack`] | empty |
//! | `POST leases` | [`LeaseCall`] | [`LeaseReply`] |
//! | `POST heartbeat` | [`Heartbeat`] | [`HeartbeatReply`] |
//! | `POST events` | [`crate::event::UsageEvent`]s as [`write_batch`] puts them together | [`Booked`] |
//!
//! Times between the planes are durations where they decide anything, so that clock skew can't stretch a lease.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::event::PeriodRef;
use crate::money::NanoUsd;

/// A worker says hello.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrol {
    /// The id it got last time, kept in its data directory.
    pub worker_id: Option<String>,
    /// A name for people: host and port.
    pub name: String,
    /// Program version.
    pub version: String,
}

/// The control plane takes it in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrolled {
    /// `wrk_…`
    pub worker_id: String,
    /// Counts the starts of this worker; leases of earlier ones are dead once their events are in.
    pub incarnation: u64,
    /// Checks bundle signatures, base 64.
    pub verifying_key: String,
    /// Opens sealed provider secrets; itself sealed with a key derived from the worker token, base 64.
    pub sealed_pool_key: String,
    /// Milliseconds a lease is good for without renewal.
    pub lease_ttl_ms: u64,
    /// Milliseconds an exchange may last at most; leases of a lost worker are held this much longer.
    pub exchange_limit_ms: u64,
}

/// What a worker has, asking for what is newer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FeedQuery {
    /// `wrk_…`
    pub worker_id: String,
    /// Applied revision by organization id.
    pub known: BTreeMap<String, u64>,
    /// How long the answer may be held back, milliseconds.
    pub wait_ms: u64,
}

/// What is newer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Feed {
    /// Newest revision of organizations whose bundle the worker lacks.
    pub changed: BTreeMap<String, u64>,
    /// Organizations that are no more.
    pub gone: Vec<String>,
}

/// The doorbell on the Redis channel [`Doorbell::CHANNEL`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Doorbell {
    /// Whose bundle.
    pub org_id: String,
    /// Newest revision; the bundle is at [`Doorbell::key`].
    pub revision: u64,
}

impl Doorbell {
    /// The Redis channel of doorbells.
    pub const CHANNEL: &'static str = "modelux:bundles";

    /// Where Redis keeps a bundle. The braces keep all bundles of an organization on one node of a cluster.
    #[must_use]
    pub fn key(org_id: &str, revision: u64) -> String {
        format!("modelux:bundle:{{{org_id}}}:{revision}")
    }
}

/// A worker reports that it applied a revision, or why it could not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ack {
    /// `wrk_…`
    pub worker_id: String,
    /// Whose.
    pub org_id: String,
    /// Which.
    pub revision: u64,
    /// Digest of what was applied.
    pub digest: String,
    /// Milliseconds from the bundle's compilation to its use.
    pub lag_ms: u64,
    /// Why it was not applied.
    pub error: Option<String>,
}

/// Leases wanted, all budgets of a request in one call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseCall {
    /// `wrk_…`
    pub worker_id: String,
    /// Of this start.
    pub incarnation: u64,
    /// As in [`Heartbeat::sequence`].
    pub sequence: u64,
    /// What is wanted.
    pub wants: Vec<LeaseWant>,
}

/// One wish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseWant {
    /// Which account.
    pub period: PeriodRef,
    /// At least this much more than the lease holds now; zero only asks how things stand.
    pub need: NanoUsd,
    /// This much more would save a call soon.
    pub like: NanoUsd,
}

/// The answer to [`LeaseCall`], one status for each wish, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseReply {
    /// How things stand after granting.
    pub accounts: Vec<AccountStatus>,
}

/// How one account stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountStatus {
    /// Which account.
    pub period: PeriodRef,
    /// End of the period; absent for `total`.
    pub period_end: Option<DateTime<Utc>>,
    /// The cap in force.
    pub cap: NanoUsd,
    /// Booked in the ledger, all workers.
    pub settled: NanoUsd,
    /// Reserved by other workers, as they last reported.
    pub reserved_elsewhere: NanoUsd,
    /// The worker's lease.
    pub lease_id: Arc<str>,
    /// All that was ever granted to this lease, less what was given back.
    pub granted: NanoUsd,
    /// What the ledger has booked against this lease.
    pub booked: NanoUsd,
    /// Milliseconds it is good for from now on.
    pub ttl_ms: u64,
    /// Another worker is short, or the cap was lowered below what is out: give back what is not reserved.
    pub recall: bool,
    /// Money that other workers have been asked to give back; worth waiting for.
    pub coming: NanoUsd,
}

/// Sent every second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Heartbeat {
    /// `wrk_…`
    pub worker_id: String,
    /// Of this start.
    pub incarnation: u64,
    /// Rises with every heartbeat and lease call of a start. One that comes after a later one is refused: the worker has given up on it,
    /// and what it says of money is no longer true.
    pub sequence: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Applied revision by organization id.
    pub revisions: BTreeMap<String, u64>,
    /// Whether all events of earlier starts have been shipped, so that their leases can be closed.
    pub recovered: bool,
    /// Every account the worker uses.
    pub accounts: Vec<AccountReport>,
    /// How providers stand with the worker, by organization id: all that there is to say, or absent where that was said a moment ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<BTreeMap<String, HealthReport>>,
}

/// How the targets of one organization stand with a worker: those that were asked lately or rest, and the providers it checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// Models that were asked.
    #[serde(default)]
    pub targets: Vec<TargetReport>,
    /// Providers that are checked.
    #[serde(default)]
    pub providers: Vec<ProviderReport>,
}

/// How a circuit breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Requests go through.
    Closed,
    /// One may go through and find out.
    HalfOpen,
    /// Requests take another target.
    Open,
}

/// One model at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// `provider/model`
    pub target: String,
    /// Its breaker.
    pub state: BreakerState,
    /// Good answers of the last five minutes.
    pub successes: u64,
    /// Failures of the last five minutes.
    pub failures: u64,
    /// Median microseconds to the response head of the last successes; absent where there was none.
    pub p50_us: Option<u64>,
    /// How long ago its breaker opened, in milliseconds; absent while it is closed.
    pub opened_ms_ago: Option<u64>,
    /// How long ago something was heard of it last, in milliseconds.
    pub seen_ms_ago: u64,
}

/// One provider that the worker checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderReport {
    /// Its name.
    pub provider: String,
    /// The breaker of all its models.
    pub state: BreakerState,
    /// How long ago that opened, in milliseconds; absent while it is closed.
    pub opened_ms_ago: Option<u64>,
    /// What came of the last check: `ok`, `connect`, `timeout`, `status`, `credential`, `token`.
    pub outcome: String,
    /// How long ago that was, in milliseconds.
    pub checked_ms_ago: u64,
}

/// One account as the worker sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountReport {
    /// Which account.
    pub period: PeriodRef,
    /// The lease; absent while none was ever granted.
    pub lease_id: Option<Arc<str>>,
    /// Held by requests in flight.
    pub reserved: NanoUsd,
    /// Given back with this message.
    pub give_back: NanoUsd,
    /// Nothing is reserved and the account was idle for long: close the lease.
    pub close: bool,
}

/// The answer to [`Heartbeat`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// The control plane does not know this worker or start any more: enrol again.
    pub enrol_again: bool,
    /// Newest revision by organization id, for gap repair.
    pub revisions: BTreeMap<String, u64>,
    /// Accounts reported, in order.
    pub accounts: Vec<AccountStatus>,
    /// Workers alive, this one included; local shares of rate limits are made of it.
    pub workers: u32,
}

/// The answer to a batch of events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Booked {
    /// Booked now.
    pub booked: u32,
    /// Known already.
    pub repeated: u32,
    /// Refused for good, with the reason; kept on the worker's disk under `refused/`.
    pub refused: Vec<RefusedEvent>,
}

/// An event that can't be booked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedEvent {
    /// Its place in the batch, from 0.
    pub place: u32,
    /// Why.
    pub reason: String,
}

/// What a batch of events says of itself, as its `Content-Type`: a sequence of CBOR items (RFC 8742).
pub const BATCH_TYPE: &str = "application/cbor-seq";

/// Puts written events together: each a CBOR byte string, so that one that can't be read keeps nobody from finding the next.
#[must_use]
pub fn write_batch<B: AsRef<[u8]>>(events: &[B]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(events.iter().map(|event| event.as_ref().len().saturating_add(9)).sum());
    for event in events {
        begin_event(&mut batch, event.as_ref().len());
        batch.extend_from_slice(event.as_ref());
    }
    batch
}

/// Makes `batch` ready for an event of `length` bytes, which have to follow.
pub fn begin_event(batch: &mut Vec<u8>, length: usize) {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let written = minicbor::Encoder::new(batch).bytes_len(length).map(drop);
    debug_assert!(written.is_ok(), "writing to memory can't fail");
}

/// The events of a batch, to be read one by one; where the batch itself can't be read any further its last item says so.
pub fn events_in(batch: &[u8]) -> impl Iterator<Item = Result<&[u8], minicbor::decode::Error>> {
    let mut decoder = minicbor::Decoder::new(batch);
    let mut broken = false;
    std::iter::from_fn(move || {
        if broken || decoder.position() >= batch.len() {
            return None;
        }
        let event = decoder.bytes();
        broken = event.is_err();
        Some(event)
    })
}
