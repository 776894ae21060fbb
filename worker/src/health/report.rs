//! What a worker tells the control plane of providers: targets that were asked lately or rest, and those that are checked.
//!
//! Leaves out: what nobody has asked for in five minutes and is well, and of an organization's targets all but those that say most.

use std::collections::BTreeMap;

use policy::link::{BreakerState, HealthReport, ProviderReport, TargetReport};

use super::{FRESH_MS, Health, OrgHealth, Standing};

/// Targets of one organization in a report at most.
const MOST_REPORTED: usize = 200;
/// Bytes of a target's name at most; a caller can make names up.
const LONGEST_NAME: usize = 256;

impl Health {
    /// All that there is to say, by organization; nothing of those of which there is nothing.
    pub(crate) fn report<'o>(&self, orgs: impl Iterator<Item = &'o str>) -> BTreeMap<String, HealthReport> {
        let reports = orgs.map(|org| (org.to_owned(), self.of_org(org).report()));
        reports.filter(|(_, report)| *report != HealthReport::default()).collect()
    }
}

impl OrgHealth {
    fn report(&self) -> HealthReport {
        let now = self.now_ms();
        let mut targets: Vec<TargetReport> = self
            .targets
            .pin()
            .iter()
            .filter_map(|(target, health)| {
                let counts = health.recent.counts(now);
                let state = word(health.rest.breaker.standing(now));
                let seen_ms_ago = health.recent.seen_ago(now)?;
                let told = (seen_ms_ago <= FRESH_MS || state != BreakerState::Closed) && target.len() <= LONGEST_NAME;
                told.then(|| TargetReport {
                    target: target.clone(),
                    state,
                    successes: counts.successes,
                    failures: counts.failures,
                    p50_us: health.median_us().map(u64::from),
                    opened_ms_ago: health.rest.opened_ago(now),
                    seen_ms_ago,
                })
            })
            .collect();
        // What rests says most, then what was asked last.
        targets.sort_by(|one, other| other.state.cmp(&one.state).then(one.seen_ms_ago.cmp(&other.seen_ms_ago)));
        targets.truncate(MOST_REPORTED);
        let providers = self
            .providers
            .pin()
            .iter()
            .filter_map(|(provider, health)| {
                let last = health.last()?;
                Some(ProviderReport {
                    provider: provider.clone(),
                    state: word(health.rest.breaker.standing(now)),
                    opened_ms_ago: health.rest.opened_ago(now),
                    outcome: last.outcome.to_owned(),
                    checked_ms_ago: last.ago(now),
                })
            })
            .collect();
        HealthReport { targets, providers }
    }
}

fn word(standing: Standing) -> BreakerState {
    match standing {
        Standing::Closed => BreakerState::Closed,
        Standing::HalfOpen => BreakerState::HalfOpen,
        Standing::Open => BreakerState::Open,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_asked_is_told_to_its_own_organization_and_what_rests_comes_first() {
        let health = Health::new();
        let org = health.of_org("org_1");
        (0..5).for_each(|_| org.failed("openai/bad"));
        org.succeeded("openai/good", Duration::from_millis(8));
        let reports = health.report(["org_1", "org_2"].into_iter());
        assert_eq!(reports.keys().collect::<Vec<_>>(), ["org_1"]);
        let told: Vec<_> =
            reports["org_1"].targets.iter().map(|told| (&*told.target, told.state, told.successes, told.failures, told.p50_us)).collect();
        assert_eq!(told, [("openai/bad", BreakerState::Open, 0, 5, None), ("openai/good", BreakerState::Closed, 1, 0, Some(8_000))]);
        assert!(reports["org_1"].targets[0].opened_ms_ago.is_some() && reports["org_1"].targets[1].opened_ms_ago.is_none());
    }

    #[test]
    fn a_report_is_bounded_and_keeps_what_rests() {
        let health = Health::new();
        let org = health.of_org("org_1");
        (0..5).for_each(|_| org.failed("openai/bad"));
        (0..2 * MOST_REPORTED).for_each(|at| org.succeeded(&format!("openai/made-up-{at}"), Duration::from_millis(1)));
        org.succeeded(&format!("openai/{}", "x".repeat(LONGEST_NAME)), Duration::from_millis(1));
        let report = org.report();
        assert_eq!((report.targets.len(), &*report.targets[0].target), (MOST_REPORTED, "openai/bad"));
        assert!(serde_json::to_string(&report).is_ok_and(|text| text.len() < 40_000));
    }
}
