//! Counts of tokens on both surfaces that have them: by the vendor's own counter where it has one, otherwise counted here; free, and
//! governed like any other request.

use serde_json::{Value, json};
use tests::fleet::{Fleet, UPSTREAM_KEY, manifest, nano};
use tests::http::{Reply, Request};
use tests::provider::Answer;

const QUESTION: &str = "tiktoken is great!";

/// A fleet with a provider of each vendor that counts, at the simulated provider's place, beside those that don't.
async fn with_counters() -> (Fleet, String) {
    let (fleet, key) = Fleet::governed().await;
    let mut wanted = manifest(&fleet.provider);
    for (name, vendor) in [("claude", "anthropic"), ("gemini", "google")] {
        let base_url = format!("http://{}", fleet.provider.address());
        let provider = json!({"name": name, "vendor": vendor, "base_url": base_url, "api_key": "${UPSTREAM_KEY}"});
        wanted["providers"].as_array_mut().unwrap().push(provider);
        let model = json!({"model": format!("{name}/m"), "input_usd_per_mtok": 1, "output_usd_per_mtok": 2});
        wanted["models"].as_array_mut().unwrap().push(model);
    }
    fleet.enforce(&wanted).await;
    (fleet, key)
}

async fn post(fleet: &Fleet, key: &str, path: &str, body: &Value) -> Reply {
    let request = Request::new("POST", path).header("x-api-key", key).header("Content-Type", "application/json");
    request.body(body.to_string()).send(fleet.worker().address()).await
}

async fn count_messages(fleet: &Fleet, key: &str, model: &str) -> Reply {
    let turns = json!([{"role": "user", "content": QUESTION}]);
    post(fleet, key, "/v1/messages/count_tokens", &json!({"model": model, "system": "Be brief.", "messages": turns})).await
}

async fn count_contents(fleet: &Fleet, key: &str, model: &str) -> Reply {
    let contents = json!([{"role": "user", "parts": [{"text": QUESTION}]}]);
    post(fleet, key, &format!("/v1beta/models/{model}:countTokens"), &json!({"contents": contents})).await
}

/// By OpenAI's own documentation the question has 6 tokens; around it are 3 of the message, its role, and 3 that open the answer.
#[tokio::test]
async fn tokens_are_counted_exactly_here_where_the_vendor_has_no_counter() {
    let (fleet, key) = with_counters().await;
    let reply = count_contents(&fleet, &key, "sim/gpt-test").await;
    assert_eq!((reply.status(), reply.json()), (200, json!({"totalTokens": 13})));
    assert_eq!(reply.header("x-modelux-cost-usd"), Some("0.00"), "{:?}", reply.head);
    let reply = count_messages(&fleet, &key, "sim/gpt-test").await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert!(reply.json()["input_tokens"].as_u64() > Some(13), "the system prompt counts: {}", reply.text());
    assert_eq!(fleet.provider.count(), 0, "nobody was asked");
    let logs = fleet.logged(2, "model: \"gpt-test\"").await;
    assert!(logs.iter().all(|log| log["status"] == 200 && nano(&log["costUsd"]) == 0), "{logs:#?}");
}

#[tokio::test]
async fn a_vendor_that_counts_is_asked_in_its_dialect_and_answers_in_the_callers() {
    let (fleet, key) = with_counters().await;
    for (model, answer, target, inside) in [
        ("claude/m", json!({"input_tokens": 42}), "POST /v1/messages/count_tokens", "/messages"),
        ("gemini/m", json!({"totalTokens": 42}), "POST /v1beta/models/m:countTokens", "/generateContentRequest/contents"),
    ] {
        fleet.provider.next(Answer::json(&answer));
        let messages = count_messages(&fleet, &key, model).await;
        assert_eq!((messages.status(), &messages.json()["input_tokens"]), (200, &json!(42)), "{model}: {}", messages.text());
        fleet.provider.next(Answer::json(&answer));
        let contents = count_contents(&fleet, &key, model).await;
        assert_eq!((contents.status(), &contents.json()["totalTokens"]), (200, &json!(42)), "{model}: {}", contents.text());
        for sent in fleet.provider.requests().iter().rev().take(2) {
            assert_eq!(sent.target, target);
            assert!(sent.json().pointer(inside).is_some_and(Value::is_array), "{}", sent.json());
            assert!(sent.json().get("max_tokens").is_none(), "a counter takes no limit: {}", sent.json());
            assert_eq!(sent.header("x-api-key").or(sent.header("x-goog-api-key")), Some(UPSTREAM_KEY));
        }
    }
    let logs = fleet.logged(4, "model: \"m\"").await;
    assert!(logs.iter().all(|log| nano(&log["costUsd"]) == 0 && log["usage"]["inputTokens"] == 0), "{logs:#?}");
}

#[tokio::test]
async fn a_counters_refusal_is_passed_on_and_a_rule_denies_counts_too() {
    let (fleet, key) = with_counters().await;
    fleet.provider.next(Answer::error(400));
    let reply = count_messages(&fleet, &key, "claude/m").await;
    assert_eq!((reply.status(), &reply.json()["error"]["message"]), (400, &json!("simulated 400")), "{}", reply.text());
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@company"});
    let rules = json!([{"if": "request.surface == 'anthropic_messages'", "then": {"deny": "not on this surface"}}, {"else": "pass"}]);
    wanted["routing_configs"] = json!([{"slug": "company", "strategy": "custom_rules", "rules": rules}]);
    fleet.enforce(&wanted).await;
    assert_eq!(count_messages(&fleet, &key, "sim/gpt-test").await.status(), 403);
    assert_eq!(count_contents(&fleet, &key, "sim/gpt-test").await.status(), 200);
}
