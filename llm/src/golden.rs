//! Golden tests over `testdata`: each input has its outcome beside it as `<name>.expected.json`.
//!
//! When one differs, what was found is written to `<name>.modified.json`. Read both; if the new one is right, rename it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    dialect::Dialect,
    request::{Addressed, OutputField, OutputLimit, Rewrite},
    stream::{StreamMeter, StreamOutcome, UsageEvents},
    tokens::TokenEstimate,
    usage::{Usage, UsageSource},
};

const PROMPT: TokenEstimate = TokenEstimate { likely: 500, bound: 5000 };

fn folder(dialect: Dialect, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(dialect.name()).join(name)
}

/// The inputs of one kind in every dialect that callers speak: dialect, name and content.
fn inputs(name: &str, extension: &str) -> Vec<(Dialect, PathBuf, Vec<u8>)> {
    let spoken = Dialect::ALL.into_iter().filter(|dialect| *dialect != Dialect::BedrockConverse);
    let streams = |dialect: &Dialect| name != "streams" || *dialect != Dialect::OpenAiEmbeddings;
    spoken.filter(streams).flat_map(|dialect| inputs_of(dialect, name, extension)).collect()
}

fn inputs_of(dialect: Dialect, name: &str, extension: &str) -> Vec<(Dialect, PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder(dialect, name)).unwrap().map(|entry| entry.unwrap().path());
    let is_input = |path: &PathBuf| {
        let text = path.to_string_lossy();
        text.ends_with(extension) && !text.ends_with(".expected.json") && !text.ends_with(".modified.json")
    };
    let mut found: Vec<_> = entries.filter(is_input).map(|path| (dialect, path.clone(), fs::read(&path).unwrap())).collect();
    found.sort_by(|one, other| one.1.cmp(&other.1));
    assert!(!found.is_empty(), "no golden inputs in `{name}` of {}", dialect.name());
    found
}

fn check(input: &Path, found: &Value, differing: &mut Vec<String>) {
    let expected_path = input.with_extension("expected.json");
    let expected = fs::read(&expected_path).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    if expected.as_ref() == Some(found) {
        return;
    }
    fs::write(input.with_extension("modified.json"), serde_json::to_string_pretty(found).unwrap() + "\n").unwrap();
    differing.push(expected_path.display().to_string());
}

fn usage_outcome(usage: &Usage) -> Value {
    let buckets = match usage.buckets() {
        Ok(buckets) => json!([buckets.input, buckets.cached_input, buckets.cache_write, buckets.output, buckets.reasoning]),
        Err(mismatch) => json!({"mismatch": mismatch.to_string(), "ceiling": usage.ceiling().sum()}),
    };
    let mut outcome = json!({
        "input": usage.input_tokens, "cached_input": usage.cached_input_tokens, "cache_write": usage.cache_write_tokens,
        "input_audio": usage.input_audio_tokens, "output": usage.output_tokens, "reasoning": usage.reasoning_tokens,
        "output_audio": usage.output_audio_tokens, "total": usage.total_tokens,
        "buckets_input_cached_write_output_reasoning": buckets,
    });
    if let Some(hour) = usage.cache_write_1h_tokens {
        outcome["cache_write_1h"] = hour.into();
    }
    outcome
}

fn request_outcome(dialect: Dialect, body: &[u8]) -> Value {
    let addressed = (dialect == Dialect::Gemini).then_some(Addressed { model: "@gemini", stream: true });
    let head = match dialect.read_head(body, addressed) {
        Ok(head) => head,
        Err(error) => return json!({"refused": error.to_string(), "field": error.field()}),
    };
    let limit = OutputLimit { tokens: 256, field: OutputField::MaxCompletionTokens };
    let rewrite = Rewrite { model: Some("gpt-4o-mini"), force_usage: true, output_limit: Some(limit), dimensions: None };
    let upstream = head.layout.upstream_body(&Bytes::copy_from_slice(body), &rewrite);
    let estimate = head.estimate();
    let mut outcome = json!({
        "model": head.model, "stream": head.stream, "include_usage": head.include_usage, "output_limit": head.output_limit,
        "choices": head.choices, "user": head.user, "has_tools": head.has_tools, "images": head.sizes.images,
        "trace_id": head.metadata.trace_id, "conversation_id": head.metadata.conversation_id, "user_id": head.metadata.user_id,
        "tags": head.extensions.tags, "end_user": head.extensions.end_user, "skip_cache": head.extensions.skip_cache,
        "trace": head.extensions.trace, "messages": head.sizes.messages, "likely": estimate.likely, "bound": estimate.bound,
        "upstream": String::from_utf8(upstream.to_vec()).unwrap(),
    });
    if dialect != Dialect::OpenAiChat {
        outcome["files"] = head.sizes.files.into();
        outcome["hosted_tools"] = head.sizes.hosted_tools.into();
        outcome["provider_state"] = head.provider_state.is_some().into();
        outcome["thinking_budget"] = head.thinking_budget.into();
    }
    outcome
}

#[test]
fn requests_are_read_and_rewritten_as_recorded() {
    let mut differing = Vec::new();
    for (dialect, path, body) in inputs("requests", ".json") {
        check(&path, &request_outcome(dialect, &body), &mut differing);
    }
    assert!(differing.is_empty(), "compare with the `.modified.json` beside: {differing:#?}");
}

#[test]
fn usage_of_replies_is_as_recorded() {
    let mut differing = Vec::new();
    for (dialect, path, reply) in inputs("replies", ".json") {
        let found = match dialect.read_usage(&reply) {
            Ok(usage) => usage.as_ref().map_or(Value::Null, usage_outcome),
            Err(error) => json!({"unreadable": error.to_string()}),
        };
        check(&path, &found, &mut differing);
    }
    assert!(differing.is_empty(), "compare with the `.modified.json` beside: {differing:#?}");
}

/// Sends a stream through a meter, cut at these places; returns what was forwarded and the outcome.
fn meter(dialect: Dialect, stream: &[u8], usage_events: UsageEvents, cuts: &[usize]) -> (Vec<u8>, StreamOutcome) {
    let mut borders: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    borders.extend([0, stream.len()]);
    borders.sort_unstable();
    let mut meter = StreamMeter::new(dialect, usage_events);
    let mut forward = Vec::new();
    for pair in borders.windows(2) {
        meter.push(Bytes::copy_from_slice(&stream[pair[0]..pair[1]]), &mut forward);
    }
    let outcome = meter.finish();
    forward.push(outcome.held.clone());
    (forward.concat(), outcome)
}

#[test]
fn streams_are_metered_as_recorded() {
    let mut differing = Vec::new();
    for (dialect, path, stream) in inputs("streams", ".sse") {
        let (forwarded, outcome) = meter(dialect, &stream, UsageEvents::Withhold, &[]);
        let verdict = outcome.verdict(PROMPT);
        assert!(dialect == Dialect::OpenAiChat || forwarded == stream, "only chat's report is ever withheld: {}", path.display());
        let found = json!({
            "source": verdict.source.as_str(), "usage": usage_outcome(&verdict.usage), "done": outcome.done, "failed": outcome.failed,
            "events": outcome.events, "unread_events": outcome.unread_events, "output_bytes": outcome.output_bytes,
            "output_pieces": outcome.output_pieces, "withheld_bytes": stream.len() - forwarded.len(),
            "last_forwarded": String::from_utf8_lossy(&forwarded[forwarded.len().saturating_sub(60)..]),
        });
        check(&path, &found, &mut differing);
    }
    assert!(differing.is_empty(), "compare with the `.modified.json` beside: {differing:#?}");
}

/// a recorded stream cut at every byte offset has exactly one usage, whose source is known, whose buckets add up, and whose
/// input is not below what the whole stream reports.
#[test]
fn a_stream_cut_at_every_byte_has_one_usage() {
    for (dialect, path, stream) in inputs("streams", ".sse") {
        let whole = meter(dialect, &stream, UsageEvents::Forward, &[]).1.verdict(PROMPT);
        for cut in 0..=stream.len() {
            for usage_events in [UsageEvents::Forward, UsageEvents::Withhold] {
                let verdict = meter(dialect, &stream[..cut], usage_events, &[cut / 2]).1.verdict(PROMPT);
                let at = format!("{} at {cut}", path.display());
                // What the provider's own tools find is input that is only said at the end.
                let grows = path.ends_with("input_grows_with_server_tools.sse");
                assert!(grows || verdict.usage.input_tokens >= whole.usage.input_tokens, "{at}");
                assert!(verdict.usage.input_tokens.is_some() && verdict.usage.output_tokens.is_some(), "{at}");
                let before_report = verdict.source == UsageSource::PartialEstimate;
                assert!(before_report || whole.source == UsageSource::Provider, "{at}");
                assert!(verdict.usage.buckets().is_ok() || whole.usage.buckets().is_err(), "{at}");
            }
        }
    }
}

/// the same answer, recorded buffered and streamed, has equal usage.
#[test]
fn buffered_and_streamed_replies_to_the_same_have_equal_usage() {
    let mut pairs = 0;
    for (dialect, path, stream) in inputs("streams", ".sse") {
        let reply = folder(dialect, "replies").join(path.with_extension("json").file_name().unwrap());
        let Ok(reply) = fs::read(reply) else { continue };
        let buffered = dialect.read_usage(&reply).unwrap().unwrap();
        assert_eq!(meter(dialect, &stream, UsageEvents::Forward, &[]).1.verdict(PROMPT).usage, buffered, "{}", path.display());
        pairs += 1;
    }
    assert!(pairs >= 7, "{pairs} pairs of the same name");
}

proptest! {
    /// However the bytes arrive, the same goes out and the same is counted; asked for, everything goes out.
    #[test]
    fn the_cut_of_the_chunks_changes_nothing(cuts in proptest::collection::vec(any::<usize>(), 0..40)) {
        for (dialect, _, stream) in inputs("streams", ".sse") {
            for usage_events in [UsageEvents::Forward, UsageEvents::ForwardWhole, UsageEvents::Withhold] {
                let (whole, expected) = meter(dialect, &stream, usage_events, &[]);
                let (cut, found) = meter(dialect, &stream, usage_events, &cuts);
                prop_assert!(usage_events == UsageEvents::Withhold || cut == stream);
                prop_assert_eq!(cut, whole);
                prop_assert_eq!(found, expected);
            }
        }
    }

    /// Nothing that a provider sends makes it panic or lose a byte.
    #[test]
    fn noise_passes_through_unchanged(
        noise in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b'"'), Just(b'{')], 0..300),
        cuts in proptest::collection::vec(any::<usize>(), 0..9), dialect in proptest::sample::select(Dialect::ALL.to_vec()),
    ) {
        let (forwarded, outcome) = meter(dialect, &noise, UsageEvents::Withhold, &cuts);
        prop_assert_eq!(forwarded, noise);
        prop_assert_eq!(outcome.verdict(PROMPT).source, UsageSource::PartialEstimate);
    }
}
