//! Requests that were decided, decided again: what another policy would have made of them.
//!
//! [`replay`] runs the engine of the data plane on what the request log has of a request, and then says what admission would have said with
//! the money that was known to be spent at the time. Nothing is asked of anybody and nothing is kept.
//!
//! What it can't know it takes as it was: tags that are bound no more stay, a budget that did not apply then is unspent, a target that no
//! rule had asked about is healthy. Attempts do not fail here, so the first target that has money is the one that answers. Prices are those
//! of the policy that decides. Limits of rate are left out.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::decision::{Claim, Decision, Permit, ResolvedTarget, Route, Trace, TraceStep};
use crate::engine::{BudgetView, Engine, blocks};
use crate::facts::{HealthFacts, HealthView, RequestFacts};
use crate::money::NanoUsd;
use crate::price::TokenBuckets;

/// One request as it was logged.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// Id of the key it came with.
    pub key_id: Arc<str>,
    /// What rules could see.
    pub facts: RequestFacts,
    /// What was known of money and health.
    pub known: Known,
    /// What its answer consumed; nothing where it had none.
    pub tokens: TokenBuckets,
}

/// What was known of money and health when a request was decided, as its trace says.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// By budget: settled and reserved.
    used: HashMap<String, NanoUsd>,
    /// By `provider/model`.
    health: HashMap<String, HealthFacts>,
}

impl Known {
    /// Reads it out of a trace. Steps that are not understood say nothing.
    #[must_use]
    pub fn of_trace(trace: &Value) -> Self {
        let mut known = Self::default();
        for step in trace.get("steps").and_then(Value::as_array).into_iter().flatten() {
            known.note(step);
        }
        known
    }

    fn note(&mut self, step: &Value) {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        match step.get("step").and_then(Value::as_str) {
            Some("budget") => {
                let used = text(step, "used_usd").and_then(|used| used.parse().ok());
                self.used.extend(text(step, "name").zip(used));
            }
            Some("measured") => {
                let p50_ms = step.get("p50_ms").and_then(Value::as_f64).unwrap_or(0.0);
                let ok = step.get("ok").and_then(Value::as_bool).unwrap_or(true);
                self.health.extend(text(step, "target").map(|target| (target, HealthFacts { p50_ms, ok, stale: false })));
            }
            Some("ordered") => {
                for candidate in step.get("candidates").and_then(Value::as_array).into_iter().flatten() {
                    let health = text(candidate, "standing").and_then(|standing| health_in(&standing));
                    self.health.extend(text(candidate, "target").zip(health));
                }
            }
            _ => {}
        }
    }
}

/// The health in the words of a candidate's standing, where they are about it.
fn health_in(standing: &str) -> Option<HealthFacts> {
    let p50_ms = standing.strip_suffix(" ms").and_then(|ms| ms.parse().ok());
    let unhealthy = standing.ends_with("unhealthy");
    (unhealthy || p50_ms.is_some()).then(|| HealthFacts { p50_ms: p50_ms.unwrap_or(0.0), ok: !unhealthy, stale: false })
}

/// What a policy makes of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Why it is refused; absent where it is served.
    pub refusal: Option<Refused>,
    /// Who is asked, as `provider/model`: one, or all members of an ensemble with its judge.
    pub targets: Vec<Arc<str>>,
    /// The variant of an `ab_test` that led there.
    pub variant: Option<Arc<str>>,
    /// The last rule that decided, as `@slug rule 2`.
    pub rule: Option<String>,
    /// What it costs.
    pub cost: NanoUsd,
    /// Whether the cost is a guess, as there was no answer whose tokens were counted.
    pub estimated: bool,
}

/// A no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// As the caller would see it.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

/// What differs between two policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Nothing that the caller or the bill would show.
    None,
    /// It was served and would be refused.
    Denied,
    /// It was refused and would be served.
    Permitted,
    /// Somebody else would be asked.
    Rerouted,
    /// The same would be asked at another price.
    Repriced,
}

impl Outcome {
    /// What is different in `after`.
    #[must_use]
    pub fn difference(&self, after: &Self) -> Difference {
        match (&self.refusal, &after.refusal) {
            (None, Some(_)) => Difference::Denied,
            (Some(_), None) => Difference::Permitted,
            (Some(_), Some(_)) => Difference::None,
            (None, None) if self.targets != after.targets => Difference::Rerouted,
            (None, None) if self.cost != after.cost => Difference::Repriced,
            (None, None) => Difference::None,
        }
    }

    fn refused(code: &'static str, message: String, trace: &Trace) -> Self {
        let refusal = Some(Refused { code, message });
        Self { refusal, targets: Vec::new(), variant: None, rule: deciding_rule(trace), cost: NanoUsd::ZERO, estimated: false }
    }
}

/// Decides `logged` by the policy of `engine`.
#[must_use]
pub fn replay(engine: &Engine, logged: &LoggedRequest) -> Outcome {
    let Some(subject) = engine.find_subject(&logged.key_id) else {
        return Outcome::refused("invalid_api_key", "the key is not there".to_owned(), &Trace::default());
    };
    let mut facts = logged.facts.clone();
    for (name, value) in engine.bound_tags(&subject).into_iter().flat_map(|bound| bound.iter()) {
        drop(facts.tags.set(Arc::from(name), Arc::from(value)));
    }
    let money = Money { engine, known: &logged.known };
    match engine.decide(&subject, &facts, &money, &logged.known, Trace::default()) {
        Decision::Deny(denial) => Outcome::refused(denial.reason.code(), denial.message, &denial.trace),
        Decision::Permit(permit) => match (Admission { money, permit: &permit, facts: &facts }).walk(permit.route()) {
            Ok(targets) => served(&targets, &permit, &facts, &logged.tokens),
            Err(budget) => Outcome::refused(BLOCKED, format!("budget `{budget}` does not allow for it"), permit.trace()),
        },
    }
}

/// The code of a denial by a budget that blocks.
const BLOCKED: &str = "budget_exceeded";

fn served(targets: &[&ResolvedTarget], permit: &Permit, facts: &RequestFacts, tokens: &TokenBuckets) -> Outcome {
    let estimated = *tokens == TokenBuckets::default();
    let cost = |target: &&ResolvedTarget| match &target.prices {
        Some(prices) if !estimated => prices.cost(tokens),
        Some(_) => target.expected_cost(facts.input_tokens, facts.max_output_tokens),
        None => NanoUsd::ZERO,
    };
    Outcome {
        refusal: None,
        targets: targets.iter().map(|target| Arc::clone(&target.label)).collect(),
        variant: targets.iter().find_map(|target| target.variant.clone()),
        rule: deciding_rule(permit.trace()),
        cost: targets.iter().map(cost).fold(NanoUsd::ZERO, NanoUsd::saturating_add),
        estimated,
    }
}

fn deciding_rule(trace: &Trace) -> Option<String> {
    trace.steps.iter().rev().find_map(|step| match step {
        TraceStep::Rule { config, rule: Some(rule), .. } => Some(format!("{config} rule {rule}")),
        TraceStep::Rule { config, rule: None, .. } => Some(format!("{config} else")),
        _ => None,
    })
}

/// Money as it was known then.
#[derive(Clone, Copy)]
struct Money<'a> {
    engine: &'a Engine,
    known: &'a Known,
}

impl BudgetView for Money<'_> {
    fn used(&self, claim: &Claim) -> NanoUsd {
        let name = self.engine.budget(claim.budget).map(|budget| budget.name.as_ref()).unwrap_or_default();
        self.known.used.get(name).copied().unwrap_or(NanoUsd::ZERO)
    }
}

impl HealthView for Known {
    fn health(&self, target: &str) -> Option<HealthFacts> {
        self.health.get(target).copied()
    }
}

/// Who of a route would be let through by the budgets that block.
struct Admission<'a> {
    money: Money<'a>,
    permit: &'a Permit,
    facts: &'a RequestFacts,
}

impl<'a> Admission<'a> {
    /// Who is asked, or the budget that is in the way.
    fn walk<'r>(&self, route: &'r Route) -> Result<Vec<&'r ResolvedTarget>, &'a str> {
        match route {
            Route::Target(target) => match self.short(target) {
                None => Ok(vec![target]),
                Some(budget) => Err(budget),
            },
            Route::Fallback { attempts, .. } => self.first(attempts.iter().map(|attempt| &attempt.route)),
            Route::Cascade(cascade) => self.first(cascade.steps.iter().map(|step| &step.route)),
            Route::Ensemble(ensemble) => {
                let members: Vec<_> = ensemble.members.iter().map(|member| self.walk(&member.route)).collect();
                let refused = members.iter().find_map(|asked| asked.as_ref().err().copied());
                let mut asked: Vec<_> = members.into_iter().flatten().flatten().collect();
                match refused {
                    Some(budget) if asked.is_empty() => return Err(budget),
                    _ => asked.extend(ensemble.judge.iter().filter_map(|judge| self.walk(judge).ok()).flatten()),
                }
                Ok(asked)
            }
        }
    }

    fn first<'r>(&self, routes: impl Iterator<Item = &'r Route>) -> Result<Vec<&'r ResolvedTarget>, &'a str> {
        let mut last = Ok(Vec::new());
        for route in routes {
            last = self.walk(route);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// The budget that has not enough left for the most that `target` can cost. Where output may be clamped, anything left is enough.
    fn short(&self, target: &ResolvedTarget) -> Option<&'a str> {
        let input = target.input_bound(self.facts).unwrap_or(self.facts.input_tokens_bound);
        let most = target.worst_case(input, self.facts.max_output_tokens, self.facts.choices).unwrap_or(NanoUsd::ZERO);
        self.permit.claims().iter().chain(&target.claims).find_map(|claim| {
            let budget = self.money.engine.budget(claim.budget).filter(|budget| blocks(budget))?;
            let left = budget.cap.saturating_sub(self.money.used(claim));
            let enough = !most.is_positive() || if budget.clamp_output { left.is_positive() } else { most <= left };
            (!enough).then_some(budget.name.as_ref())
        })
    }
}

#[cfg(test)]
mod tests;
