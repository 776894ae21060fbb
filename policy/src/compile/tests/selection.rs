//! Strategies that select: what they may select from, and what is refused with which reason.

use serde_json::{Value, json};

use super::{manifest, rejection};
use crate::bundle::v1::{Bundle, Strategy};
use crate::testing::compiled;

fn with(config: Value) -> Value {
    let mut config = config;
    config["slug"] = json!("a");
    json!({"routing_configs": [config, {"slug": "b", "strategy": "single", "model": "openai/gpt-4o"}]})
}

fn candidates(bundle: &Bundle) -> Vec<&str> {
    let Strategy::CostOptimized { candidates, .. } = &bundle.configs[0].strategy else { panic!("cost_optimized") };
    candidates.iter().map(|at| bundle.models[*at as usize].name.as_ref()).collect()
}

#[test]
fn a_tier_is_its_priced_models_narrowed_by_patterns() {
    let models = json!([
        {"model": "openai/own", "input_usd_per_mtok": 1, "quality_tier": "economy"},
        {"model": "openai/unpriced", "quality_tier": "economy"},
        {"model": "openai/any-*", "input_usd_per_mtok": 1, "quality_tier": "economy"},
    ]);
    let compile = |config: Value| {
        let mut patch = with(config);
        patch["models"] = models.clone();
        compiled(manifest(patch)).unwrap()
    };
    let all = compile(json!({"strategy": "cost_optimized", "quality_tier": "economy"}));
    let all = candidates(&all);
    assert!(["gpt-4.1-mini", "gpt-5-nano", "own", "sim-small"].iter().all(|model| all.contains(model)), "{all:?}");
    let others = ["gpt-4o", "unpriced", "any-*", "*", "text-embedding-3-small", "gpt-4o-mini-search-preview"];
    assert!(!others.iter().any(|model| all.contains(model)), "{all:?}");
    let some = compile(json!({"strategy": "cost_optimized", "quality_tier": "economy", "allowed_models": ["gpt-4.1-*", "sim/*"]}));
    assert_eq!(candidates(&some), ["gpt-4.1-mini", "sim-small"]);
}

#[test]
fn of_a_vendor_whose_customers_name_the_models_only_those_declared_are_candidates() {
    let azure = json!([{"name": "az", "vendor": "azure", "base_url": "https://x.openai.azure.com"}]);
    let config = json!({"slug": "a", "strategy": "cost_optimized", "quality_tier": "economy"});
    let mut wanted = json!({"routing_configs": [config], "providers": azure});
    assert!(rejection(wanted.clone()).contains("no model is of tier `economy`"));
    wanted["models"] = json!([{"model": "az/gpt-4.1-mini"}, {"model": "az/ours", "input_usd_per_mtok": 1, "quality_tier": "economy"}]);
    assert_eq!(candidates(&compiled(manifest(wanted)).unwrap()), ["gpt-4.1-mini", "ours"]);
}

#[test]
fn a_tier_without_a_model_to_take_is_refused_with_the_reason() {
    let unpriced = json!([{"name": "own", "vendor": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}]);
    let only = |tier: &str| with(json!({"strategy": "cost_optimized", "quality_tier": tier}));
    let mut none = json!({"routing_configs": [only("economy")["routing_configs"][0]], "providers": unpriced});
    assert_eq!(
        rejection(none.clone()),
        "routing_config `a`, field `quality_tier`: no model is of tier `economy`; declare a provider that has some, or set `quality_tier` under `models`"
    );
    none["models"] = json!([{"model": "own/m", "quality_tier": "economy"}]);
    assert_eq!(rejection(none), "routing_config `a`, field `quality_tier`: no model of tier `economy` has a price; the tier has `own/m`");
    let refused = rejection(with(json!({"strategy": "cost_optimized", "quality_tier": "premium", "allowed_models": ["gpt-4.1*"]})));
    assert!(
        refused.starts_with("routing_config `a`, field `allowed_models`: names no priced model of tier `premium`; the tier has `openai/"),
        "{refused}"
    );
}

#[test]
fn selections_that_make_no_sense_are_refused_where_they_stand() {
    let variant = |name: &str, weight: u32, config: &str| json!({"name": name, "weight": weight, "config": config});
    let test = |variants: Value| json!({"strategy": "ab_test", "variants": variants, "sticky_by": "end_user"});
    for (config, expected) in [
        (json!({"strategy": "latency_optimized", "models": []}), "field `models`: 1 to 64 models"),
        (json!({"strategy": "latency_optimized", "models": ["@b"]}), "field `models[0]`: latency is measured by model"),
        (json!({"strategy": "latency_optimized", "models": ["openai/*"]}), "field `models[0]`: latency is measured by model"),
        (json!({"strategy": "latency_optimized", "models": ["gpt-4o", "nowhere/x"]}), "field `models[1]`: there is no provider `nowhere`"),
        (
            json!({"strategy": "latency_optimized", "models": ["gpt-4o", "openai/gpt-4o"]}),
            "field `models[1]`: `openai/gpt-4o` is there twice",
        ),
        (test(json!([])), "field `variants`: a test has 1 to 16 variants"),
        (test(json!([variant("x", 1, "@b"), variant("x", 1, "@b")])), "field `variants[1].name`: variant `x` is there twice"),
        (test(json!([variant("a b", 1, "@b")])), "field `variants[0].name`: `a b` can't be a name"),
        (test(json!([variant("a", 1, "@b"), variant("c", 0, "@b")])), "field `variants[1].weight`: must be 1 to 1000000; to end a variant"),
        (test(json!([variant("a", 1, "@nope")])), "field `variants[0].config`: there is no routing config `@nope`"),
        (test(json!([variant("a", 1, "pass")])), "field `variants[0].config`: must be a model or `@slug`"),
    ] {
        let text = rejection(with(config));
        assert!(text.contains(expected), "`{text}` does not say `{expected}`");
    }
}

#[test]
fn a_cycle_through_a_variant_is_refused_with_its_path() {
    let configs = json!([
        {"slug": "a", "strategy": "ab_test", "variants": [{"name": "x", "weight": 1, "config": "openai/gpt-4o"}, {"name": "y", "weight": 1, "config": "@b"}]},
        {"slug": "b", "strategy": "single", "model": "@a"},
    ]);
    assert_eq!(
        rejection(json!({"routing_configs": configs})),
        "routing_config `a`, field `strategy`: references go in a circle: @a → @b → @a"
    );
}

#[test]
fn a_strategy_that_selects_is_no_entry_policy() {
    for config in [
        json!({"strategy": "cost_optimized", "quality_tier": "economy"}),
        json!({"strategy": "latency_optimized", "models": ["gpt-4o"]}),
        json!({"strategy": "ab_test", "variants": [{"name": "x", "weight": 1, "config": "@b"}]}),
    ] {
        let mut patch = with(config);
        patch["settings"] = json!({"entry_policy": "@a"});
        assert!(rejection(patch).contains("neither `custom_rules` nor `allowlist`"));
    }
}

#[test]
fn ensembles_that_make_no_sense_are_refused_where_they_stand() {
    let two = json!([{"model": "@b"}, {"model": "gpt-4o", "weight": 0.5}]);
    let ensemble = |aggregation: &str, members: &Value, more: Value| {
        let mut config = json!({"strategy": "ensemble", "aggregation": aggregation, "members": members});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    for (config, expected) in [
        (ensemble("weighted_vote", &json!([{"model": "@b"}]), json!({})), "field `members`: an ensemble has 2 to 8 members"),
        (ensemble("llm_judge", &two, json!({})), "field `judge`: aggregation `llm_judge` needs a `judge`"),
        (ensemble("llm_judge", &two, json!({"judge": "@nope"})), "field `judge`: there is no routing config `@nope`"),
        (ensemble("weighted_vote", &two, json!({"judge": "@b"})), "field `judge`: aggregation `weighted_vote` asks no judge"),
        (ensemble("weighted_vote", &two, json!({"quorum": 3})), "field `quorum`: must be 1 to 2"),
        (ensemble("first_valid", &two, json!({"quorum": 1})), "field `quorum`: aggregation `first_valid` takes the first answer"),
        (ensemble("weighted_vote", &two, json!({"timeout_ms": 0})), "field `timeout_ms`: must be 1 to 600000 milliseconds"),
        (
            ensemble("weighted_vote", &json!([{"model": "@b"}, {"model": "@b", "weight": 0}]), json!({})),
            "field `members[1].weight`: must be above 0",
        ),
        (
            ensemble("weighted_vote", &json!([{"model": "@b"}, {"model": "pass"}]), json!({})),
            "field `members[1].model`: must be a model or `@slug`",
        ),
    ] {
        let text = rejection(with(config));
        assert!(text.contains(expected), "`{text}` does not say `{expected}`");
    }
    let config = ensemble("llm_judge", &two, json!({"judge": "@a"}));
    assert!(rejection(with(config)).contains("references go in a circle: @a → @a"));
}

#[test]
fn cascades_that_make_no_sense_are_refused_where_they_stand() {
    let last = json!({"model": "@b"});
    for (steps, expected) in [
        (json!([last]), "field `steps`: a cascade has 2 to 8 steps"),
        (json!([last, last]), "field `steps[0].accept`: is missing"),
        (
            json!([{"model": "gpt-4o", "accept": "true"}, {"model": "@b", "accept": "true"}]),
            "field `steps[1].accept`: the last step is always",
        ),
        (
            json!([{"model": "gpt-4o", "accept": "response.text"}, last]),
            "field `steps[0].accept`: line 1, column 1: a rule has to be true or false",
        ),
        (
            json!([{"model": "gpt-4o", "accept": "true &&\n  tags.team == 'a'"}, last]),
            "field `steps[0].accept`: line 2, column 3: unknown variable `tags`; known are `response`",
        ),
        (json!([{"model": "gpt-4o", "accept": "true"}, {"model": {"deny": "no"}}]), "field `steps[1].model`: must be a model or `@slug`"),
        (json!([{"model": "@a", "accept": "true"}, last]), "references go in a circle: @a → @a"),
    ] {
        let text = rejection(with(json!({"strategy": "cascade", "steps": steps})));
        assert!(text.contains(expected), "`{text}` does not say `{expected}`");
    }
}
