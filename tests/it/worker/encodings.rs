//! Providers that compress their answers although they were asked not to.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest, nano};
use tests::http::Request;
use tests::provider::{Answer, Usage, stream_pieces};

const USAGE: Usage = Usage { prompt: 20, cached: 0, completion: 10, reasoning: 0 };

/// Each piece compressed so that it can be read as soon as it has arrived, and the end.
fn gzip(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut encoded = Vec::new();
    for piece in pieces {
        encoder.write_all(piece).expect("room");
        encoder.flush().expect("room");
        encoded.push(std::mem::take(encoder.get_mut()));
    }
    encoded.push(encoder.finish().expect("an end"));
    encoded
}

fn whole() -> Answer {
    let message = json!({"role": "assistant", "content": "Hello there"});
    let usage = json!({"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-test", "choices": [choice], "usage": usage});
    Answer::bytes(gzip(&[body.to_string().into_bytes()]).concat())
        .header("Content-Type", "application/json")
        .header("Content-Encoding", "gzip")
}

fn streamed() -> Answer {
    let words = ["Hello ".to_owned(), "there".to_owned()];
    Answer::stream(gzip(&stream_pieces("gpt-test", &words, Some(USAGE)))).header("Content-Encoding", "gzip")
}

async fn messages(fleet: &Fleet, key: &str, stream: bool) -> String {
    let turns = json!([{"role": "user", "content": "What is a budget?"}]);
    let body = json!({"model": "sim/gpt-test", "messages": turns, "max_tokens": 50, "stream": stream});
    let request = Request::new("POST", "/v1/messages").header("x-api-key", key).header("Content-Type", "application/json");
    let reply = request.body(body.to_string()).send(fleet.worker().address()).await;
    assert_eq!((reply.status(), reply.header("content-encoding")), (200, None), "{}", reply.text());
    reply.text()
}

#[tokio::test]
async fn compressed_answers_are_metered_passed_on_and_converted_whole_and_streamed() {
    let (fleet, key) = Fleet::governed().await;
    fleet.provider.next(whole());
    let reply = fleet.chat(&key, "sim/gpt-test").ok().await;
    assert_eq!((reply.header("content-encoding"), &reply.json()["choices"][0]["message"]["content"]), (None, &json!("Hello there")));
    assert_eq!(fleet.provider.last().header("accept-encoding"), Some("identity"));
    fleet.provider.next(streamed());
    let reply = fleet.chat(&key, "sim/gpt-test").streamed().ok().await;
    let events = reply.events();
    assert_eq!((reply.header("content-encoding"), events.last().map(String::as_str)), (None, Some("[DONE]")), "{events:?}");
    fleet.provider.next(whole());
    let said: Value = serde_json::from_str(&messages(&fleet, &key, false).await).expect("JSON");
    assert_eq!(said["content"][0]["text"], json!("Hello there"));
    fleet.provider.next(streamed());
    assert!(messages(&fleet, &key, true).await.contains("message_stop"));
    let logs = fleet.logged(4, "model: \"gpt-test\"").await;
    // 20 tokens at 1 USD and 10 at 2 USD for each million.
    assert!(logs.iter().all(|log| log["usageSource"] == "provider" && nano(&log["costUsd"]) == 40_000), "{logs:#?}");
}

/// What can't be decoded is an answer that broke off, and another target is tried.
#[tokio::test]
async fn an_answer_in_an_unknown_coding_is_no_answer() {
    let (fleet, key) = Fleet::governed().await;
    let mut wanted = manifest(&fleet.provider);
    let attempts = json!([{"model": "sim/gpt-test"}, {"model": "sim/free"}]);
    wanted["routing_configs"] = json!([{"slug": "two", "strategy": "fallback", "attempts": attempts, "retry_on": ["connect"]}]);
    fleet.enforce(&wanted).await;
    let unknown = || Answer::bytes("x").header("Content-Type", "application/json").header("Content-Encoding", "compress");
    fleet.provider.next(unknown());
    assert_eq!(fleet.chat(&key, "sim/gpt-test").send().await.status(), 502);
    fleet.provider.next(unknown());
    let reply = fleet.chat(&key, "@two").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("free"));
}
