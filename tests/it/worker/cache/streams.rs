//! Streams that are given again: event by event what they were, on every surface.

use serde_json::{Value, json};
use tests::fleet::Fleet;
use tests::http::{Reply, Request};
use tests::provider::{Said, stream_pieces};

use super::{asked, cold, keeping, kept_for, outcome};

/// Issue 3, point 8: streams are replayed as streams.
#[tokio::test]
async fn a_stream_is_given_again_as_the_same_stream() {
    let (fleet, applied) = kept_for(300).await;
    let key = applied.key("app/main");
    let words: Vec<String> = (0..2_000).map(|word| format!("word{word} ")).collect();
    let pieces = stream_pieces("gpt-test", &words, None);
    fleet.provider.next(tests::provider::Answer::stream(pieces.clone()));
    let chat = cold(&fleet, &key, "@kept").with("stream", true);
    let (first, again) = (chat.ok().await, chat.ok().await);
    assert_eq!((outcome(&first), outcome(&again)), ("MISS".to_owned(), "HIT".to_owned()));
    assert!(first.body == again.body && first.body == pieces.concat(), "every byte of it");
    for name in ["content-type", "cache-control", "transfer-encoding", "x-accel-buffering", "x-modelux-model-used"] {
        assert!(again.header(name).is_some(), "{name}: {:?}", again.head);
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    assert_eq!(again.header("x-modelux-cost-usd"), Some("0.00"));
    assert_eq!(fleet.provider.count(), 1);
}

/// The event of ours tells of the request that it answers, not of the one that was kept.
#[tokio::test]
async fn cost_and_trace_in_a_stream_are_those_of_the_request_that_asked_for_them() {
    let (fleet, applied) = kept_for(300).await;
    let key = applied.key("app/main");
    let ours = |reply: &Reply| -> Value {
        let events = reply.events();
        let [.., ours, usage, done] = events.as_slice() else { panic!("{events:?}") };
        assert!(usage.contains("total_tokens") && done == "[DONE]", "{events:?}");
        serde_json::from_str(ours).expect("an event of JSON")
    };
    let chat = cold(&fleet, &key, "@kept").streamed();
    let (first, again) = (chat.ok().await, chat.ok().await);
    assert_eq!((&ours(&first)["mlx:cost_usd"], &ours(&again)["mlx:cost_usd"]), (&json!("0.00004"), &json!("0.00")));
    let id = format!("chatcmpl-{}", again.header("x-modelux-request-id").expect("an id"));
    assert_eq!(ours(&again)["id"], json!(id));
    let count = |reply: &Reply| reply.text().matches("mlx:cost_usd").count();
    assert_eq!((count(&first), count(&again)), (1, 1));
    let traced = chat.clone().with("mlx:trace", true).ok().await;
    assert_eq!(outcome(&traced), "HIT", "a wish for the trace is no other request");
    assert!(ours(&traced)["mlx:trace"].to_string().contains("\"outcome\":\"hit\""), "{}", traced.text());
    let whole = cold(&fleet, &key, "@kept").with("mlx:trace", true);
    assert_eq!(asked(&whole).await, "MISS");
    let again = whole.ok().await.json();
    assert!(again["mlx:trace"].to_string().contains("\"outcome\":\"hit\""), "{again}");
    assert!(cold(&fleet, &key, "@kept").ok().await.json()["mlx:trace"].is_null(), "who did not ask for it does not get it");
}

fn ask(surface: &str, key: &str, stream: bool) -> Request {
    let turns = json!([{"role": "user", "content": "What is a budget?"}]);
    let (path, body) = match surface {
        "chat" => ("/v1/chat/completions", json!({"model": "@kept", "temperature": 0, "messages": turns, "stream": stream})),
        "responses" => ("/v1/responses", json!({"model": "@kept", "temperature": 0, "input": turns, "stream": stream})),
        "messages" => ("/v1/messages", json!({"model": "@kept", "temperature": 0, "messages": turns, "max_tokens": 8, "stream": stream})),
        gemini => {
            let method = match (stream, gemini) {
                (false, _) => "/v1beta/models/@kept:generateContent",
                (true, "gemini") => "/v1beta/models/@kept:streamGenerateContent?alt=sse",
                (true, _) => "/v1beta/models/@kept:streamGenerateContent",
            };
            let contents = json!([{"role": "user", "parts": [{"text": "What is a budget?"}]}]);
            (method, json!({"contents": contents, "generationConfig": {"temperature": 0}}))
        }
    };
    Request::new("POST", path).header("x-api-key", key).header("Content-Type", "application/json").body(body.to_string())
}

/// Each surface has answers of its own; what is said again from another dialect is kept as the caller got it.
#[tokio::test]
async fn every_surface_gets_its_own_answer_again() {
    let fleet = Fleet::start().await;
    let key = fleet.enforce(&keeping(&fleet, 300)).await.key("app/main");
    fleet.provider.play("gpt-test", |_| Said::Text("A plan for money that is not there yet.".to_owned()));
    let address = fleet.worker().address();
    for (surface, stream) in [
        ("chat", false),
        ("chat", true),
        ("responses", false),
        ("responses", true),
        ("messages", false),
        ("messages", true),
        ("gemini", false),
        ("gemini", true),
    ] {
        let first = ask(surface, &key, stream).send(address).await;
        let again = ask(surface, &key, stream).send(address).await;
        assert_eq!((outcome(&first), outcome(&again)), ("MISS".to_owned(), "HIT".to_owned()), "{surface}, stream: {stream}");
        assert_eq!(first.text(), again.text(), "{surface}, stream: {stream}");
        assert_eq!(first.header("content-type"), again.header("content-type"), "{surface}, stream: {stream}");
        assert!(first.text().contains("plan"), "{}", first.text());
    }
    // The same events, wanted as one array.
    let events = ask("gemini", &key, true).send(address).await;
    let array = ask("gemini as an array", &key, true).send(address).await;
    assert_eq!(outcome(&array), "HIT");
    let events: Vec<Value> = events.events().iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    assert_eq!(array.json(), json!(events));
    assert_eq!(array.header("content-type"), Some("application/json"));
    assert_eq!(fleet.provider.count(), 8);
}
