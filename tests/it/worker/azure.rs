//! Azure OpenAI: a model is a deployment, which is in the path or in the body as the address says, and the key has a header of its own,
//! unless a token stands in for it.

use serde_json::{Value, json};
use tests::fleet::{Fleet, UPSTREAM_KEY, manifest, nano};
use tests::http::{Reply, Request};
use tests::provider::{Answer, SimulatedProvider, Usage, stream_pieces};

/// A provider for each form of an address, at the simulated provider's place.
const FORMS: [(&str, &str); 3] = [("plain", ""), ("dated", "/openai?api-version=2024-10-21"), ("next", "/openai/v1")];

/// A fleet with the three, each with one deployment of a name of its own, priced under `models`.
async fn with_azure() -> (Fleet, String) {
    let (fleet, key) = Fleet::governed().await;
    let mut wanted = manifest(&fleet.provider);
    for (name, path) in FORMS {
        let base_url = format!("http://{}{path}", fleet.provider.address());
        let provider = json!({"name": name, "vendor": "azure", "base_url": base_url, "api_key": "${UPSTREAM_KEY}"});
        wanted["providers"].as_array_mut().unwrap().push(provider);
        let model = json!({"model": format!("{name}/ours"), "input_usd_per_mtok": 1, "output_usd_per_mtok": 2});
        wanted["models"].as_array_mut().unwrap().push(model);
    }
    fleet.enforce(&wanted).await;
    (fleet, key)
}

/// Asks on the surface at `path`.
async fn ask(fleet: &Fleet, key: &str, path: &str, body: Value) -> Reply {
    let request = Request::new("POST", path).header("x-api-key", key).header("Content-Type", "application/json");
    let reply = request.body(body.to_string()).send(fleet.worker().address()).await;
    assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
    reply
}

/// The last request went to `target`, for the deployment `ours`, with the provider's key and no other.
fn assert_sent(fleet: &Fleet, target: &str) -> Value {
    let sent = fleet.provider.last();
    assert_eq!(sent.target, format!("POST {target}"));
    assert_eq!((sent.header("api-key"), sent.header("authorization"), sent.header("x-api-key")), (Some(UPSTREAM_KEY), None, None));
    assert_eq!(sent.model(), "ours");
    sent.json()
}

fn chat_path(form: &str) -> &'static str {
    match form {
        "plain" => "/openai/deployments/ours/chat/completions?api-version=2025-04-01-preview",
        "dated" => "/openai/deployments/ours/chat/completions?api-version=2024-10-21",
        _ => "/openai/v1/chat/completions",
    }
}

#[tokio::test]
async fn chat_and_messages_reach_the_deployment_whole_and_streamed() {
    let (fleet, key) = with_azure().await;
    let usage = Usage { prompt: 20, completion: 10, ..Usage::default() };
    for (form, _) in FORMS {
        for (surface, stream) in [("chat/completions", false), ("chat/completions", true), ("messages", false), ("messages", true)] {
            if stream {
                // What was found in the prompt comes first, in a piece without a choice.
                let filtered = json!({"id": "", "object": "", "created": 0, "model": "", "choices": [],
                    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": false, "severity": "safe"}}}]});
                let said = stream_pieces("gpt-4.1-2025-04-14", &["Hello".to_owned()], Some(usage));
                fleet.provider.next(Answer::stream(std::iter::once(format!("data: {filtered}\n\n").into_bytes()).chain(said)));
            } else {
                fleet.provider.next(Answer::of(usage));
            }
            let turns = json!([{"role": "user", "content": "What is a budget?"}]);
            let body = json!({"model": format!("{form}/ours"), "messages": turns, "max_tokens": 50, "stream": stream});
            let reply = ask(&fleet, &key, &format!("/v1/{surface}"), body).await;
            let sent = assert_sent(&fleet, chat_path(form));
            assert_eq!(sent["max_completion_tokens"].as_u64().or(sent["max_tokens"].as_u64()), Some(50), "{sent}");
            assert_eq!(sent.pointer("/stream_options/include_usage").is_some(), stream, "{sent}");
            assert!(reply.text().contains(if stream { "Hello" } else { "word0" }), "{surface}: {}", reply.text());
        }
    }
    let logs = fleet.logged(FORMS.len() * 4, "").await;
    assert!(logs.iter().all(|log| nano(&log["costUsd"]) == 20 * 1_000 + 10 * 2_000 && log["usageSource"] == "provider"), "{logs:#?}");
}

#[tokio::test]
async fn responses_name_the_deployment_in_the_body_whole_and_streamed() {
    let (fleet, key) = with_azure().await;
    let response = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "ours", "output": [],
        "usage": {"input_tokens": 20, "output_tokens": 10, "total_tokens": 30}});
    for (form, path) in [
        ("plain", "/openai/responses?api-version=2025-04-01-preview"),
        ("dated", "/openai/responses?api-version=2024-10-21"),
        ("next", "/openai/v1/responses"),
    ] {
        let body = |stream: bool| json!({"model": format!("{form}/ours"), "input": "What is a budget?", "stream": stream});
        fleet.provider.next(Answer::json(&response));
        let reply = ask(&fleet, &key, "/v1/responses", body(false)).await;
        assert_sent(&fleet, path);
        assert_eq!(reply.json()["id"], "resp_1");
        let done = json!({"type": "response.completed", "sequence_number": 0, "response": response});
        fleet.provider.next(Answer::stream([format!("event: response.completed\ndata: {done}\n\n")]));
        let reply = ask(&fleet, &key, "/v1/responses", body(true)).await;
        assert_sent(&fleet, path);
        assert!(reply.text().contains("response.completed"), "{}", reply.text());
    }
    let logs = fleet.logged(6, "").await;
    assert!(logs.iter().all(|log| nano(&log["costUsd"]) == 20 * 1_000 + 10 * 2_000), "{logs:#?}");
}

#[tokio::test]
async fn texts_are_embedded_by_a_deployment() {
    let (fleet, key) = with_azure().await;
    let vectors = json!({"object": "list", "model": "ours", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 20, "total_tokens": 20}});
    for (form, path) in [("dated", "/openai/deployments/ours/embeddings?api-version=2024-10-21"), ("next", "/openai/v1/embeddings")] {
        fleet.provider.next(Answer::json(&vectors));
        ask(&fleet, &key, "/v1/embeddings", json!({"model": format!("{form}/ours"), "input": "a"})).await;
        assert_sent(&fleet, path);
        fleet.provider.next(Answer::json(&vectors));
        let text = json!({"content": {"parts": [{"text": "a"}]}});
        let reply = ask(&fleet, &key, &format!("/v1beta/models/{form}/ours:embedContent"), text).await;
        assert_sent(&fleet, path);
        assert_eq!(reply.json()["embedding"]["values"], json!([0.5]));
    }
}

/// A deployment named as the catalogue names its model needs no price of the organization's own.
#[tokio::test]
async fn a_deployment_of_a_known_name_is_booked_at_the_catalogues_price() {
    let (fleet, key) = with_azure().await;
    fleet.provider.next(Answer::of(Usage { prompt: 20, completion: 10, ..Usage::default() }));
    fleet.chat(&key, "plain/gpt-4.1").ok().await;
    let logs = fleet.logged(1, "").await;
    assert_eq!(nano(&logs[0]["costUsd"]), 20 * 2_000 + 10 * 8_000);
}

/// A client that Microsoft Entra knows stands in for the key of the resource.
#[tokio::test]
async fn a_client_of_entra_is_exchanged_for_a_token_which_goes_where_the_key_would() {
    let ((fleet, key), tokens) = tokio::join!(Fleet::governed(), SimulatedProvider::start());
    tokens.always("", Answer::json(&json!({"access_token": "entra-token-1", "expires_in": 3599, "token_type": "Bearer"})));
    let authority = format!("http://{}", tokens.address());
    let client = json!({"tenant_id": "t-1", "client_id": "c-1", "client_secret": "s/1+", "authority": authority});
    let mut wanted = manifest(&fleet.provider);
    let base_url = format!("http://{}", fleet.provider.address());
    let provider = json!({"name": "entra", "vendor": "azure", "base_url": base_url, "api_key": client.to_string()});
    wanted["providers"].as_array_mut().unwrap().push(provider);
    let model = json!({"model": "entra/ours", "input_usd_per_mtok": 1, "output_usd_per_mtok": 2});
    wanted["models"].as_array_mut().unwrap().push(model);
    fleet.enforce(&wanted).await;
    for _ in 0..3 {
        fleet.chat(&key, "entra/ours").ok().await;
        let sent = fleet.provider.last();
        assert_eq!(sent.target, format!("POST {}", chat_path("plain")));
        assert_eq!((sent.header("api-key"), sent.header("authorization")), (None, Some("Bearer entra-token-1")));
    }
    let asked = tokens.last();
    assert_eq!((tokens.count(), &*asked.target), (1, "POST /t-1/oauth2/v2.0/token"));
    let scope = "https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
    let form = format!("grant_type=client_credentials&client_id=c-1&client_secret=s%2F1%2B&scope={scope}");
    assert_eq!(String::from_utf8(asked.body).unwrap(), form);
}
