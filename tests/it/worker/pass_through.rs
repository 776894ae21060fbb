//! Same-dialect traffic is passed through: not one byte is written again that need not be.

use serde_json::json;
use tests::fleet::Fleet;
use tests::http::{Connection, Request};
use tests::provider::{Answer, Usage, stream_pieces};

/// Odd but valid: blanks, escapes, numbers that no float keeps, unknown members, a nested `model`.
const ODD: &str = "{ \"x_unknown\" : {\"model\":\"inner\", \"n\": 1234567890123456789012345, \"f\": 1.10e+2},\n\t\"model\":\"sim/gpt-test\" ,\
    \"messages\":[{\"role\":\"user\",\"content\":\"\\u00e4\\ud83d\\ude00 \\/ \u{e4}\"}],\"max_tokens\":  50, \"temperature\":0.30}";

fn post(key: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", "/v1/chat/completions")
        .header("Authorization", &format!("Bearer {key}"))
        .header("Content-Type", "application/json")
        .body(body)
}

///
#[tokio::test]
async fn a_request_reaches_the_provider_with_nothing_but_its_model_replaced() {
    let (fleet, key) = Fleet::governed().await;
    let reply = post(&key, ODD).send(fleet.worker().address()).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let sent = String::from_utf8(fleet.provider.last().body).unwrap();
    assert_eq!(sent, ODD.replace("sim/gpt-test", "gpt-test"));
}

///
#[tokio::test]
async fn a_buffered_answer_is_passed_on_byte_for_byte() {
    let (fleet, key) = Fleet::governed().await;
    let body =
        "{\"id\" : \"x\", \"choices\":[ ],\n \"strange\":1.00,\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}";
    fleet.provider.next(Answer::bytes(body).header("Content-Type", "application/json"));
    let reply = fleet.chat(&key, "sim/gpt-test").ok().await;
    assert_eq!(reply.text(), body);
}

///
#[tokio::test]
async fn a_stream_is_passed_on_byte_for_byte_and_piece_by_piece() {
    let (fleet, key) = Fleet::governed().await;
    let words: Vec<String> = ["one ", "two ", "three "].map(str::to_owned).to_vec();
    let pieces = stream_pieces("gpt-test", &words, Some(Usage { prompt: 9, completion: 3, ..Usage::default() }));
    fleet.provider.next(Answer::stream(pieces.clone()));
    let reply = fleet.chat(&key, "sim/gpt-test").streamed().ok().await;
    let (before, end) = pieces.split_at(pieces.len() - 2);
    let rest = reply.text().strip_prefix(&String::from_utf8(before.concat()).unwrap()).expect("all pieces as they were").to_owned();
    // Contract 2.3: where the caller asked for usage, the final cost stands beside it. In front: clients take the usage from the last event.
    let cost = rest.strip_suffix(&String::from_utf8(end.concat()).unwrap()).expect("the provider's own report and end").to_owned();
    let cost: serde_json::Value = serde_json::from_str(cost.trim().trim_start_matches("data: ")).expect("one event more");
    assert_eq!((cost["mlx:cost_usd"].as_str(), cost["choices"].as_array().map(Vec::len)), (Some("0.000015"), Some(0)), "{cost}");
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert!(reply.complete);
}

/// The first piece arrives while the provider still holds the second back.
#[tokio::test]
async fn pieces_of_a_stream_are_not_held_back() {
    let (fleet, key) = Fleet::governed().await;
    let gate = tests::provider::Gate::default();
    fleet.provider.next(Answer::default().held_after_the_first_piece(&gate));
    let mut connection = fleet.chat(&key, "sim/gpt-test").streamed().open().await;
    assert_eq!(connection.head().await.unwrap().status, 200);
    connection.until("\"role\"").await;
    gate.open();
    let rest = connection.until("[DONE]").await;
    assert!(String::from_utf8_lossy(&rest).contains("word9"));
}

/// The caller did not ask for usage: the worker asks for it, counts it, and keeps the extra chunk to itself.
#[tokio::test]
async fn a_usage_chunk_that_the_caller_did_not_ask_for_is_withheld() {
    let (fleet, key) = Fleet::governed().await;
    fleet.provider.next(Answer::of(Usage { prompt: 1000, completion: 10, ..Usage::default() }));
    let reply = fleet.chat(&key, "sim/gpt-test").with("stream", true).ok().await;
    let sent = fleet.provider.last().json();
    assert_eq!(sent["stream_options"]["include_usage"], true, "usage is asked for upstream");
    let events = reply.events();
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    assert!(!reply.text().contains("prompt_tokens"), "{}", reply.text());
    assert_eq!(events.len(), 13, "role, ten words, finish, end");
    let log = fleet.logged(1, "status: 200").await;
    assert_eq!(log[0]["usageSource"].as_str().map(str::to_lowercase).as_deref(), Some("provider"));
    assert_eq!(log[0]["usage"]["inputTokens"], 1000);
}

/// Contract 2.2: `mlx:trace` returns the trace in the body; other extensions vanish on the way up.
#[tokio::test]
async fn a_trace_that_was_asked_for_is_added_to_the_body() {
    let (fleet, key) = Fleet::governed().await;
    let reply = fleet.chat(&key, "sim/gpt-test").with("mlx:trace", true).with("mlx:cache", json!({"skip": true})).ok().await;
    let trace = &reply.json()["mlx:trace"];
    assert!(trace.to_string().contains("sim/gpt-test"), "{trace}");
    assert!(!String::from_utf8(fleet.provider.last().body).unwrap().contains("mlx:"));
}

/// Connections to a provider are used again.
#[tokio::test]
async fn requests_one_after_the_other_use_one_connection_to_the_provider() {
    let (fleet, key) = Fleet::governed().await;
    for _ in 0..10 {
        fleet.chat(&key, "sim/gpt-test").ok().await;
    }
    fleet.chat(&key, "sim/gpt-test").streamed().ok().await;
    fleet.chat(&key, "sim/gpt-test").ok().await;
    assert_eq!(fleet.provider.count(), 12);
    // Two threads serve requests, and each may have a connection of its own.
    assert!(fleet.provider.connections() <= 2, "{} connections for 12 requests", fleet.provider.connections());
}

/// A caller's connection serves one request after the other, refusals too.
#[tokio::test]
async fn a_caller_keeps_its_connection_over_answers_and_refusals() {
    let (fleet, key) = Fleet::governed().await;
    let mut connection = Connection::open(fleet.worker().address()).await;
    for model in ["sim/free", "@nowhere", "sim/free"] {
        connection.send(&fleet.chat(&key, model).request()).await;
        let reply = connection.reply().await.expect("an answer on the same connection");
        assert_eq!(reply.status(), if model == "@nowhere" { 404 } else { 200 });
    }
    connection.send(&fleet.chat(&key, "sim/free").streamed().request()).await;
    assert!(connection.reply().await.expect("a stream on the same connection").complete);
    connection.send(&fleet.chat(&key, "sim/free").request()).await;
    assert_eq!(connection.reply().await.expect("and one more").status(), 200);
}

/// `GET /v1/models` in OpenAI's shape, only what the key may use.
#[tokio::test]
async fn models_are_listed_as_the_key_may_use_them() {
    let fleet = Fleet::start().await;
    let mut wanted = tests::fleet::manifest(&fleet.provider);
    wanted["projects"][0]["keys"] = json!([{"name": "main"}, {"name": "narrow", "allowed_models": ["sim/free"]}]);
    let applied = fleet.enforce(&wanted).await;
    let wide = list_models(&fleet, &applied.key("app/main")).await;
    assert!(wide.contains(&"sim/gpt-test".to_owned()) && wide.contains(&"sim/free".to_owned()), "{wide:?}");
    assert_eq!(list_models(&fleet, &applied.key("app/narrow")).await, ["sim/free"]);
    // OpenAI's clients write the slash as `%2F`.
    for (key, id, status) in [
        ("app/main", "sim/gpt-test", 200),
        ("app/main", "sim%2Fgpt-test", 200),
        ("app/narrow", "sim%2Fgpt-test", 404),
        ("app/main", "sim%2", 404),
    ] {
        let show = Request::new("GET", &format!("/v1/models/{id}")).header("Authorization", &format!("Bearer {}", applied.key(key)));
        let reply = show.send(fleet.worker().address()).await;
        assert_eq!(reply.status(), status, "{key} {id}: {}", reply.text());
        assert_eq!(reply.json()["id"], if status == 200 { json!("sim/gpt-test") } else { serde_json::Value::Null });
    }
}

async fn list_models(fleet: &Fleet, key: &str) -> Vec<String> {
    let list = Request::new("GET", "/v1/models").header("Authorization", &format!("Bearer {key}"));
    let reply = list.send(fleet.worker().address()).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let json = reply.json();
    assert_eq!(json["object"], "list");
    json["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}
