//! Decisions on whole organizations.

mod bounds;
mod caching;
mod dimensions;
mod guardrails;
mod passthrough;
mod patience;
mod strategies;
mod target_budgets;

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::facts::Tags;
use crate::testing::{compiled, decide, engine, request, subject};

/// The company of the contract's example: an entry policy over four configs.
fn company(patch: Value) -> Value {
    let mut manifest = json!({
        "org": "default",
        "settings": {"entry_policy": "@entry"},
        "providers": [{"name": "openai", "vendor": "openai"}, {"name": "sim", "vendor": "simulated"}],
        "routing_configs": [
            {"slug": "entry", "strategy": "custom_rules", "rules": [
                {"if": "tags.team == 'support'", "then": "@support-allowed"},
                {"if": "tags.sensitivity == 'pii'", "then": "@pii-safe-providers"},
                {"if": "budget.used_pct >= 0.9", "then": "@cheap"},
                {"else": "@production"}]},
            {"slug": "support-allowed", "strategy": "single", "model": "openai/gpt-4o-mini"},
            {"slug": "pii-safe-providers", "strategy": "single", "model": "sim/sim-large"},
            {"slug": "cheap", "strategy": "single", "model": "sim/sim-small"},
            {"slug": "production", "strategy": "fallback", "attempts": [{"model": "openai/gpt-4o", "timeout_ms": 8000}, {"model": "@cheap"}]},
        ],
        "projects": [{"name": "support", "keys": [{"name": "ci"}]}],
        "budgets": [{"name": "all", "scope": "organization", "period": "monthly", "cap_usd": 100, "at_cap": "warn_only"}],
    });
    for (field, value) in patch.as_object().unwrap() {
        manifest[field] = value.clone();
    }
    manifest
}

fn tagged(name: &str, value: &str) -> crate::facts::RequestFacts {
    crate::facts::RequestFacts { tags: Tags::from_iter([(name, value)]), ..request("openai/gpt-4o") }
}

#[test]
fn the_seed_example_decides_as_its_author_meant() {
    let engine = engine(company(json!({})));
    assert_eq!(decide(&engine, &tagged("team", "support"), "0"), Ok(vec!["openai/gpt-4o-mini".to_owned()]));
    assert_eq!(decide(&engine, &tagged("sensitivity", "pii"), "0"), Ok(vec!["sim/sim-large".to_owned()]));
    assert_eq!(decide(&engine, &request("openai/gpt-4o"), "90"), Ok(vec!["sim/sim-small".to_owned()]));
    assert_eq!(decide(&engine, &request("openai/gpt-4o"), "89.999"), Ok(vec!["openai/gpt-4o".to_owned(), "sim/sim-small".to_owned()]));
}

#[test]
fn model_forms_are_resolved_or_refused_with_the_way_out() {
    let engine = engine(company(json!({"settings": {}})));
    let code = |model: &str| decide(&engine, &request(model), "0").map_err(|(code, _)| code);
    assert_eq!(code("gpt-4o"), Ok(vec!["openai/gpt-4o".to_owned()]));
    assert_eq!(code("openai/anything"), Ok(vec!["openai/anything".to_owned()]));
    assert_eq!(code("@cheap"), Ok(vec!["sim/sim-small".to_owned()]));
    assert_eq!(code("@nope"), Err("routing_config_not_found".to_owned()));
    assert_eq!(code("sim/error-429"), Ok(vec!["sim/error-429".to_owned()]));
    assert_eq!(code("*"), Err("model_not_found".to_owned()));
    assert_eq!(code("nope"), Err("model_not_found".to_owned()));
    assert_eq!(code("nope/gpt-4o"), Err("model_not_found".to_owned()));
    assert_eq!(code(""), Err("model_not_found".to_owned()));
    assert_eq!(code("@"), Err("routing_config_not_found".to_owned()));
}

#[test]
fn bare_names_are_refused_where_the_project_does_not_look_them_up() {
    let projects = json!([{"name": "support", "settings": {"auto_resolve_bare_model": false}, "keys": [{"name": "ci"}]}]);
    let engine = engine(company(json!({"settings": {}, "projects": projects})));
    let (code, message) = decide(&engine, &request("gpt-4o"), "0").unwrap_err();
    assert_eq!(code, "model_not_found");
    assert!(message.contains("write `provider/model`"), "{message}");
}

#[test]
fn a_key_reaches_only_its_models_whichever_way_it_asks() {
    let projects = json!([{"name": "support", "keys": [{"name": "ci", "allowed_models": ["sim/*", "gpt-4o-mini"]}]}]);
    let engine = engine(company(json!({"settings": {}, "projects": projects})));
    assert_eq!(decide(&engine, &request("openai/gpt-4o"), "0").unwrap_err().0, "policy_denied");
    assert_eq!(decide(&engine, &request("openai/gpt-4o-mini"), "0"), Ok(vec!["openai/gpt-4o-mini".to_owned()]));
    // Of a fallback, what is not allowed is left out and the rest still serves.
    assert_eq!(decide(&engine, &request("@production"), "0"), Ok(vec!["sim/sim-small".to_owned()]));
}

#[test]
fn a_project_can_narrow_the_company_policy_but_not_leave_it() {
    let configs = json!([
        {"slug": "entry", "strategy": "custom_rules", "rules": [{"if": "tags.team == 'a'", "then": "sim/sim-small"}, {"else": "pass"}]},
        {"slug": "own", "strategy": "custom_rules", "rules": [{"if": "request.stream", "then": {"deny": "no streams here"}}, {"else": "openai/gpt-4o"}]},
    ]);
    let projects = json!([{"name": "support", "settings": {"entry_policy": "@own"}, "keys": [{"name": "ci"}]}]);
    let engine = engine(company(json!({"routing_configs": configs, "projects": projects})));
    // The company passes: the project decides.
    assert_eq!(decide(&engine, &request("sim/sim-large"), "0"), Ok(vec!["openai/gpt-4o".to_owned()]));
    // The company redirects: the project's own redirect is ignored.
    assert_eq!(decide(&engine, &tagged("team", "a"), "0"), Ok(vec!["sim/sim-small".to_owned()]));
    // But its denial holds.
    let streaming = crate::facts::RequestFacts { stream: true, ..tagged("team", "a") };
    let (code, message) = decide(&engine, &streaming, "0").unwrap_err();
    assert_eq!(code, "policy_denied");
    assert!(message.contains("no streams here") && message.contains("@own"), "{message}");
}

#[test]
fn an_allowlist_as_entry_policy_binds_every_target() {
    let configs = json!([
        {"slug": "entry", "strategy": "allowlist", "models": ["sim/*"], "otherwise": {"deny": "only simulated models"}},
        {"slug": "mixed", "strategy": "fallback", "attempts": [{"model": "openai/gpt-4o"}, {"model": "sim/sim-small"}]},
    ]);
    let engine = engine(company(json!({"routing_configs": configs})));
    assert_eq!(decide(&engine, &request("sim/sim-large"), "0"), Ok(vec!["sim/sim-large".to_owned()]));
    assert_eq!(decide(&engine, &request("@mixed"), "0"), Ok(vec!["sim/sim-small".to_owned()]));
    assert_eq!(decide(&engine, &request("openai/gpt-4o"), "0").unwrap_err().0, "policy_denied");
}

#[test]
fn an_allowlist_as_entry_policy_also_binds_where_the_project_redirects() {
    let configs = json!([
        {"slug": "entry", "strategy": "allowlist", "models": ["sim/*"], "otherwise": {"deny": "only simulated models"}},
        {"slug": "own", "strategy": "custom_rules", "rules": [{"else": "openai/gpt-4o"}]},
    ]);
    let projects = json!([{"name": "support", "settings": {"entry_policy": "@own"}, "keys": [{"name": "ci"}]}]);
    let engine = engine(company(json!({"routing_configs": configs, "projects": projects})));
    assert_eq!(decide(&engine, &request("sim/sim-large"), "0").unwrap_err().0, "policy_denied");
}

#[test]
fn a_budget_downgrades_from_its_share_on() {
    let budgets = json!([{"name": "all", "scope": "organization", "period": "monthly", "cap_usd": 100, "at_cap": {"downgrade": "@cheap"}, "downgrade_at": 0.9}]);
    let engine = engine(company(json!({"settings": {}, "budgets": budgets})));
    assert_eq!(decide(&engine, &request("openai/gpt-4o"), "89.999999999"), Ok(vec!["openai/gpt-4o".to_owned()]));
    assert_eq!(decide(&engine, &request("openai/gpt-4o"), "90"), Ok(vec!["sim/sim-small".to_owned()]));
}

#[test]
fn a_shadow_budget_only_says_what_it_would_do() {
    let budgets = json!([{"name": "all", "scope": "organization", "period": "monthly", "cap_usd": 1, "at_cap": {"downgrade": "@cheap"}, "mode": "shadow"}]);
    let engine = engine(company(json!({"settings": {}, "budgets": budgets})));
    assert_eq!(decide(&engine, &request("openai/gpt-4o"), "5"), Ok(vec!["openai/gpt-4o".to_owned()]));
}

#[test]
fn under_a_blocking_budget_a_model_without_a_price_is_refused() {
    let budgets = json!([{"name": "all", "scope": "organization", "period": "monthly", "cap_usd": 100}]);
    let engine = engine(company(json!({"settings": {}, "budgets": budgets})));
    let (code, message) = decide(&engine, &request("openai/unheard-of"), "0").unwrap_err();
    assert_eq!(code, "model_unpriced");
    assert!(message.contains("declare its price"), "{message}");
    assert!(decide(&engine, &request("openai/gpt-4o"), "0").is_ok());
}

#[test]
fn under_a_ceiling_a_model_without_a_price_is_served_and_the_ceiling_is_held() {
    let budgets = json!([{"name": "all", "scope": "organization", "period": "monthly", "cap_usd": 100}]);
    let manifest = company(json!({"settings": {"unpriced_models": "ceiling"}, "budgets": budgets}));
    let bundle = crate::testing::compiled(manifest).unwrap();
    // A worker that does not know of ceilings reads this bundle too, and refuses.
    assert_eq!((bundle.unpriced_models, bundle.unpriced_rates), (crate::source::UnpricedModels::Deny, Some(crate::catalogue::CEILING)));
    let target = only_target(&super::Engine::load(bundle).unwrap(), &request("openai/unheard-of"));
    assert_eq!(target.price_version.as_ref(), "ceiling");
    assert_eq!(target.worst_case(1_000_000, Some(1_000), 1).unwrap().to_string(), "150.74");
}

#[test]
fn a_dated_model_name_has_the_price_and_the_limits_of_the_model() {
    let engine = engine(company(json!({"settings": {}})));
    for name in ["openai/gpt-4o-2024-08-06", "gpt-4o-2024-08-06"] {
        let target = only_target(&engine, &request(name));
        assert_eq!((target.model.as_ref(), target.max_output_tokens), ("gpt-4o-2024-08-06", Some(16_384)));
        assert_eq!(target.prices.unwrap().rates.output, 10_000_000_000);
    }
}

#[test]
fn an_announced_price_holds_from_its_instant_without_a_new_bundle() {
    let manifest =
        json!({"org": "acme", "providers": [{"name": "g", "vendor": "google"}], "projects": [{"name": "p", "keys": [{"name": "ci"}]}]});
    let mut bundle = crate::testing::compiled(manifest).unwrap();
    // No vendor that is served has a price to come today.
    bundle.providers[0].vendor = "openai".to_owned();
    let engine = super::Engine::load(bundle).unwrap();
    let priced = |time: &str| {
        let request = crate::facts::RequestFacts { time: time.parse().unwrap(), ..request("g/gemini-3.8-flash") };
        let target = only_target(&engine, &request);
        (target.prices.unwrap().rates.output, target.price_version)
    };
    let (before, after) = (priced("2026-12-31T23:59:59Z"), priced("2027-01-01T00:00:00Z"));
    assert_eq!((before.0, after.0), (3_750_000_000, 7_500_000_000));
    assert_eq!(*after.1, format!("{} from 2027-01-01 00:00:00", before.1), "R-19: what was paid by which price is told apart");
}

/// The one target that a request is permitted to.
fn only_target(engine: &super::Engine, request: &crate::facts::RequestFacts) -> crate::decision::ResolvedTarget {
    let used = crate::testing::Used(crate::money::NanoUsd::ZERO);
    let decision = engine.decide(&subject(engine, "ci"), request, &used, &crate::testing::NoHealth, Default::default());
    let crate::decision::Decision::Permit(permit) = decision else { panic!("not permitted: {decision:?}") };
    let crate::decision::Route::Target(target) = permit.route() else { panic!("not one target") };
    target.clone()
}

#[test]
fn an_expired_key_and_a_foreign_address_are_refused() {
    let projects = json!([{"name": "support", "keys": [{"name": "ci", "expires": "2026-11-22"}]}]);
    assert_eq!(decide(&engine(company(json!({"projects": projects}))), &request("gpt-4o"), "0").unwrap_err().0, "key_expired");
    let projects = json!([{"name": "support", "keys": [{"name": "ci", "ip_allowlist": ["10.0.0.0/8"]}]}]);
    assert_eq!(decide(&engine(company(json!({"projects": projects}))), &request("gpt-4o"), "0").unwrap_err().0, "ip_not_allowed");
    let settings = json!({"ip_allowlist": {"proxy": ["192.168.0.0/16"]}});
    assert_eq!(decide(&engine(company(json!({"settings": settings}))), &request("gpt-4o"), "0").unwrap_err().0, "ip_not_allowed");
}

#[test]
fn a_vendor_of_a_newer_control_plane_is_refused_before_anything_is_sent() {
    let mut bundle = compiled(company(json!({"settings": {}}))).unwrap();
    bundle.providers[0].vendor = "newcomer".to_owned();
    let engine = Engine::load(bundle).unwrap();
    let (code, message) = decide(&engine, &request("openai/gpt-4o"), "0").unwrap_err();
    assert_eq!(code, "model_not_found");
    assert!(message.contains("`newcomer`"), "{message}");
}

#[test]
fn budgets_apply_by_scope_and_value() {
    let budgets = json!([
        {"name": "a-org", "scope": "organization", "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "b-project", "scope": {"project": "support"}, "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "c-key", "scope": {"key": "support/ci"}, "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "d-other", "scope": {"key": "support/other"}, "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "e-user", "scope": {"end_user": "u1"}, "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "f-each-user", "scope": "end_user", "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "g-tag", "scope": {"tag": "team", "value": "x"}, "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "h-each-tag", "scope": {"tag": "team"}, "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "i-model", "scope": {"model": "gpt-*"}, "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
        {"name": "j-provider", "scope": {"provider": "sim"}, "period": "monthly", "cap_usd": 1, "at_cap": "warn_only"},
    ]);
    let projects = json!([{"name": "support", "keys": [{"name": "ci"}, {"name": "other"}]}]);
    let engine = engine(company(json!({"settings": {}, "budgets": budgets, "projects": projects})));
    let facts = crate::facts::RequestFacts { end_user: Some("u1".into()), ..tagged("team", "y") };
    let decision = engine.decide(
        &subject(&engine, "ci"),
        &facts,
        &crate::testing::Used("0".parse().unwrap()),
        &crate::testing::NoHealth,
        Default::default(),
    );
    let crate::decision::Decision::Permit(permit) = decision else { panic!("denied") };
    let name = |claim: &crate::decision::Claim| format!("{}:{}", engine.budget(claim.budget).unwrap().name, claim.scope_value);
    let names: Vec<String> = permit.claims().iter().map(name).collect();
    assert_eq!(names, ["a-org:", "b-project:", "c-key:", "e-user:", "f-each-user:u1", "h-each-tag:y"]);
    let crate::decision::Route::Target(target) = permit.route() else { panic!("one target") };
    assert_eq!(target.claims.iter().map(name).collect::<Vec<_>>(), ["i-model:"]);
}

#[test]
fn bound_tags_of_the_key_win_over_the_projects() {
    let projects = json!([{"name": "support", "tags": {"team": "support", "tier": "a"}, "keys": [{"name": "ci", "tags": {"tier": "b"}}]}]);
    let engine = engine(company(json!({"projects": projects})));
    let tags = engine.bound_tags(&subject(&engine, "ci")).unwrap();
    assert_eq!((tags.get("team"), tags.get("tier")), (Some("support"), Some("b")));
}

#[test]
fn the_same_request_is_decided_the_same_way_with_the_same_trace() {
    let engine = engine(company(json!({})));
    let once = || {
        let decision = engine.decide(
            &subject(&engine, "ci"),
            &tagged("team", "support"),
            &crate::testing::Used("1".parse().unwrap()),
            &crate::testing::NoHealth,
            Default::default(),
        );
        match decision {
            crate::decision::Decision::Permit(permit) => permit.trace().to_json().get().to_owned(),
            crate::decision::Decision::Deny(denial) => denial.trace.to_json().get().to_owned(),
        }
    };
    assert_eq!(once(), once());
    assert!(once().contains(r#""condition":"tags.team == 'support'","then":"@support-allowed""#), "{}", once());
}

/// Old bundles stay readable and mean the same; what is added gets a new file, and these are never edited.
#[test]
fn bundles_of_format_1_still_read_and_decide_the_same() {
    for (bundle, expected) in [
        (include_str!("../../testdata/bundle/v1.json"), include_str!("../../testdata/bundle/v1.expected.json")),
        (include_str!("../../testdata/bundle/v1-selection.json"), include_str!("../../testdata/bundle/v1-selection.expected.json")),
        (include_str!("../../testdata/bundle/v1-cache.json"), include_str!("../../testdata/bundle/v1-cache.expected.json")),
        (include_str!("../../testdata/bundle/v1-waiting.json"), include_str!("../../testdata/bundle/v1-waiting.expected.json")),
        (include_str!("../../testdata/bundle/v1-vectors.json"), include_str!("../../testdata/bundle/v1-vectors.expected.json")),
    ] {
        let engine = super::Engine::load(serde_json::from_str(bundle).unwrap()).unwrap();
        let expected: Value = serde_json::from_str(expected).unwrap();
        for case in expected.as_array().unwrap() {
            let mut facts = request(case["model"].as_str().unwrap());
            facts.tags = serde_json::from_value(case["tags"].clone()).unwrap();
            facts.end_user = case.get("end_user").and_then(Value::as_str).map(Into::into);
            let decided = match decide(&engine, &facts, case["used_usd"].as_str().unwrap()) {
                Ok(targets) => json!({"targets": targets}),
                Err((code, _)) => json!({"denied": code}),
            };
            assert_eq!(decided, case["expected"], "{case}");
            if let Some(expected) = case.get("cache") {
                let terms = caching::terms(&engine, &facts, case["used_usd"].as_str().unwrap());
                let found = terms.map(|terms| json!({"config": *terms.config, "ttl_seconds": terms.ttl_seconds}));
                assert_eq!(found.unwrap_or_default(), *expected, "{case}");
            }
        }
    }
}
