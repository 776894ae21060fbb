//! Live health of upstreams, as this worker measured it: what rules see as `health["provider/model"]`, what strategies put in order by, and
//! which targets are passed over.
//!
//! Behaviour: `.p50_ms` is the median time to the response head of the last 32 successes. `.ok` is false while the target's circuit
//! breaker is open, or the one in front of all models of its provider, where that is checked; half-open counts as ok until a probe is on its
//! way, so that a rule that asks for `.ok` lets one try again.
//! Cold start: nothing measured is healthy with a median of 0. What has not succeeded for `FRESH_MS` is stale: the median stays,
//! but `latency_optimized` measures it anew.
//!
//! Leaves out: what other workers see, and anything about targets beyond the first `MOST_TARGETS` of an
//! organization (a caller can make names up), which are healthy and unmeasured.

mod breaker;
mod checks;
mod provider;
mod recent;
mod report;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use policy::facts::{HealthFacts, HealthView};

use breaker::Change;
pub(crate) use breaker::Standing;
pub(crate) use checks::Checker;
use provider::ProviderHealth;
use target::{Rest, TargetHealth};

use crate::clock;
use crate::exchange::attempts::First;

/// Five minutes, in milliseconds.
const FRESH_MS: u64 = 300_000;
const MOST_TARGETS: usize = 10_000;

/// Health of all targets of all organizations.
pub struct Health {
    orgs: papaya::HashMap<String, Arc<OrgHealth>>,
    epoch: Instant,
    /// Counts changes of breakers, so that they are told at once.
    changes: Arc<AtomicU64>,
}

/// Health of one organization's targets by `provider/model`, and of those of its providers that are checked by name.
pub struct OrgHealth {
    targets: papaya::HashMap<String, Arc<TargetHealth>>,
    providers: papaya::HashMap<String, Arc<ProviderHealth>>,
    epoch: Instant,
    changes: Arc<AtomicU64>,
}

/// A breaker that has opened at least once, for the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BreakerFigures {
    /// `provider/model`, or `provider/*` for the one in front of all its models.
    pub target: String,
    pub standing: Standing,
    pub openings: u64,
}

impl Health {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        Self { orgs: papaya::HashMap::new(), epoch: clock::instant(), changes: Arc::default() }
    }

    /// The part that `org_id` sees.
    pub fn of_org(&self, org_id: &str) -> Arc<OrgHealth> {
        let orgs = self.orgs.pin();
        if let Some(known) = orgs.get(org_id) {
            return Arc::clone(known);
        }
        Arc::clone(orgs.get_or_insert(org_id.to_owned(), self.of_nobody()))
    }

    /// A health that is forgotten with its request: for requests that tell nothing of how well and how fast a target answers others.
    pub(crate) fn of_nobody(&self) -> Arc<OrgHealth> {
        let (targets, providers) = (papaya::HashMap::new(), papaya::HashMap::new());
        Arc::new(OrgHealth { targets, providers, epoch: self.epoch, changes: Arc::clone(&self.changes) })
    }

    /// How often a breaker has opened, may be tried after a check, or has closed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl OrgHealth {
    /// What the breakers of `target` and its provider make of a request that will go there unless one is open. Half-open: the request is
    /// the probe.
    pub(crate) fn enter(&self, target: &str) -> Standing {
        let targets = self.targets.pin();
        let own = targets.get(target).map(|health| &health.rest);
        if self.providers.is_empty() {
            return own.map_or(Standing::Closed, |rest| rest.breaker.enter(self.now_ms()));
        }
        let (now, providers) = (self.now_ms(), self.providers.pin());
        let shared = providers.get(provider_of(target)).map(|health| &health.rest);
        let both = || own.into_iter().chain(shared);
        // Who is to be passed over for one of them is no probe of the other.
        if both().any(|rest| rest.breaker.standing(now) == Standing::Open) {
            return Standing::Open;
        }
        worst(both().map(|rest| rest.breaker.enter(now)))
    }

    /// How `target` stands, for whoever would ask it only where nothing is wrong with it.
    pub(crate) fn standing(&self, target: &str) -> Standing {
        let (targets, now) = (self.targets.pin(), self.now_ms());
        let own = targets.get(target).map(|health| health.rest.breaker.standing(now));
        worst(own.into_iter().chain([self.standing_of_provider(target, now)]))
    }

    /// Why `target` is passed over, in a word for the trace: it failed, or its provider fails its checks.
    pub(crate) fn rests_by(&self, target: &str) -> &'static str {
        if self.standing_of_provider(target, self.now_ms()) == Standing::Open { "health_check" } else { "breaker" }
    }

    /// `target` begins to answer; its head came after `took`. How well it goes is known of a whole answer, and of a stream when it has ended.
    pub(crate) fn answered(&self, target: &str, took: Duration, first: &First) {
        match first {
            First::Whole(_) => self.succeeded(target, took),
            First::Piece(_) => self.measured(target, took),
        }
    }

    /// `target` answered; its head came after `took`.
    pub(crate) fn succeeded(&self, target: &str, took: Duration) {
        self.measured(target, took);
        self.ended(target, true);
    }

    /// A stream of `target` has ended, as a whole or not.
    pub(crate) fn ended(&self, target: &str, whole: bool) {
        if !whole {
            return self.failed(target);
        }
        let now = self.now_ms();
        self.of(target, |health| {
            if health.succeeded(now) == Change::Recovered {
                self.changed();
                tracing::info!(target.name = %target, "a target has recovered");
            }
        });
        self.of_provider(target, |health| {
            if health.rest.breaker.succeeded() == Change::Recovered {
                self.changed();
                tracing::info!(provider.name = %provider_of(target), "a provider has recovered");
            }
        });
    }

    /// The head of an answer of `target` came after `took`.
    fn measured(&self, target: &str, took: Duration) {
        let now = self.now_ms();
        self.of(target, |health| health.measured(now, took));
    }

    /// `target` did not answer, with a failure of its own, or not to the end.
    pub(crate) fn failed(&self, target: &str) {
        let now = self.now_ms();
        self.of(target, |health| {
            if health.failed(now) == Change::Opened {
                self.changed();
                tracing::warn!(target.name = %target, "a target fails again and again; it rests");
            }
        });
        self.of_provider(target, |health| health.failed(now));
    }

    /// A check of `provider` failed; the next one will have spoken within `next`. All its models rest until then.
    pub(crate) fn check_failed(&self, provider: &str, outcome: &'static str, next: Duration) {
        let now = self.now_ms();
        let until = now.saturating_add(u64::try_from(next.as_millis()).unwrap_or(u64::MAX));
        if self.checked(provider).check_failed(outcome, now, until) == Change::Opened {
            self.changed();
            tracing::warn!(provider.name = %provider, check.outcome = outcome, "a provider fails its health check; its models rest");
        }
    }

    /// A check of `provider` was good: what rests for checks that were not may be tried.
    pub(crate) fn check_passed(&self, provider: &str, outcome: &'static str) {
        let now = self.now_ms();
        if self.checked(provider).check_passed(outcome, now) {
            let of_provider = |target: &str| provider_of(target) == provider;
            for (_, health) in self.targets.pin().iter().filter(|(target, _)| of_provider(target)) {
                health.rest.breaker.wake(now);
            }
            self.changed();
            tracing::info!(provider.name = %provider, "a provider passes its health check again");
        }
    }

    /// `provider` is not checked any more.
    pub(crate) fn forget_checks(&self, provider: &str) {
        if self.providers.pin().remove(provider).is_some() {
            self.changed();
        }
    }

    /// Every breaker that has ever opened.
    pub(crate) fn breakers(&self) -> Vec<BreakerFigures> {
        let now = self.now_ms();
        let figures = |target: String, rest: &Rest| {
            let openings = rest.openings();
            (openings > 0).then(|| BreakerFigures { target, standing: rest.breaker.standing(now), openings })
        };
        let (targets, providers) = (self.targets.pin(), self.providers.pin());
        let of_targets = targets.iter().filter_map(|(target, health)| figures(target.clone(), &health.rest));
        let of_providers = providers.iter().filter_map(|(provider, health)| figures(format!("{provider}/*"), &health.rest));
        of_targets.chain(of_providers).collect()
    }

    fn of(&self, target: &str, then: impl FnOnce(&TargetHealth)) {
        let targets = self.targets.pin();
        match targets.get(target) {
            Some(health) => then(health),
            None if targets.len() < MOST_TARGETS => then(targets.get_or_insert_with(target.to_owned(), Arc::default)),
            None => {}
        }
    }

    fn of_provider(&self, target: &str, then: impl FnOnce(&ProviderHealth)) {
        if self.providers.is_empty() {
            return;
        }
        if let Some(health) = self.providers.pin().get(provider_of(target)) {
            then(health);
        }
    }

    fn checked(&self, provider: &str) -> Arc<ProviderHealth> {
        Arc::clone(self.providers.pin().get_or_insert_with(provider.to_owned(), Arc::default))
    }

    fn standing_of_provider(&self, target: &str, now: u64) -> Standing {
        if self.providers.is_empty() {
            return Standing::Closed;
        }
        self.providers.pin().get(provider_of(target)).map_or(Standing::Closed, |health| health.rest.breaker.standing(now))
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(clock::instant().saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

/// The name before the slash.
fn provider_of(target: &str) -> &str {
    target.split_once('/').map_or(target, |(provider, _)| provider)
}

fn worst(standings: impl Iterator<Item = Standing>) -> Standing {
    standings.fold(Standing::Closed, |worst, standing| match (worst, standing) {
        (Standing::Open, _) | (_, Standing::Open) => Standing::Open,
        (Standing::HalfOpen, _) | (_, Standing::HalfOpen) => Standing::HalfOpen,
        (Standing::Closed, Standing::Closed) => Standing::Closed,
    })
}

impl HealthView for OrgHealth {
    fn health(&self, target: &str) -> Option<HealthFacts> {
        let (targets, now) = (self.targets.pin(), self.now_ms());
        let down = self.standing_of_provider(target, now) == Standing::Open;
        let Some(health) = targets.get(target) else {
            return down.then_some(HealthFacts { p50_ms: 0.0, ok: false, stale: true });
        };
        let ok = !down && health.rest.breaker.standing(now) != Standing::Open;
        let p50_ms = health.median_us().map_or(0.0, |micros| f64::from(micros) / 1000.0);
        Some(HealthFacts { p50_ms, ok, stale: health.succeeded_ago(now) > FRESH_MS })
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

    #[test]
    fn a_failing_check_rests_every_model_of_its_provider_and_no_other() {
        let health = Health::new().of_org("org_1");
        health.succeeded("openai/gpt", Duration::from_millis(7));
        health.check_failed("openai", "timeout", Duration::from_secs(60));
        for target in ["openai/gpt", "openai/never-asked"] {
            assert_eq!((health.enter(target), health.standing(target)), (Standing::Open, Standing::Open), "{target}");
            assert!(health.health(target).is_some_and(|facts| !facts.ok), "{target}");
            assert_eq!(health.rests_by(target), "health_check");
        }
        assert_eq!((health.enter("openai2/gpt"), health.health("openai2/gpt")), (Standing::Closed, None));
        assert_eq!(health.breakers().len(), 1);
        health.check_passed("openai", "ok");
        assert!(health.health("openai/gpt").is_some_and(|facts| facts.ok));
        assert_eq!((health.enter("openai/gpt"), health.enter("openai/never-asked")), (Standing::HalfOpen, Standing::Open));
        health.succeeded("openai/gpt", Duration::from_millis(7));
        assert_eq!(health.enter("openai/never-asked"), Standing::Closed);
    }

    #[test]
    fn what_failed_of_itself_may_be_tried_when_its_provider_is_back_and_not_before() {
        let health = Health::new().of_org("org_1");
        (0..5).for_each(|_| health.failed("openai/gpt"));
        health.check_passed("openai", "ok");
        assert_eq!(health.enter("openai/gpt"), Standing::Open, "a good check says nothing about a model that fails");
        assert_eq!(health.rests_by("openai/gpt"), "breaker");
        health.check_failed("openai", "status", Duration::from_secs(60));
        health.check_passed("openai", "ok");
        assert_eq!(health.enter("openai/gpt"), Standing::HalfOpen);
        health.failed("openai/gpt");
        assert_eq!(health.enter("openai/other"), Standing::Open, "the probe failed");
    }

    #[test]
    fn a_provider_that_is_not_checked_any_more_is_not_held_back() {
        let health = Health::new().of_org("org_1");
        health.check_failed("openai", "timeout", Duration::from_secs(60));
        health.forget_checks("openai");
        assert_eq!(health.enter("openai/gpt"), Standing::Closed);
    }
}
