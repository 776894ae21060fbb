//! Whose response cache is asked.

use serde_json::{Value, json};

use super::company;
use crate::decision::{CacheTerms, Decision, Trace};
use crate::engine::Engine;
use crate::facts::RequestFacts;
use crate::testing::{NoHealth, Used, compiled, engine, request, subject};

fn keeping(seconds: u32) -> Value {
    json!({"mode": "exact", "ttl_seconds": seconds})
}

pub(super) fn terms(engine: &Engine, request: &RequestFacts, used_usd: &str) -> Option<CacheTerms> {
    match engine.decide(&subject(engine, "ci"), request, &Used(used_usd.parse().unwrap()), &NoHealth, Trace::default()) {
        Decision::Permit(permit) => permit.cache().cloned(),
        Decision::Deny(denial) => panic!("{}", denial.message),
    }
}

fn found(engine: &Engine, model: &str) -> Option<(String, u32)> {
    terms(engine, &request(model), "0").map(|terms| (terms.config.to_string(), terms.ttl_seconds))
}

/// No rules and no budgets, so that only what is said here decides.
fn plain(more: Value) -> Engine {
    let mut manifest = json!({"settings": {}, "budgets": []});
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    engine(company(manifest))
}

#[test]
fn the_outermost_config_with_a_cache_decides_and_all_below_it_have_a_say_in_the_versions() {
    let engine = plain(json!({"routing_configs": [
        {"slug": "outer", "strategy": "custom_rules", "rules": [{"else": "@middle"}]},
        {"slug": "middle", "strategy": "single", "model": "@inner", "cache": keeping(10)},
        {"slug": "inner", "strategy": "single", "model": "openai/gpt-4o", "cache": keeping(20)},
    ]}));
    assert_eq!(found(&engine, "@outer"), Some(("@middle".to_owned(), 10)));
    assert_eq!(found(&engine, "@inner"), Some(("@inner".to_owned(), 20)));
    assert_eq!(found(&engine, "openai/gpt-4o"), None, "nobody said that plain models are kept");
    let asked = terms(&engine, &request("@outer"), "0").unwrap();
    let slugs: Vec<&str> = asked.configs.iter().map(|&at| &*engine.bundle().configs[at as usize].slug).collect();
    assert_eq!(slugs, ["middle", "inner"]);
    assert!(!asked.include_sampled);
}

#[test]
fn a_cache_of_one_of_several_does_not_count_and_one_around_them_does() {
    let parts = json!([{"model": "@kept"}, {"model": "openai/gpt-4o-mini"}]);
    let engine = plain(json!({"routing_configs": [
        {"slug": "kept", "strategy": "single", "model": "openai/gpt-4o", "cache": keeping(20)},
        {"slug": "fallback", "strategy": "fallback", "attempts": parts},
        {"slug": "ensemble", "strategy": "ensemble", "aggregation": "first_valid", "members": parts},
        {"slug": "cascade", "strategy": "cascade", "steps": [{"model": "@kept", "accept": "true"}, {"model": "openai/gpt-4o-mini"}]},
        {"slug": "around", "strategy": "fallback", "attempts": parts, "cache": keeping(30)},
        {"slug": "split", "strategy": "ab_test", "variants": [{"name": "a", "weight": 1, "config": "@kept"}]},
    ]}));
    for of_parts in ["@fallback", "@ensemble", "@cascade"] {
        assert_eq!(found(&engine, of_parts), None, "{of_parts}");
    }
    assert_eq!(found(&engine, "@around"), Some(("@around".to_owned(), 30)));
    assert_eq!(terms(&engine, &request("@around"), "0").unwrap().configs.len(), 2, "the part's version counts");
    assert_eq!(found(&engine, "@split"), Some(("@kept".to_owned(), 20)));
}

#[test]
fn an_entry_policy_with_a_cache_keeps_what_it_passes_and_what_it_redirects() {
    let engine = plain(json!({
        "settings": {"entry_policy": "@entry"},
        "routing_configs": [
            {"slug": "entry", "strategy": "custom_rules", "cache": keeping(5),
             "rules": [{"if": "request.stream", "then": "@kept"}, {"else": "pass"}]},
            {"slug": "kept", "strategy": "single", "model": "openai/gpt-4o", "cache": keeping(20)},
        ],
    }));
    assert_eq!(found(&engine, "openai/gpt-4o"), Some(("@entry".to_owned(), 5)));
    let redirected = terms(&engine, &RequestFacts { stream: true, ..request("openai/gpt-4o") }, "0").unwrap();
    assert_eq!((&*redirected.config, redirected.configs.len()), ("@entry", 2));
}

/// An allowlist as entry policy looks at what was asked for before it refuses it.
#[test]
fn a_config_that_was_only_looked_at_keeps_nothing() {
    let engine = plain(json!({
        "settings": {"entry_policy": "@entry"},
        "routing_configs": [
            {"slug": "entry", "strategy": "allowlist", "models": ["gpt-4o-mini"], "otherwise": "@plain"},
            {"slug": "kept", "strategy": "single", "model": "openai/gpt-4o", "cache": keeping(20)},
            {"slug": "plain", "strategy": "single", "model": "openai/gpt-4o-mini"},
        ],
    }));
    assert_eq!(found(&engine, "@kept"), None);
}

#[test]
fn who_stands_in_for_a_target_keeps_nothing_and_a_downgrade_of_the_request_does() {
    let configs = json!([
        {"slug": "kept", "strategy": "single", "model": "openai/gpt-4o-mini", "cache": keeping(20)},
        {"slug": "dear", "strategy": "single", "model": "openai/gpt-4o"},
    ]);
    let budget = |scope: Value| json!([{"name": "b", "scope": scope, "period": "monthly", "cap_usd": 10, "at_cap": {"downgrade": "@kept"}, "downgrade_at": 0.5}]);
    let of_model = plain(json!({"routing_configs": configs, "budgets": budget(json!({"model": "gpt-4o"}))}));
    assert_eq!(terms(&of_model, &request("@dear"), "9"), None);
    let of_all = plain(json!({"routing_configs": configs, "budgets": budget(json!("organization"))}));
    assert_eq!(terms(&of_all, &request("@dear"), "9").map(|terms| terms.ttl_seconds), Some(20));
}

#[test]
fn a_time_that_is_none_is_refused_by_name() {
    for seconds in [0, 604_801] {
        let configs = json!([{"slug": "a", "strategy": "single", "model": "openai/gpt-4o", "cache": keeping(seconds)}]);
        let rejections = compiled(company(json!({"settings": {}, "budgets": [], "routing_configs": configs}))).unwrap_err();
        assert_eq!(rejections[0].to_string(), "routing_config `a`, field `cache.ttl_seconds`: must be 1 to 604800 seconds");
    }
}

/// What a newer control plane means by a cache is not guessed: nothing is kept, and the request is served.
#[test]
fn a_cache_that_is_not_understood_keeps_nothing() {
    let configs = json!([{"slug": "a", "strategy": "single", "model": "openai/gpt-4o", "cache": keeping(9)}]);
    let mut bundle =
        serde_json::to_value(compiled(company(json!({"settings": {}, "budgets": [], "routing_configs": configs}))).unwrap()).unwrap();
    bundle["configs"][0]["cache"]["mode"] = "semantic".into();
    let engine = Engine::load(serde_json::from_value(bundle).unwrap()).unwrap();
    assert_eq!(found(&engine, "@a"), None);
}
