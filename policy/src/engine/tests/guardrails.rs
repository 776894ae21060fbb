//! What guardrails have to do with decisions.

use serde_json::{Value, json};

use super::company;
use crate::decision::{Decision, Trace};
use crate::engine::Engine;
use crate::facts::RequestFacts;
use crate::guardrail::FindingKind;
use crate::testing::{NoHealth, Used, decide, engine, request, subject};

/// A company without an entry policy whose project has these guardrails.
fn guarded(guardrails: Value) -> Engine {
    let projects = json!([{"name": "support", "settings": {"guardrails": guardrails}, "keys": [{"name": "ci"}]}]);
    engine(company(json!({"settings": {}, "projects": projects})))
}

#[test]
fn a_guardrail_on_models_refuses_what_it_does_not_allow_and_what_it_denies() {
    let engine = guarded(json!({"models": {"allow": ["openai/*"], "deny": ["*-mini"]}}));
    let code = |model: &str| decide(&engine, &request(model), "0").map_err(|(code, message)| format!("{code}: {message}"));
    assert_eq!(code("openai/gpt-4o"), Ok(vec!["openai/gpt-4o".to_owned()]));
    let refused = |model: &str| {
        format!("policy_denied: guardrail `models` of project `support` refuses `{model}`; it allows openai/* but not *-mini")
    };
    assert_eq!(code("sim/sim-large"), Err(refused("sim/sim-large")));
    assert_eq!(code("openai/gpt-4o-mini"), Err(refused("openai/gpt-4o-mini")));
    assert_eq!(code("@production"), Ok(vec!["openai/gpt-4o".to_owned()]), "a fallback goes on with what is left");
    let visible = engine.visible_models(&subject(&engine, "ci"));
    assert!(visible.iter().all(|name| name.starts_with('@') || (name.starts_with("openai/") && !name.ends_with("-mini"))), "{visible:?}");
}

#[test]
fn a_guardrail_on_models_in_shadow_mode_records_and_refuses_nothing() {
    let engine = guarded(json!({"models": {"deny": ["gpt-*"], "mode": "shadow"}}));
    let used = Used("0".parse().unwrap());
    match engine.decide(&subject(&engine, "ci"), &request("openai/gpt-4o"), &used, &NoHealth, Trace::default()) {
        Decision::Permit(permit) => {
            let trace = serde_json::to_value(permit.trace()).unwrap();
            let step = json!({"step": "guardrail", "guardrail": "models", "outcome": "would_deny", "target": "openai/gpt-4o"});
            assert!(trace["steps"].as_array().unwrap().contains(&step), "{trace}");
        }
        Decision::Deny(denial) => panic!("{}", denial.message),
    }
}

#[test]
fn what_was_found_decides_where_a_request_goes_whatever_its_tags_say() {
    let entry = json!({"slug": "entry", "strategy": "custom_rules", "rules": [
        {"if": "'private_key' in request.findings", "then": {"deny": "no keys"}},
        {"if": "request.sensitivity == 'pii'", "then": "sim/sim-large"}, {"else": "pass"}]});
    let engine = engine(company(json!({"routing_configs": [entry], "budgets": []})));
    let with = |kinds: &[FindingKind]| RequestFacts { findings: kinds.iter().map(|kind| (*kind, 1)).collect(), ..request("openai/gpt-4o") };
    assert_eq!(decide(&engine, &with(&[]), "0"), Ok(vec!["openai/gpt-4o".to_owned()]));
    assert_eq!(decide(&engine, &with(&[FindingKind::Email]), "0"), Ok(vec!["sim/sim-large".to_owned()]));
    assert_eq!(decide(&engine, &with(&[FindingKind::PrivateKey]), "0").map_err(|(code, _)| code), Err("policy_denied".to_owned()));
}

#[test]
fn guardrails_of_a_newer_control_plane_deny() {
    let ready = guarded(json!({"detection": {"action": "tag"}}));
    let mut bundle = serde_json::to_value(ready.bundle()).unwrap();
    bundle["projects"][0]["guardrails"]["detection"]["action"] = json!("quarantine");
    let engine = Engine::load(serde_json::from_value(bundle).unwrap()).unwrap();
    let refused = decide(&engine, &request("openai/gpt-4o"), "0").unwrap_err();
    assert_eq!(refused, ("policy_denied".to_owned(), "the guardrails of the project can't be understood by this worker".to_owned()));
}

#[test]
fn detectors_are_ready_only_where_something_is_looked_for() {
    for (guardrails, looks) in [
        (json!({}), false),
        (json!({"detection": {"action": "off"}}), false),
        (json!({"detection": {"action": "redact", "kinds": ["card"]}}), true),
    ] {
        assert_eq!(guarded(guardrails.clone()).detectors(0).is_some(), looks, "{guardrails}");
    }
}

#[test]
fn a_project_with_a_guardrail_that_this_program_does_not_know_is_refused_and_no_other() {
    let known = guarded(json!({"models": {"allow": ["openai/*"]}}));
    let mut bundle = serde_json::to_value(known.bundle()).unwrap();
    bundle["projects"][0]["guardrails"]["answers"] = json!({"mode": "enforce"});
    let engine = Engine::load(serde_json::from_str(&bundle.to_string()).unwrap()).unwrap();
    let refused = decide(&engine, &request("openai/gpt-4o"), "0").expect_err("decided without what it does not know");
    assert_eq!(refused.0, "policy_denied", "{}", refused.1);
}
