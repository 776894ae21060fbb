//! Every error of the contract (2.4): status, shape, code, and a message that says by what and what to do.

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest};
use tests::http::{Reply, Request};
use tests::provider::Answer;

/// What every refusal has: the id of its decision, a type, a message, a code and a `param`.
fn refused(reply: &Reply, status: u16, code: &Value) -> Value {
    let error = reply.error(status);
    assert!(reply.header("x-modelux-request-id").is_some_and(|id| id.starts_with("req_")), "{:?}", reply.head);
    assert_eq!(reply.header("content-type"), Some("application/json"), "{:?}", reply.head);
    assert_eq!(&error["code"], code, "{error}");
    assert!(error["type"].is_string() && error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    assert!(error.as_object().is_some_and(|error| error.contains_key("param")), "{error}");
    error
}

/// R-52, contract 2.4: the refusals that a plain organization knows.
#[tokio::test]
async fn refusals_have_the_status_and_code_of_the_contract() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@company"});
    wanted["routing_configs"] = json!([{"slug": "company", "strategy": "custom_rules", "rules": [
        {"if": "tags.team == 'banned'", "then": {"deny": "this team may not use models; ask the platform team"}}, {"else": "pass"}]}]);
    wanted["projects"][0]["keys"] = json!([
        {"name": "main"},
        {"name": "old", "expires": "2026-01-01"},
        {"name": "elsewhere", "ip_allowlist": ["10.9.8.0/24"]},
        {"name": "narrow", "allowed_models": ["sim/free"]},
        {"name": "slow", "rpm": 1},
    ]);
    wanted["projects"].as_array_mut().unwrap().push(json!(
        {"name": "strict", "settings": {"auto_resolve_bare_model": false}, "keys": [{"name": "main"}]}));
    let applied = fleet.enforce(&wanted).await;
    let key = applied.key("app/main");
    let address = fleet.worker().address();

    let chat = |key: &str, model: &str| fleet.chat(key, model);
    refused(&chat("", "sim/free").send().await, 401, &json!("missing_api_key"));
    refused(&chat("mlx_sk_unknown", "sim/free").send().await, 401, &json!("invalid_api_key"));
    let bootstrap = fleet.api.credential("management_key");
    // the bootstrap credential can't call inference at all.
    refused(&chat(&bootstrap, "sim/free").send().await, 401, &json!("invalid_api_key"));
    refused(&chat(&applied.key("app/old"), "sim/free").send().await, 401, &json!("key_expired"));
    let error = refused(&chat(&key, "sim/free").header("X-Modelux-User-Tags", "team=banned").send().await, 403, &json!("policy_denied"));
    assert!(error["message"].as_str().unwrap().contains("ask the platform team"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("company"), "the rule's config is named: {error}");
    refused(&chat(&applied.key("app/elsewhere"), "sim/free").send().await, 403, &json!("ip_not_allowed"));
    let error = refused(&chat(&applied.key("app/narrow"), "sim/cents").send().await, 403, &json!("policy_denied"));
    assert!(error["message"].as_str().unwrap().contains("narrow"), "{error}");
    refused(&chat(&key, "@nowhere").send().await, 404, &json!("routing_config_not_found"));
    refused(&chat(&key, "nobody/gpt").send().await, 400, &json!("model_not_found"));
    refused(&chat(&applied.key("strict/main"), "gpt-test").send().await, 400, &json!("model_not_found"));
    refused(&Request::new("POST", "/v1/nothing").send(address).await, 404, &json!("unknown_route"));
    refused(&Request::new("GET", "/v1/chat/completions").send(address).await, 405, &json!("method_not_allowed"));

    let slow = applied.key("app/slow");
    assert_eq!(chat(&slow, "sim/free").send().await.status(), 200);
    let reply = chat(&slow, "sim/free").send().await;
    refused(&reply, 429, &json!("rate_limit_exceeded"));
    let wait: u64 = reply.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("1"));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    assert!(reply.header("x-ratelimit-reset-requests").is_some());
    assert_eq!(fleet.provider.count(), 1, "nothing that was refused has reached the provider");
}

/// Contract 2.4: 402 with all of `error.budget` and `Retry-After`.
#[tokio::test]
async fn a_spent_budget_refuses_with_all_its_numbers() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "tiny", "scope": {"project": "app"}, "period": "daily", "cap_usd": "0.001", "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    let reply = fleet.chat(&key, "sim/cents").send().await;
    let error = refused(&reply, 402, &json!(402));
    assert_eq!(error["type"], "budget_exceeded");
    let budget = &error["budget"];
    assert_eq!(budget["name"], "tiny");
    assert_eq!(budget["period"], "daily");
    assert_eq!(usd(&budget["cap_usd"]), 1_000_000);
    assert_eq!(usd(&budget["spend_usd"]), 0);
    assert!(budget["period_resets_at"].as_str().is_some_and(|at| at.contains('T')), "{budget}");
    let wait: u64 = reply.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
    assert!((1..=86_401).contains(&wait), "{wait}");
    assert!(error["message"].as_str().unwrap().contains("tiny"), "{error}");
    assert_eq!(fleet.provider.count(), 0);
    let log = fleet.logged(1, "status: 402").await;
    assert_eq!(log[0]["errorCode"], "budget_exceeded");
}

/// A USD amount of an error, a number or a decimal string, in nano-USD.
fn usd(amount: &Value) -> i64 {
    let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
    text.parse::<policy::money::NanoUsd>().expect("USD").nanos()
}

/// Contract 2.4: every attempt failed.
#[tokio::test]
async fn failures_of_the_provider_are_told_apart() {
    let (fleet, key) = Fleet::governed().await;
    for (status, expected) in [(500, 502), (503, 502)] {
        fleet.provider.next(Answer::error(status));
        let reply = fleet.chat(&key, "sim/gpt-test").send().await;
        assert_eq!(reply.status(), expected, "{status}: {}", reply.text());
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains("sim/gpt-test"), "{}", reply.text());
    }
    fleet.provider.next(Answer::hang_up());
    fleet.provider.next(Answer::hang_up());
    refused(&fleet.chat(&key, "sim/gpt-test").send().await, 502, &json!("upstream_unreachable"));
    fleet.provider.next(Answer::default().cut_at(10));
    refused(&fleet.chat(&key, "sim/gpt-test").send().await, 502, &json!("upstream_cut"));
    for status in [400, 404, 422] {
        fleet.provider.next(Answer::error(status));
        let reply = fleet.chat(&key, "sim/gpt-test").send().await;
        let error = reply.error(status);
        assert_eq!(error["message"], format!("simulated {status}"), "the provider's own refusal is passed on");
    }
}

/// Contract 2.4: 504 where no answer came in time; nothing is spent.
#[tokio::test]
async fn an_answer_that_does_not_come_is_a_deadline() {
    let mut fleet = Fleet::start().await;
    let options = fleet.worker_options().with("MODELUX_ATTEMPT_TIMEOUT_MS", 200);
    fleet.workers.clear();
    fleet.join(options).await;
    let applied = fleet.apply(&manifest(&fleet.provider)).await;
    fleet.enforced(&applied).await;
    let key = applied.key("app/main");
    fleet.provider.next(Answer::default().held_by(&tests::provider::Gate::default()));
    refused(&fleet.chat(&key, "sim/gpt-test").send().await, 504, &json!("upstream_timeout"));
    fleet.logged(1, "status: 504").await;
}
