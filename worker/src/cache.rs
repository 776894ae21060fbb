//! Answers that were given before, kept as long as a config says and given again to who asks the same.
//!
//! Behaviour: a permit says on whose terms answers are kept. Before anything is admitted the cache is looked into under a key that says who
//! asks, under which versions of which configs, whom, and what (`key`). A hit asks nobody, holds nothing and costs nothing; a miss
//! is recorded as it passes to the caller (`recording`) and kept if it was a whole answer with status 200 that no budget cut short.
//!
//! Two places: this process's memory, bounded in bytes, and Redis where there is one, which all workers share (`shared`). Memory is asked first;
//! what Redis has goes into memory for the rest of its time. Redis is asked for a bounded moment, and not at all while it does not answer.
//!
//! Promises: the decision comes first, so that nobody is given what it would be refused; nothing kept for one project is given to another, and
//! an answer found for somebody else is none; a request without a cache pays for one branch.
//!
//! Leaves out: waiting for another request that asks the same right now. Both ask their provider; the later answer is kept.

mod figures;
mod kept;
mod key;
mod memory;
mod recording;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use llm::request::{Canonical, Head};
use policy::decision::{CacheTerms, Permit, Trace, TraceStep};
use policy::event::CacheOutcome;
use policy::facts::RequestFacts;
use policy::redis::RedisAddress;
use tokio_util::sync::CancellationToken;

use crate::config::CacheLimits;
use crate::exchange::call::Exchange;
use crate::ingress::headers::{CacheWish, CallerHeaders};
use crate::link::Enrolment;
use crate::telemetry::Metrics;
use figures::Figures;
pub(crate) use kept::{Kept, Owner};
use key::Key;
use memory::Memory;
pub(crate) use recording::{Given, Recording};
use shared::Shared;

/// The response cache of a worker.
pub struct Cache {
    memory: Option<Memory>,
    shared: Option<Shared>,
    entry_bytes: usize,
    figures: Figures,
}

impl Cache {
    /// Empty; nothing is shared before `share` runs.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(
        limits: &CacheLimits,
        redis: Option<&RedisAddress>,
        enrolment: &Arc<Enrolment>,
        metrics: &Metrics,
    ) -> Result<Self, prometheus::Error> {
        let figures = Figures::new(metrics.registry())?;
        let memory = (limits.memory_bytes > 0).then(|| Memory::new(limits.memory_bytes, &figures));
        let shared = redis.and_then(|address| Shared::new(address, Arc::clone(enrolment), figures.clone()));
        Ok(Self { memory, shared, entry_bytes: limits.entry_bytes, figures })
    }

    /// Keeps the way to Redis open and sends what is to be shared, until `stop`.
    pub(crate) async fn share(&self, stop: CancellationToken) {
        if let Some(shared) = &self.shared {
            shared.run(&stop).await;
        }
    }

    /// Brings the figures up to date that nobody counts while they happen.
    pub(crate) fn look_around(&self) {
        if let Some(memory) = &self.memory {
            self.figures.holds(memory.size());
        }
    }

    /// What is kept under `key` for `owner`, and where it was.
    async fn find(&self, key: &Key, owner: &Owner, ttl: Duration) -> Option<(Arc<Kept>, &'static str)> {
        if let Some(kept) = self.remembered(key, owner) {
            return Some((kept, MEMORY));
        }
        let kept = self.shared.as_ref()?.find(key, ttl).await?;
        let kept = Arc::new(kept);
        if let Some(memory) = &self.memory {
            memory.insert(*key, Arc::clone(&kept));
        }
        theirs(kept, owner).map(|kept| (kept, "redis"))
    }

    fn remembered(&self, key: &Key, owner: &Owner) -> Option<Arc<Kept>> {
        self.memory.as_ref()?.get(key).and_then(|kept| theirs(kept, owner))
    }

    fn keep(&self, key: Key, kept: Kept) {
        let kept = Arc::new(kept);
        if let Some(memory) = &self.memory {
            memory.insert(key, Arc::clone(&kept));
        }
        if let Some(shared) = &self.shared {
            shared.send(key, kept);
        }
    }
}

const MEMORY: &str = "memory";

/// An answer is given to nobody but who it was kept for, whatever the key says.
fn theirs(kept: Arc<Kept>, owner: &Owner) -> Option<Arc<Kept>> {
    if kept.owner == *owner {
        return Some(kept);
    }
    tracing::error!(org.id = %owner.org, project.id = %owner.project, "an answer that was kept for somebody else was found, and is not given");
    None
}

/// What the cache is asked about.
pub(crate) struct Wish<'r> {
    pub exchange: Exchange<'r>,
    pub body: &'r Bytes,
    pub head: &'r Head<'r>,
    pub headers: &'r CallerHeaders,
    pub facts: &'r RequestFacts,
    pub permit: &'r Permit,
    /// The project refuses to leave out what a provider can't take.
    pub strict: bool,
}

/// What it has to say.
pub(crate) struct Consulted {
    pub outcome: CacheOutcome,
    /// The answer.
    pub kept: Option<Arc<Kept>>,
    /// Where the answer goes that a provider gives.
    pub recording: Option<Box<Recording>>,
}

/// What is done about a request.
enum Plan {
    /// Neither looked for nor kept, and why.
    Pass(&'static str),
    /// Not looked for, but kept.
    Refresh(Key),
    Look(Key),
}

/// Looks for an answer.
pub(crate) async fn consult(wish: &Wish<'_>, terms: &CacheTerms, trace: &mut Trace) -> Consulted {
    let cache = &wish.exchange.context.cache;
    let (owner, ttl) = (wish.owner(), Duration::from_secs(terms.ttl_seconds.into()));
    let record = |key, owner| Some(Box::new(Recording::new(key, owner, ttl, cache.entry_bytes)));
    let (outcome, detail, kept, recording) = match wish.plan(terms) {
        Plan::Pass(why) => (CacheOutcome::Bypass, Some(why), None, None),
        Plan::Refresh(key) => (CacheOutcome::Bypass, Some(NO_CACHE), None, record(key, owner)),
        Plan::Look(key) => match cache.find(&key, &owner, ttl).await {
            Some((kept, place)) => (CacheOutcome::Hit, Some(place), Some(kept), None),
            None => (CacheOutcome::Miss, None, None, record(key, owner)),
        },
    };
    cache.figures.consulted(outcome, detail, kept.as_deref());
    note(trace, terms, outcome, detail);
    Consulted { outcome, kept, recording }
}

/// Notes what would be found, as far as this process knows by itself.
pub(crate) fn foresee(wish: &Wish<'_>, terms: &CacheTerms, trace: &mut Trace) {
    let (outcome, detail) = match wish.plan(terms) {
        Plan::Pass(why) => (CacheOutcome::Bypass, Some(why)),
        Plan::Refresh(_) => (CacheOutcome::Bypass, Some(NO_CACHE)),
        Plan::Look(key) => match wish.exchange.context.cache.remembered(&key, &wish.owner()) {
            Some(_) => (CacheOutcome::Hit, Some(MEMORY)),
            None => (CacheOutcome::Miss, None),
        },
    };
    note(trace, terms, outcome, detail);
}

const NO_CACHE: &str = "no_cache";

fn note(trace: &mut Trace, terms: &CacheTerms, outcome: CacheOutcome, detail: Option<&'static str>) {
    let (config, outcome) = (Arc::clone(&terms.config), outcome.as_str().into());
    trace.push(TraceStep::Cache { config, outcome, detail: detail.map(Into::into) });
}

impl Wish<'_> {
    fn plan(&self, terms: &CacheTerms) -> Plan {
        let (head, wish) = (self.head, self.headers.cache);
        if wish == CacheWish::Unkept || head.extensions.skip_cache {
            return Plan::Pass("no_store");
        }
        // Whose key pays decides whose answer it is.
        if self.headers.provider_key.is_some() {
            return Plan::Pass("provider_key");
        }
        // What the provider keeps changes behind one name, and what its tools find changes with the world.
        if head.provider_state.is_some() {
            return Plan::Pass("provider_state");
        }
        if head.provider_tool.is_some() {
            return Plan::Pass("provider_tool");
        }
        // It was read before, so that it can be read; were it not so, nothing is known of it.
        let Ok(canonical) = Canonical::read(head.dialect, self.body) else { return Plan::Pass("unread") };
        if canonical.background {
            return Plan::Pass("background");
        }
        if !canonical.cold && !head.embeds && !terms.include_sampled {
            return Plan::Pass("sampled");
        }
        let key = Key::of(self, terms, &canonical);
        if wish == CacheWish::Fresh { Plan::Refresh(key) } else { Plan::Look(key) }
    }

    fn owner(&self) -> Owner {
        let (engine, subject) = (&self.exchange.caller.policy.engine, &self.exchange.caller.subject);
        let project = engine.project(subject.project).map(|project| Arc::clone(&project.id)).unwrap_or_default();
        Owner { org: Arc::clone(&engine.bundle().org.id), project }
    }
}
