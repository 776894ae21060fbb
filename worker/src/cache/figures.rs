//! What is counted of the cache; only of requests whose config has one.

use policy::event::CacheOutcome;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::kept::Kept;

/// Counters and gauges; a clone is the same ones.
#[derive(Clone)]
pub(super) struct Figures {
    requests: IntCounterVec,
    saved_nano_usd: IntCounter,
    entries: IntGauge,
    bytes: IntGauge,
    evictions: IntCounter,
    redis_connected: IntGauge,
    redis_failures: IntCounterVec,
}

impl Figures {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = Opts::new(
            "modelux_cache_requests_total",
            "Requests whose config has a response cache: hit_memory, hit_redis, miss, or bypass where it was not looked into.",
        );
        let failures = Opts::new(
            "modelux_cache_redis_failures_total",
            "Answers that Redis could not be asked for (read), did not take (write), or for which nobody had time (queue).",
        );
        Ok(Self {
            requests: add(registry, IntCounterVec::new(requests, &["outcome"])?)?,
            saved_nano_usd: add(
                registry,
                IntCounter::new(
                    "modelux_cache_saved_nano_usd_total",
                    "What hits had cost when they were made, in billionths of a dollar.",
                )?,
            )?,
            entries: add(registry, IntGauge::new("modelux_cache_entries", "Answers in memory.")?)?,
            bytes: add(registry, IntGauge::new("modelux_cache_bytes", "Bytes of the answers in memory.")?)?,
            evictions: add(registry, IntCounter::new("modelux_cache_evictions_total", "Answers that gave way to others in memory.")?)?,
            redis_connected: add(registry, IntGauge::new("modelux_cache_redis_connected", "1 while answers are shared through Redis.")?)?,
            redis_failures: add(registry, IntCounterVec::new(failures, &["what"])?)?,
        })
    }

    pub(super) fn consulted(&self, outcome: CacheOutcome, detail: Option<&str>, kept: Option<&Kept>) {
        let word = match (outcome, detail) {
            (CacheOutcome::Hit, Some("redis")) => "hit_redis",
            (CacheOutcome::Hit, _) => "hit_memory",
            (CacheOutcome::Miss, _) => "miss",
            (CacheOutcome::Bypass, _) => "bypass",
        };
        self.requests.with_label_values(&[word]).inc();
        if let Some(kept) = kept {
            self.saved_nano_usd.inc_by(u64::try_from(kept.cost.nanos()).unwrap_or(0));
        }
    }

    pub(super) fn holds(&self, (entries, bytes): (u64, u64)) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn evicted(&self) -> IntCounter {
        self.evictions.clone()
    }

    pub(super) fn connected(&self, connected: bool) {
        self.redis_connected.set(connected.into());
    }

    /// `read`, `write` or `queue`.
    pub(super) fn failed(&self, what: &str) {
        self.redis_failures.with_label_values(&[what]).inc();
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
