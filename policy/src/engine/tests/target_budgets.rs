//! Budgets on models and providers, which apply once it is known where a request goes.

use serde_json::{Value, json};

use super::company;
use crate::testing::{decide, engine, request};

fn budget(scope: &Value, at_cap: &Value) -> Value {
    json!([{"name": "dear", "scope": scope, "period": "monthly", "cap_usd": 100, "at_cap": at_cap, "downgrade_at": 0.9}])
}

#[test]
fn a_budget_on_a_model_or_provider_sends_only_what_goes_there_elsewhere() {
    for scope in [json!({"model": "gpt-4o"}), json!({"model": "openai/gpt-4*"}), json!({"provider": "openai"})] {
        let engine = engine(company(json!({"settings": {}, "budgets": budget(&scope, &json!({"downgrade": "@cheap"}))})));
        let goes = |model: &str, used: &str| decide(&engine, &request(model), used);
        assert_eq!(goes("openai/gpt-4o", "89"), Ok(vec!["openai/gpt-4o".to_owned()]), "{scope}");
        assert_eq!(goes("openai/gpt-4o", "90"), Ok(vec!["sim/sim-small".to_owned()]), "{scope}");
        assert_eq!(goes("sim/sim-large", "90"), Ok(vec!["sim/sim-large".to_owned()]), "{scope}");
    }
}

#[test]
fn in_a_fallback_only_the_attempt_that_the_budget_is_on_has_a_stand_in() {
    let budgets = budget(&json!({"model": "openai/gpt-4o"}), &json!({"downgrade": "@support-allowed"}));
    let engine = engine(company(json!({"settings": {}, "budgets": budgets})));
    let went = decide(&engine, &request("@production"), "95");
    assert_eq!(went, Ok(vec!["openai/gpt-4o-mini".to_owned(), "sim/sim-small".to_owned()]));
}

/// The stand-in is itself under the budget: it serves, and the request does not go round.
#[test]
fn a_stand_in_is_not_sent_elsewhere_again() {
    let engine = engine(company(json!({"settings": {}, "budgets": budget(&json!({"model": "*"}), &json!({"downgrade": "@cheap"}))})));
    assert_eq!(decide(&engine, &request("sim/sim-large"), "95"), Ok(vec!["sim/sim-small".to_owned()]));
    assert_eq!(decide(&engine, &request("@cheap"), "95"), Ok(vec!["sim/sim-small".to_owned()]));
}

#[test]
fn a_stand_in_that_the_key_may_not_use_is_refused() {
    let projects = json!([{"name": "support", "keys": [{"name": "ci", "allowed_models": ["openai/*"]}]}]);
    let budgets = budget(&json!({"provider": "openai"}), &json!({"downgrade": "@cheap"}));
    let engine = engine(company(json!({"settings": {}, "projects": projects, "budgets": budgets})));
    assert_eq!(decide(&engine, &request("openai/gpt-4o"), "95").unwrap_err().0, "policy_denied");
}

#[test]
fn in_an_ensemble_each_member_and_the_judge_have_their_own_stand_in() {
    let configs = json!([
        {"slug": "cheap", "strategy": "single", "model": "sim/sim-small"},
        {"slug": "all", "strategy": "ensemble", "aggregation": "llm_judge", "judge": "openai/gpt-4o",
            "members": [{"model": "openai/gpt-4o"}, {"model": "sim/sim-large"}]}]);
    let budgets = budget(&json!({"provider": "openai"}), &json!({"downgrade": "@cheap"}));
    let engine = engine(company(json!({"settings": {}, "routing_configs": configs, "budgets": budgets})));
    assert_eq!(decide(&engine, &request("@all"), "0").unwrap(), ["openai/gpt-4o", "sim/sim-large", "openai/gpt-4o"]);
    assert_eq!(decide(&engine, &request("@all"), "95").unwrap(), ["sim/sim-small", "sim/sim-large", "sim/sim-small"]);
}
