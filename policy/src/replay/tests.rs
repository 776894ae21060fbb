//! Decisions made again, by the policy they were made by and by others.

use serde_json::{Value, json};

use super::*;
use crate::testing::{engine, request};

fn manifest(rules: Value, cap_usd: u32) -> Value {
    json!({
        "org": "default",
        "settings": {"entry_policy": "@rules"},
        "providers": [{"name": "openai", "vendor": "openai"}, {"name": "other", "vendor": "openai_compatible", "base_url": "http://h/v1"}],
        "models": [
            {"model": "openai/gpt-test", "input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "context_tokens": 10_000, "max_output_tokens": 100},
            {"model": "other/cheap", "input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2},
        ],
        "routing_configs": [{"slug": "rules", "strategy": "custom_rules", "rules": rules}],
        "projects": [{"name": "app", "tags": {"team": "support"}, "keys": [{"name": "ci"}]}],
        "budgets": [{"name": "all", "scope": "organization", "period": "monthly", "cap_usd": cap_usd}],
    })
}

fn logged(trace: Value) -> LoggedRequest {
    let tokens = TokenBuckets { input: 100, output: 10, ..TokenBuckets::default() };
    LoggedRequest { key_id: Arc::from("key_ci"), facts: request("openai/gpt-test"), known: Known::of_trace(&trace), tokens }
}

fn outcome(rules: Value, logged: &LoggedRequest) -> Outcome {
    replay(&engine(manifest(rules, 10)), logged)
}

#[test]
fn a_request_is_priced_where_the_policy_sends_it() {
    let logged = logged(json!({}));
    let before = outcome(json!([{"else": "pass"}]), &logged);
    let after = outcome(json!([{"if": "tags.team == 'support'", "then": "other/cheap"}, {"else": "pass"}]), &logged);
    assert_eq!((before.targets[0].as_ref(), before.cost.to_string().as_str()), ("openai/gpt-test", "0.00012"));
    assert_eq!((after.targets[0].as_ref(), after.cost.to_string().as_str()), ("other/cheap", "0.000012"));
    assert_eq!(after.rule.as_deref(), Some("@rules rule 1"));
    assert_eq!((before.difference(&after), before.difference(&before)), (Difference::Rerouted, Difference::None));
}

#[test]
fn a_denial_by_rule_is_a_difference_in_both_directions() {
    let logged = logged(json!({}));
    let (open, shut) = (outcome(json!([{"else": "pass"}]), &logged), outcome(json!([{"else": {"deny": "no"}}]), &logged));
    assert_eq!(shut.refusal.as_ref().map(|refused| refused.code), Some("policy_denied"));
    assert_eq!((open.difference(&shut), shut.difference(&open)), (Difference::Denied, Difference::Permitted));
    assert_eq!(shut.cost, NanoUsd::ZERO);
}

#[test]
fn money_and_health_are_those_of_the_trace() {
    let trace = json!({"steps": [
        {"step": "budget", "name": "all", "used_usd": "9.99999", "cap_usd": "10", "action": "ok"},
        {"step": "measured", "target": "openai/gpt-test", "p50_ms": 900, "ok": false},
    ]});
    let logged = logged(trace);
    let spent = outcome(json!([{"else": "pass"}]), &logged);
    assert_eq!(spent.refusal.as_ref().map(|refused| refused.code), Some("budget_exceeded"), "no room for the worst case");
    let cheap = outcome(json!([{"if": "budget.used_pct >= 0.9", "then": "other/cheap"}, {"else": "pass"}]), &logged);
    assert_eq!(cheap.refusal.map(|refused| refused.code), Some("budget_exceeded"), "1,000 tokens of output cost more than what is left");
    let roomy =
        replay(&engine(manifest(json!([{"if": "!health['openai/gpt-test'].ok", "then": "other/cheap"}, {"else": "pass"}]), 20)), &logged);
    assert_eq!(roomy.targets[0].as_ref(), "other/cheap");
}

#[test]
fn what_was_not_answered_is_priced_by_estimate_and_a_key_that_is_gone_is_refused() {
    let unanswered = LoggedRequest { tokens: TokenBuckets::default(), ..logged(json!({})) };
    let served = outcome(json!([{"else": "pass"}]), &unanswered);
    assert_eq!((served.estimated, served.cost.to_string().as_str()), (true, "0.0003"), "100 in, and the model's 100 out");
    let stranger = LoggedRequest { key_id: Arc::from("key_gone"), ..unanswered };
    assert_eq!(outcome(json!([{"else": "pass"}]), &stranger).refusal.map(|refused| refused.code), Some("invalid_api_key"));
}

/// What the engine notes of health is what is read here.
#[test]
fn the_engine_notes_what_a_rule_saw_of_health() {
    let rules = json!([{"if": "health['openai/gpt-test'].p50_ms > 500.0", "then": "other/cheap"}, {"else": "pass"}]);
    let engine = engine(manifest(rules, 10));
    let paces = crate::testing::Paces(&[("openai/gpt-test", Some(840))]);
    let subject = crate::testing::subject(&engine, "ci");
    let used = crate::testing::Used(NanoUsd::ZERO);
    let Decision::Permit(permit) = engine.decide(&subject, &request("openai/gpt-test"), &used, &paces, Trace::default()) else {
        panic!("denied")
    };
    let known = Known::of_trace(&serde_json::to_value(permit.trace()).unwrap());
    assert_eq!(known.health("openai/gpt-test").map(|health| health.p50_ms), Some(840.0));
    let again = replay(&engine, &LoggedRequest { known, ..logged(json!({})) });
    assert_eq!(again.targets[0].as_ref(), "other/cheap");
}
