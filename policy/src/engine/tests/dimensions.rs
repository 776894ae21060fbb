//! How long vectors are: what the outermost config says, at whatever target a request ends.

use serde_json::{Value, json};

use super::company;
use crate::decision::Decision;
use crate::engine::Engine;
use crate::testing::{NoHealth, Used, engine, request, subject};

/// The length at each target, and the config that says so.
fn lengths(engine: &Engine, model: &str, used_usd: &str) -> Vec<Option<(u32, String)>> {
    let used = Used(used_usd.parse().unwrap());
    let decision = engine.decide(&subject(engine, "ci"), &request(model), &used, &NoHealth, Default::default());
    let Decision::Permit(permit) = decision else { panic!("a permit") };
    let mut lengths = Vec::new();
    permit.route().each_target(&mut |target| {
        let config = |at: u32| engine.bundle().configs[usize::try_from(at).unwrap()].slug.to_string();
        lengths.push(target.dimensions.map(|said| (said.number, config(said.config))));
    });
    lengths
}

fn by(number: u32, slug: &str) -> Option<(u32, String)> {
    Some((number, slug.to_owned()))
}

fn organization(more: Value) -> Engine {
    let mut manifest = json!({"settings": {}, "budgets": [], "routing_configs": [
        {"slug": "index", "strategy": "fallback", "attempts": [{"model": "@inner"}, {"model": "sim/embed"}], "embedding_dimensions": 512},
        {"slug": "inner", "strategy": "single", "model": "openai/text-embedding-3-small", "embedding_dimensions": 1024},
        {"slug": "silent", "strategy": "single", "model": "@inner"},
        {"slug": "company", "strategy": "custom_rules", "rules": [{"else": "pass"}], "embedding_dimensions": 256},
        {"slug": "cheap", "strategy": "single", "model": "sim/sim-small"}]});
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    engine(company(manifest))
}

#[test]
fn bundles_that_say_so_say_the_same_again() {
    let bundle = include_str!("../../../testdata/bundle/v1-vectors.json");
    let engine = Engine::load(serde_json::from_str(bundle).unwrap()).unwrap();
    assert_eq!(lengths(&engine, "@index", "0"), [by(512, "index"), by(512, "index")]);
    assert_eq!(lengths(&engine, "@silent", "0"), [by(1024, "inner")]);
    let again: Value = serde_json::to_value(engine.bundle()).unwrap();
    assert_eq!(again["configs"], serde_json::from_str::<Value>(bundle).unwrap()["configs"]);
}

#[test]
fn the_outermost_config_that_says_a_length_decides() {
    let engine = organization(json!({}));
    assert_eq!(lengths(&engine, "@index", "0"), [by(512, "index"), by(512, "index")]);
    assert_eq!(lengths(&engine, "@silent", "0"), [by(1024, "inner")]);
    assert_eq!(lengths(&engine, "@cheap", "0"), [None]);
    let engine = organization(json!({"settings": {"entry_policy": "@company"}}));
    assert_eq!(lengths(&engine, "@index", "0"), [by(256, "company"), by(256, "company")]);
    assert_eq!(lengths(&engine, "sim/embed", "0"), [by(256, "company")]);
}

#[test]
fn what_was_asked_for_holds_where_a_budget_leads_elsewhere() {
    let budget = json!({"name": "all", "scope": "organization", "period": "monthly", "cap_usd": 100, "at_cap": {"downgrade": "@cheap"}});
    let engine = organization(json!({"budgets": [budget]}));
    assert_eq!(lengths(&engine, "@index", "100"), [by(512, "index")]);
    let of_target = json!({"name": "small", "scope": {"model": "openai/text-embedding-*"}, "period": "monthly", "cap_usd": 100,
        "at_cap": {"downgrade": "@cheap"}});
    let engine = organization(json!({"budgets": [of_target]}));
    assert_eq!(lengths(&engine, "@silent", "100"), [by(1024, "inner")]);
}
