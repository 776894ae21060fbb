//! Strategies that select: which target comes first, and what the caller is told of it.

use serde_json::{Value, json};

use super::company;
use crate::decision::{Decision, Permit, Route, Trace};
use crate::engine::Engine;
use crate::facts::RequestFacts;
use crate::testing::{NoHealth, Paces, Used, decide, decide_by, engine, request, subject};

/// Three models of one tier whose order by cost depends on the request, and one that is too small for most.
fn shop(configs: Value) -> Engine {
    let model = |name: &str, input: f64, output: f64, context: u32| {
        json!({"model": format!("own/{name}"), "input_usd_per_mtok": input, "output_usd_per_mtok": output, "quality_tier": "standard",
            "context_tokens": context, "max_output_tokens": 8_000})
    };
    engine(company(json!({
        "settings": {},
        "budgets": [],
        "providers": [{"name": "own", "vendor": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}, {"name": "sim", "vendor": "simulated"}],
        "models": [model("reads", 1.0, 40.0, 100_000), model("writes", 10.0, 4.0, 100_000), model("both", 5.0, 10.0, 1_000_000),
            model("dear", 50.0, 50.0, 1_000_000), model("tiny", 0.1, 0.1, 600)],
        "routing_configs": configs,
    })))
}

fn sized(input_tokens: u64, max_output_tokens: Option<u64>) -> RequestFacts {
    RequestFacts { input_tokens, max_output_tokens, ..request("@a") }
}

fn permit(engine: &Engine, request: &RequestFacts) -> Permit {
    match engine.decide(&subject(engine, "ci"), request, &Used("0".parse().unwrap()), &NoHealth, Trace::default()) {
        Decision::Permit(permit) => permit,
        Decision::Deny(denial) => panic!("{}", denial.message),
    }
}

fn cheapest() -> Engine {
    shop(json!([{"slug": "a", "strategy": "cost_optimized", "quality_tier": "standard"}]))
}

#[test]
fn the_cheapest_model_is_the_one_that_this_request_costs_least_at() {
    let engine = cheapest();
    // Much to read and little to write, and the other way round.
    assert_eq!(decide(&engine, &sized(50_000, Some(100)), "0").unwrap(), ["own/reads", "own/both", "own/writes"]);
    assert_eq!(decide(&engine, &sized(1_000, Some(5_000)), "0").unwrap(), ["own/writes", "own/both", "own/reads"]);
    // Four answers of 200 tokens are 800 to write.
    let many = RequestFacts { choices: 4, ..sized(4_000, Some(200)) };
    assert_eq!(decide(&engine, &sized(4_000, Some(200)), "0").unwrap()[0], "own/reads");
    assert_eq!(decide(&engine, &many, "0").unwrap()[0], "own/both");
}

#[test]
fn without_a_limit_a_third_of_the_input_is_expected_to_come_back() {
    let engine = cheapest();
    let prices = |request: &RequestFacts| permit(&engine, request).trace().to_json().get().to_owned();
    // 30,000 × 1 + 4,096 × 40 for the one, 30,000 × 5 + 4,096 × 10 for the other: the share is bounded.
    assert!(prices(&sized(30_000, None)).contains(r#"{"target":"own/both","standing":"0.19096 USD"}"#), "{}", prices(&sized(30_000, None)));
    // 3,000 × 5 + 1,000 × 10.
    assert!(prices(&sized(3_000, None)).contains(r#"{"target":"own/both","standing":"0.025 USD"}"#), "{}", prices(&sized(3_000, None)));
}

#[test]
fn a_model_that_the_request_does_not_fit_into_is_left_out() {
    let engine = cheapest();
    assert_eq!(decide(&engine, &sized(300, Some(100)), "0").unwrap()[0], "own/tiny");
    assert!(!decide(&engine, &sized(550, Some(100)), "0").unwrap().contains(&"own/tiny".to_owned()));
    assert_eq!(decide(&engine, &sized(200_000, Some(100)), "0").unwrap(), ["own/both", "own/dear"]);
    let (code, message) = decide(&engine, &sized(2_000_000, Some(100)), "0").unwrap_err();
    assert_eq!(code, "model_not_found");
    assert!(message.contains("no model of tier `standard` in `@a` is large enough") && message.contains("context too small"), "{message}");
    let (_, message) = decide(&engine, &sized(10, Some(9_000)), "0").unwrap_err();
    assert!(message.contains("output limit too small"), "{message}");
}

#[test]
fn what_key_and_allowlist_forbid_is_no_candidate() {
    let allowing = |models: Value, settings: Value| {
        let mut manifest = company(json!({"budgets": [], "settings": settings}));
        manifest["projects"] = json!([{"name": "support", "keys": [{"name": "ci", "allowed_models": models}]}]);
        manifest["routing_configs"] = json!([
            {"slug": "a", "strategy": "cost_optimized", "quality_tier": "economy"},
            {"slug": "listed", "strategy": "allowlist", "models": ["gpt-4.1-mini"], "otherwise": {"deny": "not on the list"}}]);
        engine(manifest)
    };
    let all = decide(&allowing(json!(["*"]), json!({})), &sized(100, Some(100)), "0").unwrap();
    assert_eq!((all.len(), all.first().map(String::as_str)), (3, Some("openai/gpt-5-nano")));
    // The fourth cheapest is found, though three are tried.
    let key = allowing(json!(["gpt-4o-mini"]), json!({}));
    assert_eq!(decide(&key, &sized(100, Some(100)), "0").unwrap(), ["openai/gpt-4o-mini"]);
    let entry = allowing(json!(["*"]), json!({"entry_policy": "@listed"}));
    assert_eq!(decide(&entry, &sized(100, Some(100)), "0").unwrap(), ["openai/gpt-4.1-mini"]);
    let none = allowing(json!(["sim/sim-large"]), json!({}));
    assert_eq!(decide(&none, &sized(100, Some(100)), "0").unwrap_err().0, "policy_denied");
}

#[test]
fn a_cheap_model_that_is_not_healthy_comes_last() {
    let health = Paces(&[("own/reads", None)]);
    let targets = decide_by(&cheapest(), &sized(50_000, Some(100)), "0", &health).unwrap();
    assert_eq!(targets, ["own/both", "own/writes", "own/dear"]);
}

fn fastest() -> Engine {
    shop(json!([{"slug": "a", "strategy": "latency_optimized", "models": ["own/reads", "own/writes", "own/both"]}]))
}

#[test]
fn the_fastest_comes_first_and_what_is_not_healthy_last() {
    let health = Paces(&[("own/reads", Some(900)), ("own/writes", None), ("own/both", Some(80))]);
    for draw in [0, 1 << 40, u64::MAX] {
        let request = RequestFacts { draw, ..request("@a") };
        assert_eq!(decide_by(&fastest(), &request, "0", &health).unwrap(), ["own/both", "own/reads", "own/writes"]);
    }
}

#[test]
fn one_request_in_four_begins_with_a_model_that_is_not_measured() {
    let engine = fastest();
    let health = Paces(&[("own/reads", Some(900))]);
    let mut first = std::collections::BTreeMap::new();
    for draw in 0..2_000 {
        let targets = decide_by(&engine, &RequestFacts { draw, ..request("@a") }, "0", &health).unwrap();
        assert_eq!(targets.len(), 3);
        *first.entry(targets[0].clone()).or_insert(0) += 1;
    }
    assert!((1_400..1_600).contains(&first["own/reads"]), "{first:?}");
    assert!((200..300).contains(&first["own/writes"]) && (200..300).contains(&first["own/both"]), "{first:?}");
}

#[test]
fn a_model_measured_too_long_ago_is_measured_again() {
    struct Old;
    impl crate::facts::HealthView for Old {
        fn health(&self, target: &str) -> Option<crate::facts::HealthFacts> {
            let p50_ms = if target == "own/writes" { 1.0 } else { 500.0 };
            Some(crate::facts::HealthFacts { p50_ms, ok: true, stale: target == "own/writes" })
        }
    }
    let engine = fastest();
    let firsts: std::collections::BTreeSet<String> =
        (0..100).map(|draw| decide_by(&engine, &RequestFacts { draw, ..request("@a") }, "0", &Old).unwrap().remove(0)).collect();
    assert_eq!(firsts.into_iter().collect::<Vec<_>>(), ["own/reads", "own/writes"]);
}

fn split(sticky_by: &str) -> Engine {
    shop(json!([
        {"slug": "a", "strategy": "ab_test", "sticky_by": sticky_by, "variants": [
            {"name": "control", "weight": 80, "config": "@plain"}, {"name": "b", "weight": 20, "config": "own/both"}]},
        {"slug": "plain", "strategy": "fallback", "attempts": [{"model": "own/reads"}, {"model": "own/writes"}]},
        {"slug": "outer", "strategy": "fallback", "attempts": [{"model": "own/dear"}, {"model": "@a"}]},
        {"slug": "nested", "strategy": "ab_test", "variants": [{"name": "x", "weight": 1, "config": "@a"}]},
    ]))
}

/// The variant of each target of the route.
fn variants(route: &Route) -> Vec<Option<String>> {
    match route {
        Route::Target(target) => vec![target.variant.as_deref().map(str::to_owned)],
        Route::Fallback { attempts, .. } => attempts.iter().flat_map(|attempt| variants(&attempt.route)).collect(),
        Route::Ensemble(ensemble) => ensemble.members.iter().flat_map(|member| variants(&member.route)).collect(),
        Route::Cascade(cascade) => cascade.steps.iter().flat_map(|step| variants(&step.route)).collect(),
    }
}

#[test]
fn an_end_user_stays_with_a_variant_whatever_else_differs() {
    let engine = split("end_user");
    let of = |user: usize, draw: u64| {
        let request = RequestFacts { end_user: Some(format!("user-{user}").into()), draw, ..request("@a") };
        variants(permit(&engine, &request).route()).remove(0).unwrap()
    };
    let drawn: Vec<String> = (0..500).map(|user| of(user, 0)).collect();
    assert!((0..500).all(|user| of(user, 77) == drawn[user]));
    let in_b = drawn.iter().filter(|variant| *variant == "b").count();
    assert!((70..130).contains(&in_b), "{in_b} of 500 for a share of 20 %");
}

#[test]
fn who_names_nobody_is_drawn_for_each_request() {
    for (sticky_by, told) in [("end_user", "none"), ("none", "none"), ("trace", "trace"), ("conversation", "conversation")] {
        let engine = split(sticky_by);
        let request = |draw| RequestFacts { trace_id: Some("t".into()), conversation_id: Some("c".into()), draw, ..request("@a") };
        let mut drawn: Vec<_> = (0..100).map(|draw| variants(permit(&engine, &request(draw)).route()).remove(0).unwrap()).collect();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), if told == "none" { 2 } else { 1 }, "{sticky_by}");
        let trace = permit(&engine, &request(1)).trace().to_json();
        assert!(trace.get().contains(&format!(r#""sticky_by":"{told}""#)), "{trace}");
    }
}

#[test]
fn each_target_says_which_variant_led_to_it() {
    let engine = split("none");
    let in_b =
        (0..100).find(|draw| matches!(permit(&engine, &RequestFacts { draw: *draw, ..request("@a") }).route(), Route::Target(_))).unwrap();
    let of = |model: &str, draw| variants(permit(&engine, &RequestFacts { draw, ..request(model) }).route());
    let named = |names: &[&str]| names.iter().map(|name| (!name.is_empty()).then(|| (*name).to_owned())).collect::<Vec<_>>();
    assert_eq!(of("@a", in_b), named(&["b"]));
    assert_eq!(of("@outer", in_b), named(&["", "b"]));
    assert_eq!(of("@nested", in_b), named(&["x/b"]));
    assert_eq!(of("own/dear", in_b), named(&[""]));
}

/// An experiment whose arm a caller may not use does not move the caller to the other arm.
#[test]
fn a_variant_that_is_forbidden_is_refused_and_not_replaced() {
    let mut manifest = company(json!({"settings": {}, "budgets": []}));
    manifest["projects"] = json!([{"name": "support", "keys": [{"name": "ci", "allowed_models": ["sim/*"]}]}]);
    manifest["routing_configs"] = json!([{"slug": "a", "strategy": "ab_test", "variants": [
        {"name": "x", "weight": 1, "config": "sim/sim-small"}, {"name": "y", "weight": 1, "config": "openai/gpt-4o"}]}]);
    let engine = engine(manifest);
    let denied = (0..100).filter(|draw| decide(&engine, &RequestFacts { draw: *draw, ..request("@a") }, "0").is_err()).count();
    assert!((30..70).contains(&denied), "{denied}");
}

/// A worker older than the control plane serves all but what it does not know.
#[test]
fn a_config_of_a_newer_control_plane_denies_and_the_others_are_served() {
    let engine = shop(json!([
        {"slug": "a", "strategy": "single", "model": "own/both"},
        {"slug": "b", "strategy": "custom_rules", "rules": [{"if": "request.stream", "then": "own/reads"}, {"else": "own/both"}]},
        {"slug": "c", "strategy": "fallback", "attempts": [{"model": "@a"}]},
        {"slug": "d", "strategy": "single", "model": "own/both"}]));
    let mut bundle = serde_json::to_value(engine.bundle()).unwrap();
    bundle["configs"][0]["strategy"] = json!({"by_the_stars": {"sign": "taurus"}});
    bundle["configs"][1]["strategy"]["custom_rules"]["rules"][0]["condition"] = json!("request.moon == 'full'");
    let engine = Engine::load(serde_json::from_str(&bundle.to_string()).unwrap()).unwrap();
    for slug in ["@a", "@b", "@c"] {
        let (code, message) = decide(&engine, &request(slug), "0").unwrap_err();
        assert_eq!(code, "policy_denied", "{slug}: {message}");
        assert!(message.contains("this worker does not know"), "{slug}: {message}");
    }
    assert_eq!(decide(&engine, &request("@d"), "0").unwrap(), ["own/both"]);
}

#[test]
fn members_that_a_key_may_not_use_are_left_out_and_a_quorum_still_holds() {
    let ensemble = |slug: &str, quorum: u32| {
        json!({"slug": slug, "strategy": "ensemble", "aggregation": "weighted_vote", "quorum": quorum,
            "members": [{"model": "own/both"}, {"model": "own/dear"}, {"model": "@d"}]})
    };
    let denies = json!({"slug": "d", "strategy": "custom_rules", "rules": [{"else": {"deny": "not this one"}}]});
    let engine = shop(json!([ensemble("a", 2), ensemble("b", 3), denies]));
    assert_eq!(decide(&engine, &request("@a"), "0").unwrap(), ["own/both", "own/dear"]);
    assert!(permit(&engine, &request("@a")).route().is_judged());
    let (code, message) = decide(&engine, &request("@b"), "0").unwrap_err();
    assert_eq!((code.as_str(), message.contains("not this one")), ("policy_denied", true), "{message}");
}

#[test]
fn steps_that_a_key_may_not_use_are_left_out_and_each_keeps_its_own_expression() {
    let steps = json!([{"model": "@d", "accept": "response.refused"}, {"model": "own/both", "accept": "response.tool_calls == 0"},
        {"model": "own/dear"}]);
    let denies =
        json!({"slug": "d", "strategy": "custom_rules", "rules": [{"if": "request.stream", "then": "own/tiny"}, {"else": {"deny": "no"}}]});
    let engine = shop(json!([{"slug": "a", "strategy": "cascade", "steps": steps}, denies]));
    assert_eq!(decide(&engine, &request("@a"), "0").unwrap(), ["own/both", "own/dear"]);
    let permit = permit(&engine, &request("@a"));
    assert!(permit.route().is_judged());
    let Route::Cascade(cascade) = permit.route() else { panic!("{:?}", permit.route()) };
    let accepts: Vec<_> = cascade.steps.iter().map(|step| step.accept.as_ref().map(crate::rule::Rule::source)).collect();
    assert_eq!(accepts, [Some("response.tool_calls == 0"), None]);
}
