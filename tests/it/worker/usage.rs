//! Usage and cost as booked: the same streamed and buffered, exact to the nano-USD, zero is not absent.

use serde_json::Value;
use tests::fleet::{Fleet, nano};
use tests::provider::{Answer, Usage};

/// Prices of `sim/gpt-test` in nano-USD a token: 1.0, 0.1, 2.0, 3.0 USD a million.
fn expected_cost(usage: Usage) -> i64 {
    let tokens = |count: u64| i64::try_from(count).unwrap();
    tokens(usage.prompt - usage.cached) * 1000
        + tokens(usage.cached) * 100
        + tokens(usage.completion - usage.reasoning) * 2000
        + tokens(usage.reasoning) * 3000
}

fn booked(row: &Value) -> (i64, [u64; 4], String) {
    let count = |name: &str| row["usage"][name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {row}"));
    let usage = ["inputTokens", "cachedInputTokens", "outputTokens", "reasoningTokens"].map(count);
    (nano(&row["costUsd"]), usage, row["usageSource"].as_str().unwrap().to_lowercase())
}

/// streamed and buffered replies with the same report are booked alike, in disjoint buckets.
#[tokio::test]
async fn streamed_and_buffered_replies_cost_the_same_to_the_nano_dollar() {
    let (fleet, key) = Fleet::governed().await;
    let usages = [
        Usage { prompt: 1000, cached: 0, completion: 50, reasoning: 0 },
        Usage { prompt: 1000, cached: 900, completion: 50, reasoning: 20 },
        Usage { prompt: 1, cached: 1, completion: 64, reasoning: 64 },
    ];
    for (number, usage) in usages.into_iter().enumerate() {
        for streamed in [false, true] {
            fleet.provider.next(Answer::of(usage));
            let run = format!("run-{number}-{streamed}");
            let chat = fleet.chat(&key, "sim/gpt-test").header("X-Modelux-Trace-Id", &run);
            if streamed { chat.streamed() } else { chat }.ok().await;
            let log = fleet.logged(1, &format!("traceId: \"{run}\"")).await;
            let buckets = [usage.prompt - usage.cached, usage.cached, usage.completion - usage.reasoning, usage.reasoning];
            assert_eq!(booked(&log[0]), (expected_cost(usage), buckets, "provider".to_owned()), "{run}");
        }
    }
}

/// a provider's explicit zero is believed; only silence is estimated.
#[tokio::test]
async fn a_reported_zero_is_zero_and_an_absent_report_is_an_estimate() {
    let (fleet, key) = Fleet::governed().await;
    for streamed in [false, true] {
        let chat = |run: &str| {
            let chat = fleet.chat(&key, "sim/gpt-test").header("X-Modelux-Trace-Id", run);
            if streamed { chat.streamed() } else { chat }
        };
        fleet.provider.next(Answer::of(Usage::default()));
        chat(&format!("zero-{streamed}")).ok().await;
        let log = fleet.logged(1, &format!("traceId: \"zero-{streamed}\"")).await;
        assert_eq!(booked(&log[0]), (0, [0, 0, 0, 0], "provider".to_owned()));

        fleet.provider.next(Answer::without_usage());
        chat(&format!("absent-{streamed}")).ok().await;
        let log = fleet.logged(1, &format!("traceId: \"absent-{streamed}\"")).await;
        let (cost, usage, source) = booked(&log[0]);
        assert_eq!(source, "partial_estimate");
        assert!(cost > 0 && usage[0] > 0 && usage[2] > 0, "{:?}", log[0]);
    }
}

/// litellm#36168: the last chunk carries both choices and usage, cached tokens too.
#[tokio::test]
async fn usage_on_a_chunk_with_choices_is_counted_whole() {
    let (fleet, key) = Fleet::governed().await;
    let usage = Usage { prompt: 500, cached: 400, completion: 30, reasoning: 0 };
    let last = serde_json::json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test",
        "choices": [{"index": 0, "delta": {"content": "all"}, "finish_reason": "stop"}], "usage": usage.json()});
    fleet.provider.next(Answer::stream([format!("data: {last}\n\n"), "data: [DONE]\n\n".to_owned()]));
    let reply = fleet.chat(&key, "sim/gpt-test").with("stream", true).ok().await;
    assert!(reply.text().contains("\"all\""), "a chunk with choices is never withheld: {}", reply.text());
    let log = fleet.logged(1, "status: 200").await;
    assert_eq!(booked(&log[0]), (expected_cost(usage), [100, 400, 30, 0], "provider".to_owned()));
}

/// R-11 over a real worker: a stream cut at many byte offsets leaves one row each, at least the input's cost, never null.
#[tokio::test]
async fn a_stream_cut_anywhere_is_booked_once_at_no_less_than_its_input() {
    let (fleet, key) = Fleet::governed().await;
    let words: Vec<String> = (0..4).map(|word| format!("word{word} ")).collect();
    let usage = Usage { prompt: 40, cached: 10, completion: 4, reasoning: 0 };
    let pieces = tests::provider::stream_pieces("gpt-test", &words, Some(usage));
    let length: usize = pieces.iter().map(Vec::len).sum();
    let offsets: Vec<usize> = (0..length).step_by(29).chain([length - 15, length - 1]).collect();
    for offset in &offsets {
        fleet.provider.next(Answer::stream(pieces.clone()).cut_at(*offset));
        let run = format!("cut-{offset}");
        let reply = fleet.chat(&key, "sim/gpt-test").streamed().header("X-Modelux-Trace-Id", &run).send().await;
        let text = reply.text();
        assert!(*offset > length - 15 || !text.contains("[DONE]"), "cut at {offset}: {text}");
    }
    let log = fleet.logged(offsets.len(), "key: \"main\"").await;
    assert_eq!(log.len(), offsets.len(), "one row for each");
    for row in &log {
        let (cost, usage, source) = booked(row);
        assert!(["provider", "partial_estimate"].contains(&source.as_str()), "{row}");
        // 30 uncached and 10 cached tokens when reported; an estimate counts the input uncached and is no lower.
        assert!(cost >= 31_000 || usage[0] * 1000 <= cost.unsigned_abs() && usage[0] > 0, "{row}");
    }
}
