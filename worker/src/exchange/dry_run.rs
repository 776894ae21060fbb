//! `X-Modelux-Dry-Run: true`: the whole decision, no upstream call, nothing held, nothing spent.

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use policy::decision::{Permit, Route, RouteStep, Trace};
use policy::facts::RequestFacts;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Failure;
use super::call::Exchange;
use crate::clock;
use crate::enforce::{action_word, claims_of, worst_case};
use crate::relay::json;
use crate::respond::Refusal;
use crate::respond::head::{Head, Sent};

#[derive(Serialize)]
struct Report<'a> {
    dry_run: bool,
    request_id: &'a str,
    decision: &'static str,
    model: &'a str,
    tags: &'a policy::facts::Tags,
    estimate: Estimate,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<RouteReport>,
    budgets: Vec<BudgetReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    denial: Option<DenialReport<'a>>,
    trace: Box<RawValue>,
}

#[derive(Serialize)]
struct Estimate {
    input_tokens: u64,
    input_tokens_bound: u64,
    max_output_tokens: Option<u64>,
    /// Of the first target; what would be held.
    reserved_usd: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum RouteReport {
    Target {
        target: String,
        price_version: String,
        worst_case_usd: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        ab_variant: Option<String>,
    },
    Fallback {
        attempts: Vec<RouteReport>,
        retry_on: Vec<policy::source::RetryOn>,
        total_budget_ms: Option<u64>,
    },
    Ensemble {
        aggregation: policy::source::Aggregation,
        members: Vec<RouteReport>,
        #[serde(skip_serializing_if = "Option::is_none")]
        judge: Option<Box<RouteReport>>,
        quorum: usize,
        timeout_ms: Option<u64>,
    },
    Cascade {
        steps: Vec<StepReport>,
    },
}

#[derive(Serialize)]
struct StepReport {
    route: RouteReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    accept: Option<String>,
}

#[derive(Serialize)]
struct BudgetReport {
    name: String,
    used_usd: String,
    cap_usd: String,
    action: &'static str,
}

#[derive(Serialize)]
struct DenialReport<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
}

/// What would be done.
pub(crate) async fn answer_permit(
    exchange: Exchange<'_>,
    session: &mut ServerSession,
    facts: &RequestFacts,
    permit: &Permit,
    trace: &Trace,
) -> Sent {
    let route = report_route(permit.route(), facts, !permit.claims().is_empty());
    let first = first_target(permit.route());
    let reserved_usd = first.map(|target| worst_case(facts, target, true).amount.to_string());
    let policy = &exchange.caller.policy;
    let views = claims_of(permit, first).filter_map(|claim| exchange.context.budgets.status(policy, claim, facts.time));
    let budgets = views
        .map(|view| BudgetReport {
            name: view.name.to_string(),
            used_usd: view.used.to_string(),
            cap_usd: view.cap.to_string(),
            action: action_word(&view),
        })
        .collect();
    let report = Report {
        dry_run: true,
        request_id: &exchange.arrival.request_id,
        decision: "permit",
        model: &facts.model,
        tags: &facts.tags,
        estimate: estimate(facts, reserved_usd),
        route: Some(route),
        budgets,
        denial: None,
        trace: trace.to_json(),
    };
    send(session, &report).await
}

/// Why it would be refused.
pub(crate) async fn answer_denial(
    exchange: Exchange<'_>,
    session: &mut ServerSession,
    facts: &RequestFacts,
    failure: &Failure,
    trace: &Trace,
) -> Sent {
    let refusal = Refusal::of(failure, clock::now());
    let report = Report {
        dry_run: true,
        request_id: &exchange.arrival.request_id,
        decision: "deny",
        model: &facts.model,
        tags: &facts.tags,
        estimate: estimate(facts, None),
        route: None,
        budgets: Vec::new(),
        denial: Some(DenialReport { status: refusal.status, code: refusal.code(), message: refusal.message() }),
        trace: trace.to_json(),
    };
    send(session, &report).await
}

async fn send(session: &mut ServerSession, report: &Report<'_>) -> Sent {
    let body = serde_json::to_vec(report).map_or(Bytes::from_static(b"{}"), Bytes::from);
    Head::new(200, report.request_id).send(session, json(), body).await
}

fn estimate(facts: &RequestFacts, reserved_usd: Option<String>) -> Estimate {
    Estimate {
        input_tokens: facts.input_tokens,
        input_tokens_bound: facts.input_tokens_bound,
        max_output_tokens: facts.max_output_tokens,
        reserved_usd,
    }
}

fn first_target(route: &Route) -> Option<&policy::decision::ResolvedTarget> {
    match route {
        Route::Target(target) => Some(target),
        Route::Fallback { attempts, .. } => attempts.first().and_then(|attempt| first_target(&attempt.route)),
        Route::Ensemble(ensemble) => ensemble.members.first().and_then(|member| first_target(&member.route)),
        Route::Cascade(cascade) => cascade.steps.first().and_then(|step| first_target(&step.route)),
    }
}

fn report_route(route: &Route, facts: &RequestFacts, budgeted: bool) -> RouteReport {
    match route {
        Route::Target(target) => RouteReport::Target {
            target: target.label.to_string(),
            price_version: target.price_version.to_string(),
            worst_case_usd: worst_case(facts, target, budgeted).amount.to_string(),
            ab_variant: target.variant.as_deref().map(str::to_owned),
        },
        Route::Ensemble(ensemble) => RouteReport::Ensemble {
            aggregation: ensemble.aggregation,
            members: ensemble.members.iter().map(|member| report_route(&member.route, facts, budgeted)).collect(),
            judge: ensemble.judge.as_deref().map(|judge| Box::new(report_route(judge, facts, budgeted))),
            quorum: ensemble.quorum,
            timeout_ms: ensemble.timeout_ms,
        },
        Route::Cascade(cascade) => {
            let report = |step: &RouteStep| StepReport {
                route: report_route(&step.route, facts, budgeted),
                accept: step.accept.as_ref().map(|accept| accept.source().to_owned()),
            };
            RouteReport::Cascade { steps: cascade.steps.iter().map(report).collect() }
        }
        Route::Fallback { attempts, retry_on, total_budget_ms } => RouteReport::Fallback {
            attempts: attempts.iter().map(|attempt| report_route(&attempt.route, facts, budgeted)).collect(),
            retry_on: retry_on.to_vec(),
            total_budget_ms: *total_budget_ms,
        },
    }
}
