//! Live health of upstreams, as this worker measured it: what rules see as `health["provider/model"]`.
//!
//! Behaviour: `.p50_ms` is the median time to the response head of the last `SAMPLES` successes. `.ok` turns false after
//! `FAILURES` failures in a row and true again with the first success, or `REST` after the last failure, so that somebody tries again.
//! Cold start: nothing measured is healthy with a median of 0. Refusals of a request by the provider (4xx but 429) are no failures.
//!
//! Leaves out: taking traffic away by itself; that is a rule's or a fallback's business.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use policy::facts::{HealthFacts, HealthView};

use crate::clock;

const SAMPLES: usize = 32;
const FAILURES: u32 = 5;
const REST: Duration = Duration::from_secs(15);

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
    failures: AtomicU32,
    failed_at_ms: AtomicU64,
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
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl OrgHealth {
    /// `target` answered after `took`.
    pub(crate) fn succeeded(&self, target: &str, took: Duration) {
        let targets = self.targets.pin();
        let health = match targets.get(target) {
            Some(health) => health,
            None => targets.get_or_insert_with(target.to_owned(), Arc::default),
        };
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let at = usize::try_from(health.next.fetch_add(1, Ordering::Relaxed)).unwrap_or(0) % SAMPLES;
        if let Some(slot) = health.samples.get(at) {
            slot.store(micros, Ordering::Relaxed);
        }
        if health.failures.load(Ordering::Relaxed) != 0 {
            health.failures.store(0, Ordering::Relaxed);
        }
    }

    /// `target` did not answer, or with a failure of its own.
    pub(crate) fn failed(&self, target: &str) {
        let targets = self.targets.pin();
        let health = targets.get_or_insert_with(target.to_owned(), Arc::default);
        health.failures.fetch_add(1, Ordering::Relaxed);
        health.failed_at_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(clock::instant().saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

impl HealthView for OrgHealth {
    fn health(&self, target: &str) -> Option<HealthFacts> {
        let targets = self.targets.pin();
        let health = targets.get(target)?;
        let resting = self.now_ms().saturating_sub(health.failed_at_ms.load(Ordering::Relaxed)) < millis(REST);
        let ok = health.failures.load(Ordering::Relaxed) < FAILURES || !resting;
        Some(HealthFacts { p50_ms: health.median_ms(), ok })
    }
}

impl TargetHealth {
    fn median_ms(&self) -> f64 {
        let mut samples: Vec<u32> = self.samples.iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|micros| *micros > 0).collect();
        samples.sort_unstable();
        samples.get(samples.len() / 2).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_fails_after_five_failures_in_a_row_and_recovers_with_one_success() {
        let health = Health::new().of_org("org_1");
        assert_eq!(health.health("openai/gpt"), None);
        for _ in 0..4 {
            health.failed("openai/gpt");
        }
        assert!(health.health("openai/gpt").is_some_and(|facts| facts.ok));
        health.failed("openai/gpt");
        assert!(health.health("openai/gpt").is_some_and(|facts| !facts.ok));
        health.succeeded("openai/gpt", Duration::from_millis(7));
        assert_eq!(health.health("openai/gpt"), Some(HealthFacts { p50_ms: 7.0, ok: true }));
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
