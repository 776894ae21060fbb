//! How answers end, and what is none: streams that end early without a broken connection, errors in the place of an answer, and successes that
//! are no answer at all. The caller gets an error or another target's answer, never half an answer for a whole one.

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest, nano};
use tests::http::{Reply, Request};
use tests::provider::{Answer, stream_pieces};

/// A surface, and the target whose provider speaks its dialect.
const SAME: [(&str, &str); 4] =
    [("openai_chat", "sim/gpt-test"), ("openai_responses", "sim/gpt-test"), ("anthropic_messages", "claude/c"), ("gemini", "gem/g")];
/// A surface, and a target whose provider speaks another dialect.
const CONVERTED: [(&str, &str); 4] =
    [("openai_chat", "claude/c"), ("openai_responses", "gem/g"), ("anthropic_messages", "gem/g"), ("gemini", "sim/gpt-test")];

/// Providers of each dialect, and for each target a fallback from it to `other/gpt-test`.
async fn with_all_dialects() -> (Fleet, String) {
    let fleet = Fleet::start().await;
    let key = fleet.enforce(&wanted(&fleet)).await.key("app/main");
    (fleet, key)
}

fn wanted(fleet: &Fleet) -> Value {
    let mut wanted = manifest(&fleet.provider);
    let base_url = format!("http://{}", fleet.provider.address());
    for (name, vendor) in [("claude", "anthropic"), ("gem", "google")] {
        let provider = json!({"name": name, "vendor": vendor, "base_url": base_url, "api_key": "${UPSTREAM_KEY}"});
        wanted["providers"].as_array_mut().unwrap().push(provider);
        let model = json!({"model": format!("{name}/*"), "input_usd_per_mtok": 1, "output_usd_per_mtok": 2});
        wanted["models"].as_array_mut().unwrap().push(model);
    }
    let falls = |target: &str| {
        let attempts = json!([{"model": target}, {"model": "other/gpt-test"}]);
        json!({"slug": slug(target), "strategy": "fallback", "attempts": attempts})
    };
    wanted["routing_configs"] = ["sim/gpt-test", "sim/free", "claude/c", "gem/g"].map(falls).into();
    wanted
}

/// The config that leads to this target first.
fn slug(target: &str) -> String {
    format!("from-{}", target.replace('/', "-"))
}

async fn ask(fleet: &Fleet, key: &str, (surface, model): (&str, &str), stream: bool) -> Reply {
    let turns = json!([{"role": "user", "content": "What is a budget?"}]);
    let (path, body) = match surface {
        "openai_chat" => {
            ("/v1/chat/completions".to_owned(), json!({"model": model, "messages": turns, "max_tokens": 50, "stream": stream}))
        }
        "openai_responses" => {
            ("/v1/responses".to_owned(), json!({"model": model, "input": turns, "max_output_tokens": 50, "stream": stream}))
        }
        "anthropic_messages" => ("/v1/messages".to_owned(), json!({"model": model, "messages": turns, "max_tokens": 50, "stream": stream})),
        _ => {
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let contents = json!([{"role": "user", "parts": [{"text": "What is a budget?"}]}]);
            (format!("/v1beta/models/{model}:{method}"), json!({"contents": contents, "generationConfig": {"maxOutputTokens": 50}}))
        }
    };
    let request = Request::new("POST", &path).header("x-api-key", key).header("Content-Type", "application/json");
    request.body(body.to_string()).send(fleet.worker().address()).await
}

fn typed(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"))
}

/// What this target streams to a caller of this surface: a few words and the end. The last event is the terminator.
fn events(surface: &str, target: &str) -> Vec<String> {
    match target {
        "claude/c" => claude_events(),
        "gem/g" => gemini_events(),
        _ if surface == "openai_responses" => responses_events(),
        _ => {
            let words = ["one ", "two ", "three "].map(str::to_owned);
            stream_pieces("gpt-test", &words, None).into_iter().map(|piece| String::from_utf8(piece).unwrap()).collect()
        }
    }
}

fn claude_events() -> Vec<String> {
    let usage = json!({"input_tokens": 20, "output_tokens": 1});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": usage});
    let piece = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        piece("one "),
        piece("two "),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(typed)
    .collect()
}

fn gemini_events() -> Vec<String> {
    let chunk =
        |text: &str| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}], "modelVersion": "g"});
    let mut last = chunk("three");
    last["candidates"][0]["finishReason"] = json!("STOP");
    last["usageMetadata"] = json!({"promptTokenCount": 20, "candidatesTokenCount": 5, "totalTokenCount": 25});
    [chunk("one "), chunk("two "), last].map(|chunk| format!("data: {chunk}\r\n\r\n")).to_vec()
}

fn responses_events() -> Vec<String> {
    let mut response =
        json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-test", "status": "in_progress", "output": []});
    let item = json!({"id": "m1", "type": "message", "role": "assistant", "status": "in_progress", "content": []});
    let place = |kind: &str| json!({"type": kind, "item_id": "m1", "output_index": 0, "content_index": 0});
    let mut events = vec![json!({"type": "response.created", "response": response})];
    events.push(json!({"type": "response.output_item.added", "output_index": 0, "item": item}));
    for word in ["one ", "two "] {
        let mut delta = place("response.output_text.delta");
        delta["delta"] = json!(word);
        events.push(delta);
    }
    response["status"] = json!("completed");
    response["usage"] = json!({"input_tokens": 20, "output_tokens": 5, "total_tokens": 25});
    events.push(json!({"type": "response.completed", "response": response}));
    events.iter().map(typed).collect()
}

/// As many good answers as keep the target's circuit breaker closed for two that are none.
async fn recover(fleet: &Fleet, key: &str, (surface, target): (&str, &str)) {
    for _ in 0..3 {
        fleet.provider.next(Answer::stream(events(surface, target)));
        let text = ask(fleet, key, (surface, target), true).await.text();
        assert!(has_terminator(&text), "{surface} by {target}: {text}");
    }
}

/// It ended as streams of its surface do that are whole.
fn has_terminator(text: &str) -> bool {
    ["[DONE]", "response.completed", "response.incomplete", "message_stop", "\"finishReason\""].iter().any(|end| text.contains(end))
}

/// Bytes at which the stream is not whole yet: behind its first event, within one, and behind the last one but those that make it whole.
fn early_ends(events: &[String]) -> [usize; 3] {
    let length = |count: usize| events[..count].iter().map(String::len).sum::<usize>();
    // With OpenAI's chat the reason of the end, before `[DONE]`, is an end as well.
    let enough = events.len() - if events.last().is_some_and(|last| last.contains("[DONE]")) { 2 } else { 1 };
    [length(1), length(2) - events[1].len() / 2, length(enough)]
}

/// R-15, also where the connection ends cleanly: then nothing but the terminator says whether an answer is whole.
#[tokio::test]
async fn a_stream_that_ends_before_its_terminator_ends_with_an_error_in_every_dialect() {
    let (fleet, key) = with_all_dialects().await;
    let mut asked = 0;
    for (surface, target) in SAME.into_iter().chain(CONVERTED) {
        let events = events(surface, target);
        fleet.provider.next(Answer::stream(events.clone()));
        let whole = ask(&fleet, &key, (surface, target), true).await.text();
        assert!(has_terminator(&whole) && !whole.contains("broke off"), "{surface} by {target}: {whole}");
        for end in early_ends(&events) {
            fleet.provider.next(Answer::stream([events.concat().split_at(end).0]));
            let reply = ask(&fleet, &key, (surface, target), true).await;
            let text = reply.text();
            assert_eq!(reply.status(), 200, "{surface} by {target} at {end}: {text}");
            assert!(text.contains("broke off") && !has_terminator(&text), "{surface} by {target} at {end}: {text}");
            asked += 1;
        }
    }
    let logs = fleet.logged(asked + 8, "").await;
    let cut: Vec<_> = logs.iter().filter(|log| log["errorCode"] == "upstream_cut").collect();
    assert_eq!(cut.len(), asked, "{logs:#?}");
    for log in cut {
        assert!(log["status"] == 200 && nano(&log["costUsd"]) > 0, "{log:#}");
        assert!(log["trace"].to_string().contains(r#""outcome":"cut""#), "{log:#}");
        let source = log["usageSource"].as_str().unwrap_or_default();
        assert!(["provider", "partial_estimate"].contains(&source), "R-11: {log:#}");
    }
}

/// Servers that speak like OpenAI and leave its terminator out have said all when they say why they ended.
#[tokio::test]
async fn a_stream_without_done_is_whole_when_it_says_why_it_ended() {
    let (fleet, key) = with_all_dialects().await;
    let mut pieces = events("openai_chat", "sim/gpt-test");
    pieces.pop();
    for (surface, terminated) in [("openai_chat", false), ("anthropic_messages", true)] {
        fleet.provider.next(Answer::stream(pieces.clone()));
        let text = ask(&fleet, &key, (surface, "other/gpt-test"), true).await.text();
        assert!(text.contains("three") && !text.contains("\"error\""), "{text}");
        assert_eq!(has_terminator(&text), terminated, "{text}");
    }
    let logs = fleet.logged(2, "").await;
    assert!(logs.iter().all(|log| log["errorCode"].is_null()), "{logs:#?}");
}

/// What is no answer, and what it is answered with where nobody else is asked.
fn no_answers() -> Vec<(&'static str, Answer, &'static str)> {
    let json = |body: &str| Answer::bytes(body).header("Content-Type", "application/json");
    let half = || vec![events("openai_chat", "sim/gpt-test")[0].split_at(9).0.to_owned()];
    vec![
        ("a page", Answer::bytes("<html>Welcome</html>").header("Content-Type", "text/html"), "upstream_unreadable"),
        ("a page that says nothing of itself", Answer::bytes("<html>Welcome</html>"), "upstream_unreadable"),
        ("half an object", json("{\"id\":\"x\",\"choices\":[{\"ind"), "upstream_unreadable"),
        ("no object", json("\"ok\""), "upstream_unreadable"),
        ("nothing", json(""), "upstream_unreadable"),
        ("no content", Answer::bytes("").with_status(204), "upstream_unreadable"),
        ("elsewhere", Answer::bytes("").with_status(302).header("Location", "http://127.0.0.1:1/"), "upstream_error"),
        ("a stream of nothing", Answer::stream([""; 0]), "upstream_"),
        ("a stream of half an event", Answer::stream(half()), "upstream_"),
        ("a stream that breaks in its first event", Answer::stream(half()).cut_at(8), "upstream_"),
        ("a stream of a page", Answer::stream(["<html>Welcome</html>\n\n"]), "upstream_"),
        ("a stream of no JSON", Answer::stream(["data: <html>\n\n"]), "upstream_unreadable"),
    ]
}

/// What can be no answer fails its attempt: alone it is a 502, and a fallback goes on.
#[tokio::test]
async fn what_is_no_answer_is_a_failure_on_which_a_fallback_goes_on() {
    let (fleet, key) = with_all_dialects().await;
    for (surface, target) in [SAME[0], SAME[1], SAME[2], SAME[3], CONVERTED[0], CONVERTED[3]] {
        for (what, answer, code) in no_answers() {
            for stream in [true, false].into_iter().filter(|stream| *stream || !what.starts_with("a stream")) {
                let told = format!("{what} for {surface} by {target}, {stream}");
                fleet.provider.next(answer.clone());
                let reply = ask(&fleet, &key, (surface, &format!("@{}", slug(target))), stream).await;
                assert_eq!((reply.status(), reply.header("x-modelux-provider-used")), (200, Some("other")), "{told}: {}", reply.text());
                fleet.provider.next(answer.clone());
                let reply = ask(&fleet, &key, (surface, target), stream).await;
                assert_eq!(reply.status(), 502, "{told}: {}", reply.text());
                if surface.starts_with("openai") {
                    let error = reply.error(502);
                    assert!(error["code"].as_str().is_some_and(|said| said.starts_with(code)), "{told}: {error}");
                }
                recover(&fleet, &key, (surface, target)).await;
            }
        }
    }
    let failed = fleet.logged(100, "status: 502").await;
    assert!(failed.iter().all(|log| !log["errorCode"].is_null()), "{failed:#?}");
    let unreadable = failed.iter().find(|log| log["errorCode"] == "upstream_unreadable").expect("one that can't be read");
    assert!(unreadable["trace"].to_string().contains(r#""outcome":"unreadable""#), "{unreadable:#}");
}

/// An error as the first event of a stream, by surface and target, with the status that it stands for.
fn first_errors() -> [(&'static str, &'static str, String, u16); 8] {
    let anthropic = |kind: &str| typed(&json!({"type": "error", "error": {"type": kind, "message": "not now"}}));
    let openai = |kind: &str| format!("data: {}\n\n", json!({"error": {"message": "not now", "type": kind, "code": null, "param": null}}));
    let google =
        |code: u16, status: &str| format!("data: {}\n\n", json!({"error": {"code": code, "message": "not now", "status": status}}));
    [
        ("anthropic_messages", "claude/c", anthropic("overloaded_error"), 529),
        ("anthropic_messages", "claude/c", anthropic("rate_limit_error"), 429),
        ("anthropic_messages", "claude/c", anthropic("invalid_request_error"), 400),
        ("openai_chat", "claude/c", format!(": hello\n\n{}", anthropic("overloaded_error")), 529),
        ("openai_chat", "sim/gpt-test", openai("server_error"), 500),
        ("openai_chat", "sim/gpt-test", openai("rate_limit_exceeded"), 429),
        ("gemini", "gem/g", google(503, "UNAVAILABLE"), 503),
        ("openai_responses", "sim/gpt-test", typed(&json!({"type": "error", "code": "rate_limit_exceeded", "message": "not now"})), 429),
    ]
}

/// ADR 0010: a stream can fall back until the first byte of an answer, and an error is none.
#[tokio::test]
async fn an_error_in_the_place_of_an_answer_is_what_its_status_would_be() {
    let (fleet, key) = with_all_dialects().await;
    for (surface, target, event, status) in first_errors() {
        fleet.provider.next(Answer::stream([event.clone()]));
        let reply = ask(&fleet, &key, (surface, target), true).await;
        let (expected, text) = (if status < 500 { status } else { 502 }, reply.text());
        assert_eq!(reply.status(), expected, "{surface} by {target}, {event}: {text}");
        assert_eq!(text.contains("not now"), status < 500, "a refusal says what the provider says: {text}");
        fleet.provider.next(Answer::stream([event.clone()]));
        let before = fleet.provider.count();
        let reply = ask(&fleet, &key, (surface, &format!("@{}", slug(target))), true).await;
        let (attempts, expected) = if status == 400 { (1, 400) } else { (2, 200) };
        assert_eq!((fleet.provider.count() - before, reply.status()), (attempts, expected), "{event}: {}", reply.text());
        assert!(status == 400 || (has_terminator(&reply.text()) && !reply.text().contains("not now")), "{}", reply.text());
        recover(&fleet, &key, (surface, target)).await;
    }
    let refused = fleet.logged(3, "status: 429").await;
    let free = |log: &Value| log["errorCode"] == "upstream_refused" && nano(&log["costUsd"]) == 0;
    assert!(refused.len() == 3 && refused.iter().all(free), "{refused:#?}");
}

/// An error behind the beginning of an answer is passed on, and its attempt has failed.
#[tokio::test]
async fn an_error_behind_the_beginning_is_no_success() {
    let (fleet, key) = with_all_dialects().await;
    for (surface, target, error, _) in first_errors() {
        let begun = events(surface, target)[0].clone();
        fleet.provider.next(Answer::stream([begun, error]));
        let reply = ask(&fleet, &key, (surface, target), true).await;
        assert!(reply.status() == 200 && reply.text().contains("not now") && !has_terminator(&reply.text()), "{}", reply.text());
    }
    for log in fleet.logged(8, "").await {
        assert_eq!((&log["status"], &log["errorCode"]), (&json!(200), &json!("upstream_error")));
        assert!(log["trace"].to_string().contains(r#""outcome":"cut""#) && nano(&log["costUsd"]) > 0, "{log:#}");
    }
}

/// The circuit breaker counts all of them: after five a target rests.
#[tokio::test]
async fn a_target_that_gives_no_answers_rests() {
    let words = ["one ".to_owned()];
    let cut = Answer::stream(stream_pieces("free", &words, None).into_iter().take(2));
    let late = [stream_pieces("free", &words, None)[0].clone(), b"data: {\"error\":{\"message\":\"not now\"}}\n\n".to_vec()];
    for (what, answer) in [
        ("pages", Answer::bytes("<html></html>").header("Content-Type", "text/html")),
        ("redirections", Answer::bytes("").with_status(302).header("Location", "http://127.0.0.1:1/")),
        ("early ends", cut),
        ("errors first", Answer::stream(["data: {\"error\":{\"message\":\"not now\"}}\n\n"])),
        ("errors later", Answer::stream(late)),
    ] {
        let (fleet, key) = with_all_dialects().await;
        fleet.provider.always("free", answer);
        for _ in 0..5 {
            fleet.chat(&key, "@from-sim-free").streamed().ok().await;
        }
        let reply = fleet.chat(&key, "@from-sim-free").streamed().ok().await;
        assert_eq!(reply.header("x-modelux-provider-used"), Some("other"), "{what}: {}", reply.text());
        let asked = fleet.provider.requests().iter().filter(|request| request.model() == "free").count();
        assert_eq!(asked, 5, "{what}");
    }
}

/// A stream that is whole is a success: what opened a breaker before is forgotten with it.
#[tokio::test]
async fn a_whole_stream_ends_a_row_of_failures() {
    let (fleet, key) = with_all_dialects().await;
    for _ in 0..2 {
        for answer in [Answer::error(503), Answer::error(503), Answer::error(503), Answer::error(503), Answer::default()] {
            fleet.provider.always("free", answer);
            fleet.chat(&key, "@from-sim-free").streamed().ok().await;
        }
    }
    let asked = fleet.provider.requests().iter().filter(|request| request.model() == "free").count();
    assert_eq!(asked, 10);
}
