//! Live health of upstreams, as this worker measured it: what rules see as `health["provider/model"]`, what strategies put in order by, and
//! which targets are passed over.
//!
//! Behaviour: `.p50_ms` is the median time to the response head of the last `SAMPLES` successes. `.ok` is false while the target's circuit
//! breaker is open; half-open counts as ok until a probe is on its way, so that a rule that asks for `.ok` lets one try again.
//! Cold start: nothing measured is healthy with a median of 0. What has not succeeded for `FRESH_MS` is stale: the median stays,
//! but `latency_optimized` measures it anew.
//!
//! Leaves out: health checks of our own, what other workers see, and anything about targets beyond the first `MOST_TARGETS` of an
//! organization (a caller can make names up), which are healthy and unmeasured.

mod breaker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use policy::facts::{HealthFacts, HealthView};

pub(crate) use breaker::Standing;
use breaker::{Breaker, Change};

use crate::clock;

const SAMPLES: usize = 32;
/// Five minutes, in milliseconds.
const FRESH_MS: u64 = 300_000;
const MOST_TARGETS: usize = 10_000;

/// Health of all targets of all organizations.
pub struct Health {
    orgs: papaya::HashMap<String, Arc<OrgHealth>>,
    epoch: Instant,
}

/// Health of one organization's targets by `provider/model`.
pub struct OrgHealth {
    targets: papaya::HashMap<String, Arc<TargetHealth>>,
    epoch: Instant,
}

/// One target. Samples are microseconds, 0 is none; a torn update loses a sample, nothing else.
#[derive(Default)]
struct TargetHealth {
    samples: [AtomicU32; SAMPLES],
    next: AtomicU32,
    succeeded_at_ms: AtomicU64,
    /// How often its breaker has opened.
    openings: AtomicU64,
    breaker: Breaker,
}

/// A breaker that has opened at least once, for the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BreakerFigures {
    pub target: String,
    pub standing: Standing,
    pub openings: u64,
}

impl Health {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        Self { orgs: papaya::HashMap::new(), epoch: clock::instant() }
    }

    /// The part that `org_id` sees.
    pub fn of_org(&self, org_id: &str) -> Arc<OrgHealth> {
        let orgs = self.orgs.pin();
        if let Some(known) = orgs.get(org_id) {
            return Arc::clone(known);
        }
        let fresh = Arc::new(OrgHealth { targets: papaya::HashMap::new(), epoch: self.epoch });
        Arc::clone(orgs.get_or_insert(org_id.to_owned(), fresh))
    }

    /// A health that is forgotten with its request: for requests that tell nothing of how well and how fast a target answers others.
    pub(crate) fn of_nobody(&self) -> Arc<OrgHealth> {
        Arc::new(OrgHealth { targets: papaya::HashMap::new(), epoch: self.epoch })
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl OrgHealth {
    /// What the breaker of `target` makes of a request that will go there unless it is open. Half-open: the request is the probe.
    pub(crate) fn enter(&self, target: &str) -> Standing {
        self.targets.pin().get(target).map_or(Standing::Closed, |health| health.breaker.enter(self.now_ms()))
    }

    /// How the breaker of `target` stands, for whoever would ask it only where nothing is wrong with it.
    pub(crate) fn standing(&self, target: &str) -> Standing {
        self.targets.pin().get(target).map_or(Standing::Closed, |health| health.breaker.standing(self.now_ms()))
    }

    /// `target` answered; its head came after `took`.
    pub(crate) fn succeeded(&self, target: &str, took: Duration) {
        self.of(target, |health| {
            let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
            let at = usize::try_from(health.next.fetch_add(1, Ordering::Relaxed)).unwrap_or(0) % SAMPLES;
            if let Some(slot) = health.samples.get(at) {
                slot.store(micros, Ordering::Relaxed);
            }
            health.succeeded_at_ms.store(self.now_ms(), Ordering::Relaxed);
            if health.breaker.succeeded() == Change::Recovered {
                tracing::info!(target.name = %target, "a target has recovered");
            }
        });
    }

    /// `target` did not answer, or with a failure of its own.
    pub(crate) fn failed(&self, target: &str) {
        self.of(target, |health| {
            if health.breaker.failed(self.now_ms()) == Change::Opened {
                health.openings.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(target.name = %target, "a target fails again and again; it rests");
            }
        });
    }

    /// Every breaker that has ever opened.
    pub(crate) fn breakers(&self) -> Vec<BreakerFigures> {
        let now = self.now_ms();
        let figures = |(target, health): (&String, &Arc<TargetHealth>)| {
            let openings = health.openings.load(Ordering::Relaxed);
            (openings > 0).then(|| BreakerFigures { target: target.clone(), standing: health.breaker.standing(now), openings })
        };
        self.targets.pin().iter().filter_map(figures).collect()
    }

    fn of(&self, target: &str, then: impl FnOnce(&TargetHealth)) {
        let targets = self.targets.pin();
        match targets.get(target) {
            Some(health) => then(health),
            None if targets.len() < MOST_TARGETS => then(targets.get_or_insert_with(target.to_owned(), Arc::default)),
            None => {}
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(clock::instant().saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

impl HealthView for OrgHealth {
    fn health(&self, target: &str) -> Option<HealthFacts> {
        let targets = self.targets.pin();
        let health = targets.get(target)?;
        let now = self.now_ms();
        let ok = health.breaker.standing(now) != Standing::Open;
        let stale = now.saturating_sub(health.succeeded_at_ms.load(Ordering::Relaxed)) > FRESH_MS;
        Some(HealthFacts { p50_ms: health.median_ms(), ok, stale })
    }
}

impl TargetHealth {
    fn median_ms(&self) -> f64 {
        let mut samples = [0_u32; SAMPLES];
        let mut count = 0;
        for micros in self.samples.iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|micros| *micros > 0) {
            if let Some(slot) = samples.get_mut(count) {
                *slot = micros;
                count += 1;
            }
        }
        let measured = samples.get_mut(..count).unwrap_or_default();
        measured.sort_unstable();
        measured.get(count / 2).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_not_ok_after_five_failures_in_a_row_and_ok_again_with_one_success() {
        let health = Health::new().of_org("org_1");
        assert_eq!(health.health("openai/gpt"), None);
        for _ in 0..4 {
            health.failed("openai/gpt");
        }
        assert!(health.health("openai/gpt").is_some_and(|facts| facts.ok));
        assert_eq!(health.breakers(), []);
        health.failed("openai/gpt");
        assert!(health.health("openai/gpt").is_some_and(|facts| !facts.ok));
        assert_eq!(health.enter("openai/gpt"), Standing::Open);
        health.succeeded("openai/gpt", Duration::from_millis(7));
        assert_eq!(health.health("openai/gpt"), Some(HealthFacts { p50_ms: 7.0, ok: true, stale: false }));
        let figures = BreakerFigures { target: "openai/gpt".to_owned(), standing: Standing::Closed, openings: 1 };
        assert_eq!(health.breakers(), [figures]);
    }

    #[test]
    fn an_organization_knows_nothing_of_the_targets_of_another() {
        let health = Health::new();
        (0..5).for_each(|_| health.of_org("org_1").failed("openai/gpt"));
        assert_eq!(health.of_org("org_1").enter("openai/gpt"), Standing::Open);
        assert_eq!(health.of_org("org_2").enter("openai/gpt"), Standing::Closed);
    }

    #[test]
    fn the_median_is_of_the_latest_samples() {
        let health = Health::new().of_org("org_1");
        for ms in 1..=100 {
            health.succeeded("a/b", Duration::from_millis(ms));
        }
        assert_eq!(health.health("a/b").map(|facts| facts.p50_ms), Some(85.0));
    }
}
