//! One request from its first byte to its settlement, as a chain of typed stages.
//!
//! Here: what every exchange shares, when and where a request came, and how it can fail. `call` is the chain, `attempts` the walk along a
//! route, `dry_run` what the chain would do, `passthrough` the chain for what is no answer of a model, `permitted` what both have in common.

pub(crate) mod attempts;
pub(crate) mod call;
mod dimensions;
pub(crate) mod dry_run;
pub(crate) mod passthrough;
mod permitted;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};
use llm::dialect::Dialect;
use llm::operation::Verbs;
use pingora_core::protocols::http::ServerSession;
use policy::decision::{Denial, DenialReason, Trace};
use policy::id::{IdKind, id_with_tail};
use smallvec::SmallVec;
use tokio::sync::Semaphore;

use crate::budget::Budgets;
use crate::cache::Cache;
use crate::clock;
use crate::config::Limits;
use crate::enforce::rate::RateLimits;
use crate::health::Health;
use crate::identity::{Origin, Unidentified};
use crate::ingress::ReadFailure;
use crate::link::Enrolment;
use crate::policy_feed::Policies;
use crate::spool::Spool;
use crate::telemetry::{Metrics, Otlp};
use crate::upstream::{Connections, SendError};

/// Answers that are heard to their end at the same time though their callers have left; more are cancelled.
const DRAINS: usize = 256;

/// What all exchanges of a worker share.
pub struct Context {
    /// The bundles in force.
    pub policies: Arc<Policies>,
    /// Money.
    pub budgets: Arc<Budgets>,
    /// Events on their way.
    pub spool: Arc<Spool>,
    /// What upstreams are like.
    pub health: Arc<Health>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Answers that are kept.
    pub cache: Cache,
    /// What a request may take.
    pub limits: Limits,
    /// Who we are to the control plane.
    pub enrolment: Arc<Enrolment>,
    /// Exchanges in progress, for the heartbeat.
    pub in_flight: Arc<AtomicU64>,
    /// Where spans go; absent where nobody collects them.
    pub(crate) otlp: Option<Otlp>,
    pub(crate) connections: Connections,
    pub(crate) rates: RateLimits,
    pub(crate) draining: AtomicBool,
    /// Seats for answers that are heard to their end though their callers have left.
    pub(crate) drains: Semaphore,
}

/// What a context is made of.
pub struct Parts {
    /// The bundles in force.
    pub policies: Arc<Policies>,
    /// Money.
    pub budgets: Arc<Budgets>,
    /// Events on their way.
    pub spool: Arc<Spool>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Answers that are kept.
    pub cache: Cache,
    /// What a request may take.
    pub limits: Limits,
    /// Who we are to the control plane.
    pub enrolment: Arc<Enrolment>,
    /// Exchanges in progress, for the heartbeat.
    pub in_flight: Arc<AtomicU64>,
    /// What upstreams are like, for the heartbeat.
    pub health: Arc<Health>,
    /// Where spans go; absent where nobody collects them.
    pub otlp: Option<Otlp>,
}

impl Context {
    /// Puts the parts together; the rest of the worker's state begins empty.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { policies, budgets, spool, metrics, cache, limits, enrolment, in_flight, health, otlp } = parts;
        let connections = Connections::new(&limits, Arc::clone(&metrics));
        Self {
            policies,
            budgets,
            spool,
            health,
            metrics,
            cache,
            limits,
            enrolment,
            in_flight,
            otlp,
            connections,
            rates: RateLimits::new(),
            draining: AtomicBool::new(false),
            drains: Semaphore::new(DRAINS),
        }
    }

    /// From here on no new request is begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn worker_id(&self) -> Arc<str> {
        self.enrolment.known().map_or_else(Arc::default, |identity| Arc::clone(&identity.worker_id))
    }

    /// How long one exchange may last: our own limit, within what the control plane allows for.
    pub(crate) fn exchange_limit(&self) -> Duration {
        let own = self.limits.exchange_limit;
        self.enrolment.known().map_or(own, |identity| own.min(identity.exchange_limit))
    }

    /// Brings the figures up to date that nobody counts while they happen.
    pub(crate) fn look_around(&self) {
        for policy in self.policies.current().iter() {
            let org = &policy.engine.bundle().org;
            self.metrics.applied(&org.slug, policy.applied_revision);
            self.metrics.breakers(&org.slug, &self.health.of_org(&org.id).breakers());
        }
        self.cache.look_around();
        self.metrics.stands(self.spool.figures(), self.budgets.leaks());
    }

    /// An exchange has begun.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.metrics.begin();
    }

    /// An exchange has ended.
    pub(crate) fn end(&self) {
        self.metrics.end();
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// When, whence and under which id a request came.
pub(crate) struct Arrival {
    pub request_id: Arc<str>,
    tail: u128,
    pub time: DateTime<Utc>,
    pub started: Instant,
    pub peer: IpAddr,
}

impl Arrival {
    pub(crate) fn of(session: &ServerSession) -> Self {
        let peer = session.client_addr().and_then(|address| address.as_inet()).map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
        let time = clock::now();
        let tail = id_tail(time);
        let request_id = Arc::from(id_with_tail(IdKind::Request, tail));
        Self { request_id, tail, time, started: clock::instant(), peer: peer.to_canonical() }
    }

    /// The id of the event: the request's, but for its prefix.
    pub(crate) fn event_id(&self) -> Arc<str> {
        Arc::from(id_with_tail(IdKind::UsageEvent, self.tail))
    }

    /// The random half of the id, so that a decision can be made again from the request id that was logged.
    fn draw(&self) -> u64 {
        u64::try_from(self.tail & u128::from(u64::MAX)).unwrap_or(0)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin { time: self.time, peer: self.peer, draw: self.draw() }
    }
}

/// A `UUIDv7` of this instant, its sub-millisecond part included. From the thread's own generator: a system call for each request would cost
/// more than all decisions about it.
fn id_tail(now: DateTime<Utc>) -> u128 {
    let millis = u128::try_from(now.timestamp_millis()).unwrap_or(0) & 0xffff_ffff_ffff;
    let fraction = u128::from(now.timestamp_subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let random = u128::from(rand::random::<u64>() >> 2);
    (millis << 80) | (7 << 76) | (fraction << 64) | (2 << 62) | random
}

/// Why an exchange does not end with a provider's answer. `respond` gives each its words and its status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request can't be read.
    Read(ReadFailure),
    /// Nobody is known to call.
    Unidentified(Unidentified),
    /// The engine, a budget or the rate says no.
    Denied {
        /// What kind of no.
        reason: DenialReason,
        /// The engine's words; empty where the reason says it all.
        message: String,
    },
    /// The last attempt had no answer.
    Upstream {
        /// `provider/model`
        target: Arc<str>,
        /// What happened.
        error: SendError,
    },
    /// The last attempt answered with a failure.
    UpstreamStatus {
        /// `provider/model`
        target: Arc<str>,
        /// Its status.
        status: u16,
        /// What to pass on, where a refusal is passed on.
        reply: Option<Box<RefusedReply>>,
    },
    /// The answer broke off before anything of it was passed on.
    Cut {
        /// `provider/model`
        target: Arc<str>,
    },
    /// The answer can't be read in its provider's dialect.
    Unreadable {
        /// `provider/model`
        target: Arc<str>,
    },
    /// The answer is too large to be kept.
    ReplyTooLarge {
        /// `provider/model`
        target: Arc<str>,
    },
    /// Fewer members of an ensemble gave an answer that can be used than have to.
    Undecided {
        /// `@slug`
        config: Arc<str>,
        /// How many did.
        usable: usize,
        /// How many have to.
        quorum: usize,
    },
    /// Vectors of another length are asked for than the config gives that leads to them.
    OtherDimensions {
        /// What the caller calls the length.
        member: &'static str,
        /// The caller's.
        asked: u32,
        /// `@slug`
        config: String,
        /// The config's.
        number: u32,
    },
    /// The exchange took too long.
    Deadline,
    /// The event has no room.
    CantLog,
    /// No new requests.
    ShuttingDown,
    /// The caller went away.
    Gone,
    /// Nothing at this path.
    UnknownRoute,
    /// Another method.
    WrongMethod(Verbs),
    /// `GET /v1/models/{id}` of something that is not there.
    UnknownModelId(String),
    /// A bug.
    Bug,
}

/// A provider's refusal of the request itself, as it came.
#[derive(Debug)]
pub(crate) struct RefusedReply {
    pub spoken: Dialect,
    pub content_type: Option<HeaderValue>,
    pub passed: SmallVec<[(HeaderName, HeaderValue); 4]>,
    pub body: Bytes,
}

impl Failure {
    pub(crate) fn denied(denial: Denial) -> (Self, Trace) {
        let Denial { reason, message, trace } = denial;
        (Self::Denied { reason, message }, trace)
    }

    /// The target of the last attempt.
    pub(crate) fn target(&self) -> Option<&str> {
        match self {
            Self::Upstream { target, .. }
            | Self::UpstreamStatus { target, .. }
            | Self::Cut { target }
            | Self::Unreadable { target }
            | Self::ReplyTooLarge { target } => Some(target),
            _ => None,
        }
    }
}

impl From<ReadFailure> for Failure {
    fn from(failure: ReadFailure) -> Self {
        Self::Read(failure)
    }
}
