//! a stream is kept alive while its provider thinks, also before the provider has said anything.

use std::time::Duration;

use serde_json::{Value, json};
use tests::fleet::{Applied, Fleet, manifest, nano};
use tests::http::Request;
use tests::provider::{Answer, Gate, Usage};

const COMMENT: &str = ": keep-alive\n\n";

/// A worker that does not keep callers waiting for long.
async fn lively(configs: Value) -> (Fleet, Applied) {
    let mut fleet = Fleet::start().await;
    let options = fleet.worker_options().with("MODELUX_STREAM_KEEP_ALIVE_MS", 100);
    fleet.workers.clear();
    fleet.join(options).await;
    let mut wanted = manifest(&fleet.provider);
    wanted["routing_configs"] = configs;
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied)
}

fn asked(surface: &str, key: &str) -> Request {
    let turns = json!([{"role": "user", "content": "What is a budget?"}]);
    let (path, body) = match surface {
        "responses" => ("/v1/responses", json!({"model": "other/gpt-test", "input": turns, "stream": true})),
        "anthropic" => ("/v1/messages", json!({"model": "other/gpt-test", "messages": turns, "max_tokens": 9, "stream": true})),
        "gemini" => (
            "/v1beta/models/other%2Fgpt-test:streamGenerateContent?alt=sse",
            json!({"contents": [{"role": "user", "parts": [{"text": "What is a budget?"}]}]}),
        ),
        _ => ("/v1/chat/completions", json!({"model": "other/gpt-test", "messages": turns, "stream": true})),
    };
    Request::new("POST", path).header("x-api-key", key).header("Content-Type", "application/json").body(body.to_string())
}

#[tokio::test]
async fn every_surface_is_kept_alive_before_its_provider_has_answered() {
    let (fleet, applied) = lively(json!([])).await;
    let key = applied.key("app/main");
    for (surface, sign, end) in [
        ("chat", COMMENT, "[DONE]"),
        ("responses", COMMENT, "response.completed"),
        ("anthropic", "event: ping\n", "message_stop"),
        ("gemini", "\n", "\"finishReason\":\"STOP\""),
    ] {
        let gate = Gate::default();
        fleet.provider.next(Answer::default().held_by(&gate));
        let mut connection = tests::http::Connection::open(fleet.worker().address()).await;
        connection.send(&asked(surface, &key)).await;
        let head = connection.head().await.unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{surface}");
        assert!(head.header("x-modelux-request-id").is_some() && head.header("x-modelux-model-used").is_none(), "{surface}");
        connection.until(sign).await;
        connection.until(sign).await;
        gate.open();
        let (rest, whole) = connection.rest().await;
        let rest = String::from_utf8(rest).unwrap();
        assert!(whole && rest.contains("word9") && rest.contains(end), "{surface}: {rest}");
    }
    let log = fleet.logged(4, "model: \"gpt-test\"").await;
    assert!(log.iter().all(|row| row["status"] == 200 && row["errorCode"].is_null() && nano(&row["costUsd"]) > 0), "{log:#?}");
}

/// A caller who has a head can't get a status any more.
#[tokio::test]
async fn a_failure_behind_keep_alives_is_an_error_event_without_done() {
    let (fleet, applied) = lively(json!([])).await;
    let key = applied.key("app/main");
    for (rows, answer, code) in [(1, Answer::error(503), "upstream_error"), (2, Answer::error(400), "upstream_refused")] {
        let gate = Gate::default();
        fleet.provider.next(answer.held_by(&gate));
        let mut connection = fleet.chat(&key, "sim/gpt-test").streamed().open().await;
        assert_eq!(connection.head().await.unwrap().status, 200);
        connection.until(COMMENT).await;
        gate.open();
        let (rest, whole) = connection.rest().await;
        let rest = String::from_utf8(rest).unwrap();
        let last = rest.trim_end().rsplit("data: ").next().unwrap();
        let event: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {rest}"));
        assert!(whole && !rest.contains("[DONE]") && event["error"]["code"] == code, "{rest}");
        let log = fleet.logged(rows, "model: \"gpt-test\", status: 200").await;
        assert_eq!(log[0]["errorCode"], code, "{}", log[0]);
    }
}

/// Keep-alives are no content: until the first byte of an answer another target may give it.
#[tokio::test]
async fn a_stream_falls_back_behind_keep_alives() {
    let attempts = json!([{"model": "sim/gpt-test", "timeout_ms": 500}, {"model": "sim/free"}]);
    let (fleet, applied) = lively(json!([{"slug": "falls", "strategy": "fallback", "attempts": attempts}])).await;
    fleet.provider.always("gpt-test", Answer::default().held_by(&Gate::default()));
    let reply = fleet.chat(&applied.key("app/main"), "@falls").streamed().send().await;
    let text = reply.text();
    assert!(text.starts_with(COMMENT) && text.contains("word9") && text.trim_end().ends_with("[DONE]"), "{text}");
    let log = fleet.logged(1, "status: 200").await;
    assert_eq!((&log[0]["model"], &log[0]["errorCode"]), (&json!("free"), &Value::Null));
}

/// Who decides takes its time; the stream made of what was decided ends with cost and trace, kept alive or not.
#[tokio::test]
async fn a_council_is_waited_for_and_its_stream_ends_with_the_cost() {
    let steps = json!([{"model": "sim/cents", "accept": "response.text == 'no'"}, {"model": "sim/gpt-test"}]);
    let (fleet, applied) = lively(json!([{"slug": "steps", "strategy": "cascade", "steps": steps}])).await;
    let answer = Answer::saying("yes", Usage { prompt: 20, completion: 10, ..Usage::default() });
    fleet.provider.always("cents", answer.clone());
    for pause in [0, 600] {
        fleet.provider.always("gpt-test", answer.clone().after(Duration::from_millis(pause)));
        let reply = fleet.chat(&applied.key("app/main"), "@steps").streamed().with("mlx:trace", true).ok().await;
        let (text, events) = (reply.text(), reply.events());
        assert_eq!(text.starts_with(COMMENT), pause > 0, "{text}");
        let [.., ours, usage, done] = events.as_slice() else { panic!("{events:?}") };
        let ours: Value = serde_json::from_str(ours).unwrap();
        assert!(usage.contains("total_tokens") && done == "[DONE]", "{text}");
        assert_eq!(ours["mlx:cost_usd"], "0.00104", "{text}");
        assert!(ours["mlx:trace"].to_string().contains("sim/gpt-test"), "{ours}");
    }
}

/// A whole answer in place of a stream is said as one, where a stream has begun.
#[tokio::test]
async fn a_whole_answer_behind_keep_alives_is_replayed() {
    let (fleet, applied) = lively(json!([])).await;
    let answer = Answer::saying("all at once", Usage { prompt: 20, completion: 10, ..Usage::default() });
    fleet.provider.next(answer.after(Duration::from_millis(400)));
    let reply = fleet.chat(&applied.key("app/main"), "sim/gpt-test").streamed().ok().await;
    let text = reply.text();
    assert!(text.starts_with(COMMENT) && text.contains("all at once") && text.trim_end().ends_with("[DONE]"), "{text}");
}
