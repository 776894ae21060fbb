//! Bodies on their way back: whole, in pieces, broken off, and not wanted any more.

use std::time::Duration;

use serde_json::json;
use tests::fleet::Fleet;
use tests::http::Connection;
use tests::provider::{Answer, Gate};
use tests::wait::{SOON, until};

use super::{FORM, call, form, governed, post, send, world};

/// Five megabytes in pieces.
fn file() -> Vec<Vec<u8>> {
    (0..80_u8).map(|piece| (0..=255_u8).map(|byte| byte ^ piece).cycle().take(64 << 10).collect()).collect()
}

/// The first piece arrives while the provider still holds the rest back.
#[tokio::test]
async fn a_large_file_passes_in_pieces_with_its_length_and_name() {
    let (fleet, key) = governed(|_| {}).await;
    let (gate, pieces) = (Gate::default(), file());
    let answer = Answer::stream_of("application/octet-stream", pieces.clone()).sized();
    let named =
        answer.header("Content-Disposition", "attachment; filename=\"out.jsonl\"").header("ETag", "\"e\"").header("Set-Cookie", "a=b");
    fleet.provider.next(named.held_after_the_first_piece(&gate));
    let mut connection = Connection::open(fleet.worker().address()).await;
    connection.send(&call("GET", "/v1/files/file-1/content", &key)).await;
    let head = connection.head().await.expect("a head");
    let length = (80 * (64 << 10)).to_string();
    assert_eq!((head.status, head.header("content-length")), (200, Some(length.as_str())));
    assert_eq!(head.header("content-type"), Some("application/octet-stream"));
    assert_eq!(head.header("content-disposition"), Some("attachment; filename=\"out.jsonl\""));
    assert_eq!((head.header("etag"), head.header("set-cookie"), head.header("transfer-encoding")), (Some("\"e\""), None, None));
    let first = connection.piece().await.expect("a piece").expect("not the end");
    gate.open();
    let (rest, complete) = connection.rest().await;
    assert!(complete && [first, rest].concat() == pieces.concat(), "the file has changed on its way");
    // The connection serves on.
    connection.send(&call("GET", "/v1/files", &key)).await;
    assert_eq!(connection.reply().await.expect("an answer").status(), 200);
    let log = fleet.logged(2, "status: 200").await;
    assert!(log.iter().all(|row| row["costUsd"] == "0.00" && row["errorCode"].is_null()), "{log:#?}");
}

///
#[tokio::test]
async fn a_slow_reader_of_a_large_file_holds_the_provider_back() {
    let (fleet, key) = governed(|_| {}).await;
    let pieces: Vec<Vec<u8>> = (0..512).map(|_| vec![7; 64 << 10]).collect();
    fleet.provider.next(Answer::stream_of("video/mp4", pieces).sized());
    let before = resident_kib(fleet.worker().process().id());
    let mut connection = Connection::open_narrow(fleet.worker().address()).await;
    connection.send(&call("GET", "/v1/videos/video_1/content", &key)).await;
    connection.head().await.expect("a head");
    let mut read = 0;
    while read < 200 << 10 {
        read += connection.piece().await.expect("a piece").expect("more of the file").len();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let grown = resident_kib(fleet.worker().process().id()).saturating_sub(before);
    assert!(grown < 16 << 10, "the worker has grown by {grown} KiB of 32 MiB while nobody read");
    assert!(!fleet.provider.last().abandoned);
    // Leaving ends the provider's work, and the books are closed.
    drop(connection);
    until("the provider notices", SOON, || async { fleet.provider.last().abandoned.then_some(()) }).await;
    let log = fleet.logged(1, "status: 499").await;
    assert_eq!((&log[0]["errorCode"], &log[0]["usageSource"]), (&json!("client_closed_request"), &json!("none")), "{log:#?}");
}

/// Resident memory of a process.
fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn a_file_that_breaks_off_does_not_look_whole() {
    let (fleet, key) = governed(|_| {}).await;
    let cut = |answer: Answer| answer.cut_at(100_000);
    for answer in [Answer::stream_of("video/mp4", file()), Answer::stream_of("video/mp4", file()).sized()] {
        fleet.provider.next(cut(answer));
        let reply = send(&fleet, &call("GET", "/v1/files/file-1/content", &key)).await;
        assert_eq!((reply.status(), reply.complete), (200, false));
    }
    let log = fleet.logged(2, "status: 200").await;
    assert!(log.iter().all(|row| row["errorCode"] == "upstream_cut"), "{log:#?}");
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_answer_is_booked_as_one_who_may_have_spent() {
    let (fleet, key) = governed(|_| {}).await;
    for (request, source) in [
        (call("GET", "/v1/files", &key), "none"),
        (post("/v1/batches", &key, &json!({"input_file_id": "f"})), "unpriced"),
        // What is bounded and priced is booked at its bound.
        (post("/v1/images/generations", &key, &json!({"model": "sim/draws", "prompt": "x"})), "partial_estimate"),
    ] {
        let asked = fleet.provider.count();
        fleet.provider.next(Answer::default().held_by(&Gate::default()));
        let mut connection = Connection::open(fleet.worker().address()).await;
        connection.send(&request).await;
        until("the provider is asked", SOON, || async { (fleet.provider.count() > asked).then_some(()) }).await;
        drop(connection);
        until("it is booked", SOON, || async {
            let log = fleet.logged(1, "status: 499").await;
            log.iter().any(|row| row["usageSource"] == source).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn answers_without_a_body_and_without_a_length_are_passed_on_as_they_are() {
    let (fleet, key) = governed(|_| {}).await;
    let mut connection = Connection::open(fleet.worker().address()).await;
    fleet.provider.next(Answer::bytes("").with_status(204));
    connection.send(&call("DELETE", "/v1/files/file-1", &key)).await;
    let reply = connection.reply().await.expect("an answer");
    assert_eq!((reply.status(), reply.body.len(), reply.header("content-length"), reply.header("transfer-encoding")), (204, 0, None, None));
    fleet.provider.next(Answer::stream_of("application/binary", [b"a\0".to_vec(), b"\xffb".to_vec()]));
    connection.send(&call("GET", "/v1/files/file-1/content", &key)).await;
    let reply = connection.reply().await.expect("an answer");
    assert_eq!((reply.body, reply.complete), (b"a\0\xffb".to_vec(), true));
    fleet.provider.next(Answer::json(&json!({"ok": true})).with_status(201));
    connection.send(&post("/v1/uploads", &key, &json!({"bytes": 1}))).await;
    assert_eq!(connection.reply().await.expect("an answer").status(), 201);
}

/// a stream is kept alive between its events.
#[tokio::test]
async fn a_stream_of_events_is_kept_alive_and_ended_with_an_error_where_it_breaks() {
    let mut fleet = Fleet::start().await;
    let options = fleet.worker_options().with("MODELUX_STREAM_KEEP_ALIVE_MS", 100);
    fleet.workers.clear();
    fleet.join(options).await;
    let key = fleet.enforce(&world(&fleet.provider)).await.key("app/main");
    let gate = Gate::default();
    let events = ["data: {\"type\":\"image_generation.partial_image\"}\n\n", "data: {\"type\":\"image_generation.completed\"}\n\n"];
    let draw = post("/v1/images/generations", &key, &json!({"model": "sim/draws", "prompt": "x", "stream": true}));
    fleet.provider.next(Answer::stream(events).held_after_the_first_piece(&gate));
    let mut connection = Connection::open(fleet.worker().address()).await;
    connection.send(&draw).await;
    assert_eq!(connection.head().await.expect("a head").header("content-type"), Some("text/event-stream"));
    connection.until(": keep-alive").await;
    gate.open();
    connection.until("image_generation.completed").await;
    assert!(connection.rest().await.1);
    fleet.provider.next(Answer::stream(events).cut_at(60));
    let reply = send(&fleet, &draw).await;
    assert!(reply.events().last().is_some_and(|event| event.contains("upstream_cut")), "{}", reply.text());
}

/// What guardrails can't look into does not pass where they would have acted.
#[tokio::test]
async fn a_guardrail_that_acts_refuses_what_it_can_not_look_into() {
    let guarded =
        |guardrails: serde_json::Value| governed(move |wanted| wanted["projects"][0]["settings"] = json!({"guardrails": guardrails}));
    let upload = |key: &str| call("POST", "/v1/files", key).header("Content-Type", FORM).body(form(&[]));
    let draw = |key: &str| post("/v1/images/generations", key, &json!({"model": "sim/draws", "prompt": "for alice@example.com"}));
    let (fleet, key) = guarded(json!({"detection": {"action": "redact"}})).await;
    let error = send(&fleet, &upload(&key)).await.error(403);
    assert!(error["message"].as_str().unwrap().contains("can't look into files"), "{error}");
    assert_eq!(send(&fleet, &call("GET", "/v1/files", &key)).await.status(), 200, "there is nothing to look into");
    assert_eq!(send(&fleet, &draw(&key)).await.status(), 200);
    assert_eq!(fleet.provider.last().json(), json!({"model": "draws", "prompt": "for [EMAIL]"}));
    let (fleet, key) = guarded(json!({"detection": {"action": "deny", "mode": "shadow"}})).await;
    assert_eq!(send(&fleet, &upload(&key)).await.status(), 200);
    let log = fleet.logged(1, "status: 200").await;
    assert!(log[0]["trace"].to_string().contains("would_deny"), "{log:#?}");
}

#[tokio::test]
async fn bodies_that_could_be_read_in_two_ways_are_refused() {
    let (fleet, key) = governed(|_| {}).await;
    let json = |body: &str| call("POST", "/v1/images/generations", &key).header("Content-Type", "application/json").body(body);
    let plain = call("POST", "/v1/images/generations", &key).header("Content-Type", "text/plain").body("{\"model\":\"sim/draws\"}");
    let twice = [form(&[("model", "sim/free")]), form(&[("model", "sim/gpt-test")])].concat();
    let smuggled = call("POST", "/v1/audio/transcriptions", &key).header("Content-Type", FORM).body(twice);
    let typed_twice = json("{}").header("Content-Type", FORM);
    for request in [json("{\"model\":\"a\",\"mod\\u0065l\":\"b\"}"), json("[1]"), json("{"), plain, smuggled, typed_twice] {
        assert_eq!(send(&fleet, &request).await.error(400)["type"], "invalid_request_error");
    }
    let mut connection = Connection::open(fleet.worker().address()).await;
    let big = call("POST", "/v1/files", &key).header("Content-Type", FORM).head_bytes("Content-Length: 33554433\r\n");
    connection.write(&big).await.expect("a request that can be written");
    assert_eq!(connection.reply().await.expect("an answer").error(413)["code"], "request_too_large");
    assert_eq!(fleet.provider.count(), 0);
}
