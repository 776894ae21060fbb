//! Every surface with every kind of provider: in one dialect passed through, between two said again, whole and streamed.
//!
//! The worker is its own provider here: `chat`, `messages` and `gemini` are providers at its own address, each spoken to in its vendor's
//! dialect, and behind them answers `here`, the simulated one. So each request crosses the worker twice, in two dialects.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::fleet::{Fleet, nano};
use tests::http::{Reply, Request};

/// What the simulated provider's answers begin with.
const GREETING: &str = "Hello from the simulated model";
const PROVIDERS: [&str; 4] = ["here", "chat", "messages", "gemini"];
const SURFACES: [&str; 4] = ["openai_chat", "openai_responses", "anthropic_messages", "gemini"];

async fn looped() -> (Fleet, String) {
    let fleet = Fleet::start().await;
    let project = json!({"name": "app", "keys": [{"name": "main"}]});
    let here = json!({"name": "here", "vendor": "simulated"});
    let key = fleet.enforce(&json!({"org": "default", "providers": [here], "projects": [project]})).await.key("app/main");
    let address = fleet.worker().address();
    let at = |name: &str, vendor: &str, path: &str| json!({"name": name, "vendor": vendor, "base_url": format!("http://{address}{path}"), "api_key": key});
    let strict = json!({"name": "strict", "settings": {"strict_capabilities": true}, "keys": [{"name": "main"}]});
    let priced = |model: &str| json!({"model": model, "input_usd_per_mtok": 0, "output_usd_per_mtok": 100});
    fleet
        .enforce(&json!({
            "org": "default",
            "providers": [here, at("chat", "openai", "/v1"), at("messages", "anthropic", ""), at("gemini", "google", "")],
            "models": PROVIDERS.map(|provider| priced(&format!("{provider}/*"))),
            "projects": [project, strict],
        }))
        .await;
    (fleet, key)
}

fn ask(surface: &str, key: &str, model: &str, stream: bool) -> Request {
    ask_with(surface, key, (model, stream), &json!({}))
}

/// The same with these members at the top.
fn ask_with(surface: &str, key: &str, (model, stream): (&str, bool), more: &Value) -> Request {
    let turns = json!([{"role": "user", "content": "What is a budget?"}]);
    let (path, mut body) = match surface {
        "openai_chat" => ("/v1/chat/completions".to_owned(), json!({"model": model, "messages": turns, "max_tokens": 8, "stream": stream})),
        "openai_responses" => {
            ("/v1/responses".to_owned(), json!({"model": model, "input": turns, "max_output_tokens": 8, "stream": stream}))
        }
        "anthropic_messages" => ("/v1/messages".to_owned(), json!({"model": model, "messages": turns, "max_tokens": 8, "stream": stream})),
        _ => {
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let contents = json!([{"role": "user", "parts": [{"text": "What is a budget?"}]}]);
            (format!("/v1beta/models/{model}:{method}"), json!({"contents": contents, "generationConfig": {"maxOutputTokens": 8}}))
        }
    };
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    Request::new("POST", &path).header("x-api-key", key).header("Content-Type", "application/json").body(body.to_string())
}

/// The text of an answer, by its surface.
fn said(surface: &str, answer: &Value) -> String {
    let place = match surface {
        "openai_chat" => "/choices/0/message/content",
        "openai_responses" => "/output/0/content/0/text",
        "anthropic_messages" => "/content/0/text",
        _ => "/candidates/0/content/parts/0/text",
    };
    answer.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("no text in {answer}")).to_owned()
}

/// The text of a stream, and whether it ended as its surface wants.
fn streamed(surface: &str, reply: &Reply) -> (String, bool) {
    let events = reply.events();
    let place = match surface {
        "openai_chat" => "/choices/0/delta/content",
        "openai_responses" => "/delta",
        "anthropic_messages" => "/delta/text",
        _ => "/candidates/0/content/parts/0/text",
    };
    let read = |event: &String| serde_json::from_str::<Value>(event).unwrap_or_default();
    let text = events.iter().map(read).filter_map(|event| event.pointer(place)?.as_str().map(str::to_owned)).collect();
    let last = events.last().cloned().unwrap_or_default();
    let ended = match surface {
        "openai_chat" => last == "[DONE]",
        "openai_responses" => last.contains("response.incomplete"),
        "anthropic_messages" => last.contains("message_stop"),
        _ => last.contains("MAX_TOKENS"),
    };
    (text, ended)
}

/// the same answer and the same cost on every surface from every provider, whole and streamed.
#[tokio::test]
async fn every_surface_is_served_by_every_kind_of_provider() {
    let (fleet, key) = looped().await;
    let address = fleet.worker().address();
    for surface in SURFACES {
        for provider in PROVIDERS {
            let model = if provider == "here" { "here/sim".to_owned() } else { format!("{provider}/here/sim") };
            let whole = ask(surface, &key, &model, false).send(address).await;
            assert_eq!(whole.status(), 200, "{surface} by {provider}: {}", whole.text());
            let text = said(surface, &whole.json());
            assert!(text.starts_with(GREETING), "{surface} by {provider}: {text}");
            let stream = ask(surface, &key, &model, true).send(address).await;
            assert_eq!(streamed(surface, &stream), (text, true), "{surface} by {provider}: {}", stream.text());
            assert_eq!(whole.header("x-modelux-provider-used"), Some(provider));
        }
    }
    let logs = fleet.logged(SURFACES.len() * 3 * 2, "model: \"here/sim\"").await;
    assert!(logs.iter().all(|log| log["usageSource"] == "provider" && nano(&log["costUsd"]) == 800_000), "{logs:#?}");
    let surfaces: BTreeSet<&str> = logs.iter().filter_map(|log| log["surface"].as_str()).collect();
    assert_eq!(surfaces.len(), SURFACES.len(), "{surfaces:?}");
}

/// Without `alt=sse` Gemini's stream is one array, passed through, said again and replayed alike; what stops it is its last element.
#[tokio::test]
async fn gemini_streams_one_array_to_who_does_not_ask_for_events() {
    let (fleet, key) = looped().await;
    let contents = json!([{"role": "user", "parts": [{"text": "What is a budget?"}]}]);
    let body = json!({"contents": contents, "generationConfig": {"maxOutputTokens": 8}}).to_string();
    let ask = |model: &str| {
        let request = Request::new("POST", &format!("/v1beta/models/{model}:streamGenerateContent")).header("x-goog-api-key", &key);
        request.header("Content-Type", "application/json").body(body.clone())
    };
    for model in ["here/sim", "gemini/here/sim", "messages/here/sim", "chat/here/sim"] {
        let reply = ask(model).send(fleet.worker().address()).await;
        assert_eq!((reply.status(), reply.header("content-type")), (200, Some("application/json")), "{model}: {}", reply.text());
        let array = reply.json();
        let elements = array.as_array().expect("an array");
        let text: String = elements.iter().filter_map(|element| element.pointer("/candidates/0/content/parts/0/text")?.as_str()).collect();
        assert!(elements.len() > 1 && text.starts_with(GREETING), "{model}: {array}");
        let last = elements.last().expect("an element");
        assert_eq!(last.pointer("/candidates/0/finishReason"), Some(&json!("MAX_TOKENS")), "{model}: {array}");
        assert!(last["usageMetadata"]["candidatesTokenCount"].is_u64(), "{model}: {array}");
    }
    for model in ["here/cut", "chat/here/cut"] {
        let reply = ask(model).send(fleet.worker().address()).await;
        let array = reply.json();
        let last = array.as_array().and_then(|elements| elements.last()).expect("an element");
        assert!(reply.status() == 200 && last["error"]["message"].is_string(), "{model}: {array}");
    }
}

/// What the target can't take is named, or refused where the project says so.
#[tokio::test]
async fn fields_that_a_provider_has_no_place_for_are_named_in_a_header() {
    let (fleet, key) = looped().await;
    let reply = fleet.chat(&key, "messages/here/sim").with("seed", 7).with("logit_bias", json!({"5": 1})).ok().await;
    assert_eq!(reply.header("x-modelux-dropped"), Some("logit_bias,seed"));
    let reply = fleet.chat(&key, "chat/here/sim").with("seed", 7).ok().await;
    assert_eq!(reply.header("x-modelux-dropped"), None);
}

/// A field has one name, whichever provider lacks it: the caller's own.
#[tokio::test]
async fn a_field_is_named_in_the_words_of_its_surface() {
    let (fleet, key) = looped().await;
    let schema = json!({"type": "object"});
    // So little output leaves no room to think in, and a model of no known name keeps to no schemas.
    for (surface, more, expected) in [
        ("openai_chat", json!({"reasoning_effort": "high"}), "reasoning_effort"),
        (
            "openai_chat",
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}),
            "response_format",
        ),
        ("openai_responses", json!({"text": {"format": {"type": "json_schema", "name": "x", "schema": schema}}}), "text.format"),
        (
            "gemini",
            json!({"generationConfig": {"maxOutputTokens": 8, "thinkingConfig": {"thinkingBudget": 2000}}}),
            "generationConfig.thinkingConfig",
        ),
    ] {
        let reply = ask_with(surface, &key, ("messages/here/sim", false), &more).send(fleet.worker().address()).await;
        assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some(expected)), "{surface} {more}: {}", reply.text());
    }
}

/// A caller who builds on what only another provider keeps is told so, before anything is sent.
#[tokio::test]
async fn a_conversation_that_another_provider_keeps_is_refused() {
    let (fleet, key) = looped().await;
    let body = json!({"model": "messages/here/sim", "input": "and then?", "previous_response_id": "resp_1"});
    let request = Request::new("POST", "/v1/responses").header("Authorization", &format!("Bearer {key}"));
    let reply = request.header("Content-Type", "application/json").body(body.to_string()).send(fleet.worker().address()).await;
    let error = reply.error(400);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("previous_response_id")), "{error}");
}

/// Refusals are in the dialect of the surface (contract 2.4).
#[tokio::test]
async fn each_surface_is_refused_in_its_own_shape() {
    let (fleet, key) = looped().await;
    let address = fleet.worker().address();
    let anthropic = ask("anthropic_messages", &key, "nobody/x", false).send(address).await;
    assert_eq!(
        (anthropic.status(), &anthropic.json()["type"], &anthropic.json()["error"]["type"]),
        (400, &json!("error"), &json!("invalid_request_error"))
    );
    let gemini = ask("gemini", "mlx_sk_unknown", "here/sim", false).send(address).await;
    assert_eq!((gemini.status(), &gemini.json()["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    let upstream = ask("anthropic_messages", &key, "chat/here/error-429", false).send(address).await;
    assert_eq!((upstream.status(), &upstream.json()["type"]), (429, &json!("error")), "{}", upstream.text());
}

/// Embeddings on both surfaces, from both kinds of provider; they cost no output.
#[tokio::test]
async fn texts_are_embedded_on_either_surface() {
    let (fleet, key) = looped().await;
    let address = fleet.worker().address();
    let post = |path: &str, body: Value| {
        Request::new("POST", path).header("x-api-key", &key).header("Content-Type", "application/json").body(body.to_string())
    };
    for provider in ["here", "chat", "gemini"] {
        let model = if provider == "here" { "here/embed".to_owned() } else { format!("{provider}/here/embed") };
        let openai = post("/v1/embeddings", json!({"model": model, "input": ["a", "b"], "dimensions": 4})).send(address).await;
        assert_eq!(openai.status(), 200, "{provider}: {}", openai.text());
        let vectors = openai.json();
        assert_eq!(vectors["data"].as_array().map(Vec::len), Some(2), "{provider}: {vectors}");
        assert_eq!(vectors["data"][1]["embedding"].as_array().map(Vec::len), Some(4), "{provider}: {vectors}");
        let gemini =
            post(&format!("/v1beta/models/{model}:embedContent"), json!({"content": {"parts": [{"text": "a"}]}})).send(address).await;
        assert_eq!(gemini.status(), 200, "{provider}: {}", gemini.text());
        assert!(gemini.json()["embedding"]["values"].is_array(), "{provider}: {}", gemini.text());
    }
    let refused = post("/v1/embeddings", json!({"model": "messages/here/embed", "input": "a"})).send(address).await;
    assert_eq!(refused.status(), 503, "{}", refused.text());
}
