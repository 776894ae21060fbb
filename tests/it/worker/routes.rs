//! every route of the data plane asks who comes, and lets nobody through whose money is used up.
//!
//! The table is the contract's (2.1). A new route is a line here.

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest};
use tests::http::{Reply, Request};
use tests::provider::{Answer, Usage};

const MODEL: &str = "sim/gpt-test";

/// Every route by which a model is asked or counted for, under all of its names, and a body for it.
fn routes() -> Vec<(String, Value)> {
    let turns = json!([{"role": "user", "content": "What is a budget?"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "What is a budget?"}]}]);
    let openai = [
        ("/v1/chat/completions", json!({"model": MODEL, "messages": turns, "max_tokens": 100})),
        ("/v1/responses", json!({"model": MODEL, "input": turns, "max_output_tokens": 100})),
        ("/v1/embeddings", json!({"model": MODEL, "input": "What is a budget?"})),
    ];
    let anthropic = [
        ("/v1/messages", json!({"model": MODEL, "messages": turns, "max_tokens": 100})),
        ("/v1/messages/count_tokens", json!({"model": MODEL, "messages": turns})),
    ];
    let embedding = json!({"model": format!("models/{MODEL}"), "content": {"parts": [{"text": "a"}]}});
    let gemini = [
        ("generateContent", json!({"contents": contents, "generationConfig": {"maxOutputTokens": 100}})),
        ("streamGenerateContent", json!({"contents": contents, "generationConfig": {"maxOutputTokens": 100}})),
        ("streamGenerateContent?alt=sse", json!({"contents": contents, "generationConfig": {"maxOutputTokens": 100}})),
        ("countTokens", json!({"contents": contents})),
        ("embedContent", json!({"content": {"parts": [{"text": "a"}]}})),
        ("batchEmbedContents", json!({"requests": [embedding]})),
    ];
    let openai = openai.into_iter().map(|(path, body)| ("/openai", path.to_owned(), body));
    let anthropic = anthropic.into_iter().map(|(path, body)| ("/anthropic", path.to_owned(), body));
    let gemini = gemini.into_iter().map(|(method, body)| ("/gemini", format!("/v1beta/models/{MODEL}:{method}"), body));
    let all = openai.chain(anthropic).chain(gemini);
    all.flat_map(|(prefix, path, body)| [(format!("{prefix}{path}"), body.clone()), (path, body)]).collect()
}

async fn post(fleet: &Fleet, key: Option<&str>, path: &str, body: &Value) -> Reply {
    let mut request = Request::new("POST", path).header("Content-Type", "application/json");
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    request.body(body.to_string()).send(fleet.worker().address()).await
}

#[tokio::test]
async fn no_route_is_served_without_a_key() {
    let (fleet, _) = Fleet::governed().await;
    for (path, body) in routes() {
        for key in [None, Some("mlx_sk_unknown")] {
            let reply = post(&fleet, key, &path, &body).await;
            assert_eq!(reply.status(), 401, "{path}: {}", reply.text());
        }
    }
    for path in ["/v1/models", "/openai/v1/models", "/v1/models/sim%2Fgpt-test"] {
        let reply = Request::new("GET", path).send(fleet.worker().address()).await;
        assert_eq!(reply.status(), 401, "{path}: {}", reply.text());
    }
    assert_eq!(fleet.provider.count(), 0);
}

#[tokio::test]
async fn no_route_is_served_once_a_blocking_budget_is_used_up() {
    let (fleet, key) = Fleet::governed().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "cent", "scope": "organization", "period": "monthly", "cap_usd": "0.01", "at_cap": "block"}]);
    fleet.enforce(&wanted).await;
    fleet.provider.next(Answer::of(Usage { prompt: 20, completion: 100, ..Usage::default() }));
    fleet.chat(&key, "sim/cents").ok().await;
    let asked = fleet.provider.count();
    for (path, body) in routes() {
        let reply = post(&fleet, Some(&key), &path, &body).await;
        assert_eq!(reply.status(), 402, "{path}: {}", reply.text());
    }
    assert_eq!(fleet.provider.count(), asked, "nothing was sent");
}
