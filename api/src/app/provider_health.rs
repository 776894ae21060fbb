//! How providers stand, put together from what the workers that are alive tell of them.
//!
//! Behaviour: each model at a provider that anybody asked lately, and each provider that is checked, is one line. Its state is the worst
//! that any worker sees; its counts are the sums of the last five minutes; its median is that worker's median at which half of all good answers
//! is reached. What a worker has not repeated for [`FRESH`] does not count.
//!
//! Promises: an organization sees what was told of itself, and of that only the providers that it has now.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use entity::{provider, worker_health};
use policy::link::{BreakerState, HealthReport, ProviderReport, TargetReport};

use super::OperationError;
use crate::authz::Resource;
use crate::context::OpContext;
use crate::store;

/// Workers tell every five seconds.
const FRESH: TimeDelta = TimeDelta::seconds(30);

/// How a model at a provider stands, or a provider as a whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    /// Orders the list: `provider`, or `provider/model`.
    pub(crate) key: String,
    pub(crate) provider: String,
    /// None for the provider as a whole, as checks of it go.
    pub(crate) model: Option<String>,
    pub(crate) state: BreakerState,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) p50_us: Option<u64>,
    /// When the first of the breakers that are open now opened.
    pub(crate) opened_at: Option<DateTime<Utc>>,
    /// When any worker heard of it last.
    pub(crate) seen_at: DateTime<Utc>,
    /// What came of the last check of any worker.
    pub(crate) outcome: Option<String>,
    /// Workers that tell of it.
    pub(crate) workers: u32,
    /// Of them those whose breaker is not closed.
    pub(crate) resting: u32,
}

/// How the providers of the caller's organization stand, in the order of their names.
pub(crate) async fn list(ctx: &OpContext) -> Result<Vec<Standing>, OperationError> {
    let scope = ctx.authorize_reading(Resource::Provider)?;
    let connection = ctx.state().database.read();
    let providers = store::select::<provider::Entity>(scope).all(connection).await?;
    let known: HashSet<String> = providers.into_iter().map(|row| row.name).collect();
    let rows = store::worker::health(connection, scope, ctx.state().clock.now() - FRESH).await?;
    let told = rows.into_iter().filter_map(|row| {
        let worker_health::Model { worker_id, org_id: _, reported_at, report } = row;
        let read = serde_json::from_value::<HealthReport>(report);
        read.inspect_err(|error| tracing::warn!(worker.id = %worker_id, %error, "a worker's report can't be read"))
            .ok()
            .map(|report| (reported_at, report))
    });
    Ok(put_together(told, &known))
}

/// What workers told, and when, as one list.
fn put_together(told: impl Iterator<Item = (DateTime<Utc>, HealthReport)>, known: &HashSet<String>) -> Vec<Standing> {
    let mut gathered: BTreeMap<String, Gathered> = BTreeMap::new();
    for (at, HealthReport { targets, providers }) in told {
        for line in targets
            .into_iter()
            .map(|target| Line::of_target(target, at))
            .chain(providers.into_iter().map(|provider| Line::of_provider(provider, at)))
        {
            let provider = line.key.split('/').next().unwrap_or_default();
            if known.contains(provider) {
                gathered.entry(line.key.clone()).or_default().0.push(line);
            }
        }
    }
    gathered.into_iter().map(|(key, gathered)| gathered.standing(key)).collect()
}

/// What one worker told of one model or provider.
struct Line {
    key: String,
    state: BreakerState,
    successes: u64,
    failures: u64,
    p50_us: Option<u64>,
    opened_at: Option<DateTime<Utc>>,
    seen_at: DateTime<Utc>,
    outcome: Option<String>,
}

impl Line {
    fn of_target(told: TargetReport, at: DateTime<Utc>) -> Self {
        let TargetReport { target, state, successes, failures, p50_us, opened_ms_ago, seen_ms_ago } = told;
        let opened_at = opened_ms_ago.map(|ago| before(at, ago));
        Self { key: target, state, successes, failures, p50_us, opened_at, seen_at: before(at, seen_ms_ago), outcome: None }
    }

    fn of_provider(told: ProviderReport, at: DateTime<Utc>) -> Self {
        let ProviderReport { provider, state, opened_ms_ago, outcome, checked_ms_ago } = told;
        let (opened_at, seen_at) = (opened_ms_ago.map(|ago| before(at, ago)), before(at, checked_ms_ago));
        Self { key: provider, state, successes: 0, failures: 0, p50_us: None, opened_at, seen_at, outcome: Some(outcome) }
    }
}

/// What all workers told of it.
#[derive(Default)]
struct Gathered(Vec<Line>);

impl Gathered {
    fn standing(self, key: String) -> Standing {
        let lines = &self.0;
        let last = lines.iter().max_by_key(|line| line.seen_at);
        let count = |lines: usize| u32::try_from(lines).unwrap_or(u32::MAX);
        let (provider, model) = key.split_once('/').map_or((key.as_str(), None), |(provider, model)| (provider, Some(model)));
        Standing {
            provider: provider.to_owned(),
            model: model.map(str::to_owned),
            state: lines.iter().map(|line| line.state).max().unwrap_or(BreakerState::Closed),
            successes: lines.iter().map(|line| line.successes).fold(0, u64::saturating_add),
            failures: lines.iter().map(|line| line.failures).fold(0, u64::saturating_add),
            p50_us: median(lines),
            opened_at: lines.iter().filter_map(|line| line.opened_at).min(),
            seen_at: last.map(|line| line.seen_at).unwrap_or_default(),
            outcome: last.and_then(|line| line.outcome.clone()),
            workers: count(lines.len()),
            resting: count(lines.iter().filter(|line| line.state != BreakerState::Closed).count()),
            key,
        }
    }
}

/// The median at which half of the good answers is reached.
fn median(lines: &[Line]) -> Option<u64> {
    let mut medians: Vec<(u64, u64)> = lines.iter().filter_map(|line| Some((line.p50_us?, line.successes.max(1)))).collect();
    medians.sort_unstable();
    let all = medians.iter().map(|(_, weight)| *weight).fold(0, u64::saturating_add);
    let mut reached = 0_u64;
    medians.into_iter().find_map(|(median, weight)| {
        reached = reached.saturating_add(weight);
        (reached >= all.div_ceil(2)).then_some(median)
    })
}

fn before(at: DateTime<Utc>, milliseconds: u64) -> DateTime<Utc> {
    let ago = i64::try_from(milliseconds).ok().and_then(TimeDelta::try_milliseconds);
    ago.and_then(|ago| at.checked_sub_signed(ago)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, state: BreakerState, (successes, failures): (u64, u64), p50_us: Option<u64>) -> TargetReport {
        let opened_ms_ago = (state != BreakerState::Closed).then_some(3_000);
        TargetReport { target: name.to_owned(), state, successes, failures, p50_us, opened_ms_ago, seen_ms_ago: 1_000 }
    }

    fn list(reports: Vec<HealthReport>) -> Vec<Standing> {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let known = ["a".to_owned(), "b".to_owned()].into_iter().collect();
        put_together(reports.into_iter().map(|report| (at, report)), &known)
    }

    #[test]
    fn counts_are_added_and_the_worst_state_is_shown_with_how_many_see_it() {
        let told = |targets| HealthReport { targets, providers: Vec::new() };
        let standings = list(vec![
            told(vec![target("a/m", BreakerState::Closed, (90, 10), Some(100)), target("b/x/y", BreakerState::Closed, (1, 0), Some(7))]),
            told(vec![target("a/m", BreakerState::Open, (0, 5), None)]),
            told(vec![target("a/m", BreakerState::HalfOpen, (10, 0), Some(900))]),
        ]);
        let [one, other] = &standings[..] else { panic!("{standings:?}") };
        assert_eq!((&*one.provider, one.model.as_deref(), one.state), ("a", Some("m"), BreakerState::Open));
        assert_eq!((one.successes, one.failures, one.p50_us, one.workers, one.resting), (100, 15, Some(100), 3, 2));
        assert_eq!(one.opened_at.map(|at| at.timestamp()), Some(1_790_000_000 - 3));
        assert_eq!((&*other.provider, other.model.as_deref(), other.opened_at), ("b", Some("x/y"), None));
    }

    #[test]
    fn a_provider_as_a_whole_stands_before_its_models_and_one_that_is_gone_is_not_shown() {
        let check = |provider: &str| ProviderReport {
            provider: provider.to_owned(),
            state: BreakerState::Open,
            opened_ms_ago: Some(0),
            outcome: "timeout".to_owned(),
            checked_ms_ago: 0,
        };
        let targets = vec![target("a/m", BreakerState::Closed, (1, 0), None), target("gone/m", BreakerState::Open, (0, 5), None)];
        let standings = list(vec![HealthReport { targets, providers: vec![check("a"), check("gone")] }]);
        let shown: Vec<_> =
            standings.iter().map(|standing| (standing.key.as_str(), standing.model.as_deref(), standing.outcome.as_deref())).collect();
        assert_eq!(shown, [("a", None, Some("timeout")), ("a/m", Some("m"), None)]);
    }
}
