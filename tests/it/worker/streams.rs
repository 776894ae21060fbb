//! Streams that do not end well: a provider that dies, a caller that leaves, a caller that reads slowly.

use std::time::Duration;

use tests::fleet::{Fleet, nano};
use tests::provider::{Answer, Gate, stream_pieces};
use tests::wait::{SOON, until};

///
#[tokio::test]
async fn a_stream_that_dies_after_its_first_byte_ends_with_an_error_event_and_without_done() {
    let (fleet, key) = Fleet::governed().await;
    let words: Vec<String> = (0..5).map(|word| format!("word{word} ")).collect();
    let pieces = stream_pieces("gpt-test", &words, None);
    let cut = pieces[0].len() + pieces[1].len() + 20;
    fleet.provider.next(Answer::stream(pieces).cut_at(cut));
    let reply = fleet.chat(&key, "sim/gpt-test").streamed().send().await;
    assert_eq!(reply.status(), 200, "the head was out");
    let events = reply.events();
    assert!(events.iter().any(|event| event.contains("word0")), "{events:?}");
    assert!(!events.iter().any(|event| event == "[DONE]"), "{events:?}");
    let last: serde_json::Value = serde_json::from_str(events.last().unwrap()).expect("an event of its own, not glued to half a one");
    assert!(last["error"]["message"].is_string() && last["error"]["code"].is_string(), "{last}");
    let log = fleet.logged(1, "model: \"gpt-test\"").await;
    assert!(!log[0]["errorCode"].is_null(), "the row says that the upstream failed: {}", log[0]);
    assert!(nano(&log[0]["costUsd"]) > 0);
}

/// Before the first byte the caller gets a status, not a stream.
#[tokio::test]
async fn a_stream_that_dies_before_its_first_byte_is_a_502() {
    let (fleet, key) = Fleet::governed().await;
    fleet.provider.next(Answer::stream(["data: x\n\n"]).cut_at(0));
    let reply = fleet.chat(&key, "sim/gpt-test").streamed().send().await;
    assert_eq!(reply.status(), 502, "{}", reply.text());
}

/// when the caller leaves, the provider's work is ended and what passed is booked as an estimate.
#[tokio::test]
async fn a_caller_that_leaves_ends_the_providers_work_and_is_booked() {
    let (fleet, key) = Fleet::governed().await;
    let gate = Gate::default();
    fleet.provider.next(Answer::default().held_after_the_first_piece(&gate));
    let mut connection = fleet.chat(&key, "sim/gpt-test").streamed().open().await;
    connection.head().await.unwrap();
    connection.until("\"role\"").await;
    drop(connection);
    until("the provider notices", SOON, || async { fleet.provider.last().abandoned.then_some(()) }).await;
    let log = fleet.logged(1, "model: \"gpt-test\"").await;
    assert_eq!(log[0]["usageSource"].as_str().map(str::to_lowercase).as_deref(), Some("partial_estimate"));
    assert!(nano(&log[0]["costUsd"]) > 0, "the input was consumed: {}", log[0]);
}

/// R-12 for a buffered answer that the provider still works on.
#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_ends_the_providers_work() {
    let (fleet, key) = Fleet::governed().await;
    let gate = Gate::default();
    fleet.provider.next(Answer::default().held_by(&gate));
    let connection = fleet.chat(&key, "sim/gpt-test").open().await;
    until("the provider is asked", SOON, || async { (fleet.provider.count() == 1).then_some(()) }).await;
    drop(connection);
    until("the provider notices", SOON, || async { fleet.provider.last().abandoned.then_some(()) }).await;
    let log = fleet.logged(1, "model: \"gpt-test\"").await;
    assert!(nano(&log[0]["costUsd"]) > 0, "{}", log[0]);
}

/// a caller that does not read holds the provider back instead of filling memory.
#[tokio::test]
async fn a_slow_reader_holds_the_provider_back() {
    let (fleet, key) = Fleet::governed().await;
    let word = "x".repeat(16 << 10);
    let words: Vec<String> = (0..2_000).map(|_| word.clone()).collect();
    fleet.provider.next(Answer::stream(stream_pieces("gpt-test", &words, None)));
    let before = resident_kib(fleet.worker().process().id());
    let mut connection = tests::http::Connection::open_narrow(fleet.worker().address()).await;
    connection.send(&fleet.chat(&key, "sim/gpt-test").streamed().request()).await;
    connection.head().await.unwrap();
    // What buffers of sockets hold is a few MiB; the stream is 32.
    let mut read = 0;
    while read < 200 << 10 {
        read += connection.piece().await.unwrap().expect("more of the stream").len();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let grown = resident_kib(fleet.worker().process().id()).saturating_sub(before);
    assert!(grown < 16 << 10, "the worker has grown by {grown} KiB while nobody read");
    assert!(!fleet.provider.last().abandoned);
}

/// Resident memory of a process.
fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A provider that goes silent in the middle of a stream is given up on.
#[tokio::test]
async fn a_stream_that_stalls_is_ended_with_an_error_event() {
    let mut fleet = Fleet::start().await;
    let options = fleet.worker_options().with("MODELUX_IDLE_TIMEOUT_MS", 200);
    fleet.workers.clear();
    fleet.join(options).await;
    let applied = fleet.apply(&tests::fleet::manifest(&fleet.provider)).await;
    fleet.enforced(&applied).await;
    fleet.provider.next(Answer::default().held_after_the_first_piece(&Gate::default()));
    let reply = fleet.chat(&applied.key("app/main"), "sim/gpt-test").streamed().send().await;
    let events = reply.events();
    assert!(events.last().is_some_and(|event| event.contains("\"error\"")), "{events:?}");
}
