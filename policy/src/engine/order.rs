//! Strategies that put models in order: the likely cheapest first, or the one that has been fastest.
//!
//! Both give a fallback over what the request may use, so that the next one is asked where the first one fails; a target that is not
//! healthy comes last. Integers only, and no chance but the request's own draw.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Deciding, Refusal, draw, index};
use crate::bundle::v1::{Config, Model, Target};
use crate::decision::{Candidate, DenialReason, ResolvedTarget, Route, RouteAttempt, TraceStep};
use crate::facts::RequestFacts;
use crate::money::NanoUsd;
use crate::price::{Rates, TokenBuckets};
use crate::source::{RetryOn, Tier};

/// So many of the cheapest are tried one after the other.
const CHEAPEST: usize = 3;
/// One request in so many begins with a model of which nothing is known, until something is.
const EXPLORE_ONE_IN: u64 = 4;
/// A trace shows so many candidates.
const SHOWN: usize = 12;

/// What a request whose caller sets no limit will likely be answered with: a third of its input, within these. The same for every model,
/// or one that may answer at length would look dear.
const LIKELY_OUTPUT: std::ops::RangeInclusive<u64> = 256..=4_096;

/// A model that can be taken, and what decides about its place. The least is the first.
struct Placed<K> {
    key: K,
    target: ResolvedTarget,
    candidate: Candidate,
}

/// What becomes of the models of one config: those in order, and those that can't be taken.
struct Sorting<K> {
    placed: Vec<Placed<K>>,
    left_out: Vec<Candidate>,
    refusal: Option<Refusal>,
}

impl<K: Ord> Sorting<K> {
    fn new() -> Self {
        Self { placed: Vec::new(), left_out: Vec::new(), refusal: None }
    }

    fn leave_out(&mut self, target: Arc<str>, standing: &str, refusal: Refusal) {
        self.left_out.push(Candidate { target, standing: standing.to_owned() });
        self.refusal = Some(refusal);
    }

    /// The best `most` as a route, and all of them for the trace.
    fn finish(mut self, most: usize) -> (Result<Route, Refusal>, Vec<Candidate>) {
        self.placed.sort_by(|one, other| one.key.cmp(&other.key));
        let mut candidates = Vec::with_capacity(SHOWN.min(self.placed.len()));
        let mut attempts = Vec::with_capacity(most.min(self.placed.len()));
        for (position, Placed { target, candidate, .. }) in self.placed.into_iter().enumerate() {
            if position < most {
                attempts.push(RouteAttempt { route: Route::Target(target), timeout_ms: None });
            }
            candidates.push(candidate);
        }
        candidates.extend(self.left_out);
        candidates.truncate(SHOWN);
        let refusal =
            self.refusal.unwrap_or_else(|| (DenialReason::UnknownModel, "the routing config has no model to choose from".to_owned()));
        let route = match attempts.len() {
            0 => Err(refusal),
            1 => attempts.pop().map(|attempt| attempt.route).ok_or(refusal),
            _ => Ok(Route::Fallback { attempts, retry_on: RetryOn::ALL.into_iter().collect(), total_budget_ms: None }),
        };
        (route, candidates)
    }
}

impl Deciding<'_> {
    /// The few cheapest models of `candidates` that the request fits into.
    pub(super) fn resolve_cheapest(&mut self, label: &Arc<str>, tier: Tier, candidates: &[u32]) -> Result<Route, Refusal> {
        let engine = self.engine;
        let mut sorting = Sorting::new();
        for model in candidates.iter().filter_map(|at| engine.bundle.models.get(index(*at))) {
            let target = self.resolve_model(model.provider, &model.name)?;
            let name = Arc::clone(&target.label);
            if let Err((by, refusal)) = self.check_target(&target) {
                sorting.leave_out(name, by, refusal);
                continue;
            }
            if let Some(too_small) = misfit(self.request, model) {
                let message = format!("no model of tier `{}` in `{label}` is large enough: of `{name}`, {too_small}", tier.as_str());
                sorting.leave_out(name, too_small, (DenialReason::UnknownModel, message));
                continue;
            }
            let cost = model.rates.map_or(NanoUsd::ZERO, |rates| likely_cost(self.request, model, &rates));
            let unhealthy = self.is_unhealthy(&name);
            let standing = if unhealthy { format!("{cost} USD, unhealthy") } else { format!("{cost} USD") };
            let key = (unhealthy, cost, Arc::clone(&name));
            sorting.placed.push(Placed { key, target, candidate: Candidate { target: name, standing } });
        }
        let (route, candidates) = sorting.finish(CHEAPEST);
        self.trace.push(TraceStep::Ordered { config: Arc::clone(label), by: "cost".into(), candidates });
        route
    }

    /// All of `models`, the fastest first; now and then one that has not been measured (lately) before it, so that it will be.
    pub(super) fn resolve_fastest(&mut self, config: &Config, label: &Arc<str>, models: &[Target]) -> Result<Route, Refusal> {
        let mut sorting = Sorting::new();
        let mut cold = Vec::new();
        for (listed, model) in models.iter().enumerate() {
            // Compilation lets nothing else in; what is not understood is left out.
            let Target::Model { provider, name } = model else { continue };
            let target = self.resolve_model(*provider, name)?;
            let name = Arc::clone(&target.label);
            if let Err((by, refusal)) = self.check_target(&target) {
                sorting.leave_out(name, by, refusal);
                continue;
            }
            let (place, standing) = self.pace(&name);
            if matches!(place, Pace::Unknown) {
                cold.push(sorting.placed.len());
            }
            sorting.placed.push(Placed { key: (place, listed), target, candidate: Candidate { target: name, standing } });
        }
        if let Some(explored) = explored(draw::position(&config.slug, &self.request.draw.to_be_bytes()), &cold)
            && let Some(placed) = sorting.placed.get_mut(explored)
        {
            placed.key.0 = Pace::Explored;
        }
        let (route, candidates) = sorting.finish(usize::MAX);
        self.trace.push(TraceStep::Ordered { config: Arc::clone(label), by: "latency".into(), candidates });
        route
    }

    fn is_unhealthy(&self, target: &str) -> bool {
        self.facts.health.health(target).is_some_and(|health| !health.ok)
    }

    fn pace(&self, target: &str) -> (Pace, String) {
        match self.facts.health.health(target) {
            Some(health) if !health.ok => (Pace::Unhealthy, "unhealthy".to_owned()),
            Some(health) if health.p50_ms > 0.0 && !health.stale => {
                (Pace::Measured(Millis(health.p50_ms)), format!("{:.0} ms", health.p50_ms))
            }
            _ => (Pace::Unknown, "not measured".to_owned()),
        }
    }
}

/// How fast a model is, as far as that is known; the least is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pace {
    /// Nothing is known, and this request is to find out.
    Explored,
    Measured(Millis),
    Unknown,
    Unhealthy,
}

/// Milliseconds that are only ever compared.
#[derive(Debug, Clone, Copy)]
struct Millis(f64);

impl Ord for Millis {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Millis {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Millis {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Millis {}

/// Which of the unmeasured this request explores, if it does.
fn explored(position: u64, cold: &[usize]) -> Option<usize> {
    let count = u64::try_from(cold.len()).unwrap_or(0);
    let ticket = draw::among(position, count.saturating_mul(EXPLORE_ONE_IN));
    usize::try_from(ticket).ok().and_then(|at| cold.get(at)).copied()
}

/// Output tokens of one answer, as far as can be told before.
fn likely_output(request: &RequestFacts, model: &Model) -> u64 {
    let third = request.input_tokens.checked_div(3).unwrap_or(0);
    let likely = request.max_output_tokens.unwrap_or_else(|| third.clamp(*LIKELY_OUTPUT.start(), *LIKELY_OUTPUT.end()));
    model.max_output_tokens.map_or(likely, |limit| likely.min(u64::from(limit)))
}

fn likely_cost(request: &RequestFacts, model: &Model, rates: &Rates) -> NanoUsd {
    let output = likely_output(request, model).saturating_mul(u64::from(request.choices.max(1)));
    rates.cost(&TokenBuckets { input: request.input_tokens, output, ..TokenBuckets::default() })
}

/// Why the request does not fit into the model, where that is known.
fn misfit(request: &RequestFacts, model: &Model) -> Option<&'static str> {
    let asks_for_more = |limit: u32| request.max_output_tokens.is_some_and(|asked| asked > u64::from(limit));
    if model.max_output_tokens.is_some_and(asks_for_more) {
        return Some("output limit too small");
    }
    let needed = request.input_tokens.saturating_add(likely_output(request, model));
    model.context_tokens.is_some_and(|context| needed > u64::from(context)).then_some("context too small")
}
