//! what is said is the same, streamed and buffered, in each dialect and converted from each to each.
//!
//! The corpus has a folder a case: `expected.json`, what is said, and `<dialect>.json` with `<dialect>.sse`, how the dialect says it. A new
//! dialect is added to [`DIALECTS`]; its recordings are picked up where they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Answer, Ask, Choice, Part, Signature, Stamp, StreamConverter, accumulated::Accumulated, answer, hub, request};
use crate::dialect::Dialect;

const DIALECTS: [Dialect; 4] = [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages, Dialect::Gemini];

const STAMP: Stamp<'_> = Stamp { id: "0b8c", created: 1_764_000_001, model: "fast" };

fn folders(name: &str) -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(name);
    let mut found: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(found.len() > 3);
    found
}

/// The recordings of a case: dialect, buffered and streamed.
fn recordings(case: &Path) -> Vec<(Dialect, Vec<u8>, Vec<u8>)> {
    let read = |dialect: Dialect, extension| fs::read(case.join(dialect.name()).with_extension(extension));
    let found: Vec<_> =
        DIALECTS.into_iter().filter_map(|dialect| Some((dialect, read(dialect, "json").ok()?, read(dialect, "sse").unwrap()))).collect();
    assert!(!found.is_empty(), "{}", case.display());
    found
}

fn read_buffered(dialect: Dialect, body: &[u8]) -> Value {
    said(&hub::read_answer(dialect, body).unwrap().unwrap())
}

fn read_streamed(dialect: Dialect, stream: &[u8]) -> Value {
    said(&Accumulated::of(dialect, stream).answer())
}

fn convert(from: Dialect, stream: &[u8], to: Dialect, cuts: &[usize]) -> Vec<u8> {
    let mut converter = StreamConverter::new(from, to, &STAMP, true).unwrap();
    let mut borders: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    borders.extend([0, stream.len()]);
    borders.sort_unstable();
    let mut out = Vec::new();
    for pair in borders.windows(2) {
        converter.push(&stream[pair[0]..pair[1]], &mut out);
    }
    converter.finish(&mut out);
    out
}

/// What an answer says, in a form to compare: neighbouring texts are one, and no arguments are the empty object.
fn said(answer: &Answer<'_>) -> Value {
    let choices: Vec<Value> = answer.choices.iter().map(said_choice).collect();
    let usage = answer.usage.map(|usage| {
        json!({"input": usage.input_tokens, "cached_input": usage.cached_input_tokens, "output": usage.output_tokens,
               "reasoning": usage.reasoning_tokens})
    });
    json!({"choices": choices, "usage": usage})
}

fn said_choice(choice: &Choice<'_>) -> Value {
    let mut parts: Vec<Value> = Vec::new();
    for part in &choice.parts {
        let value = match part {
            Part::Text { text, .. } => match parts.last_mut().and_then(|last| last.get_mut("text")) {
                Some(before) => {
                    *before = format!("{}{text}", before.as_str().unwrap()).into();
                    continue;
                }
                None => json!({ "text": text }),
            },
            Part::Refusal { text } => json!({ "refusal": text }),
            Part::Thinking { text, signature } => json!({"thinking": text, "signature": signed(signature.as_ref())}),
            Part::ToolCall(call) => {
                let arguments = if call.arguments.is_empty() { "{}" } else { &*call.arguments };
                json!({"call": call.id, "name": call.name, "arguments": arguments, "signature": signed(call.signature.as_ref())})
            }
            other => panic!("no recording says {other:?}"),
        };
        parts.push(value);
    }
    let logprobs = choice.logprobs.as_ref().map(|json| serde_json::from_str::<Value>(json.get()).unwrap()["content"].clone());
    json!({"parts": parts, "finish": format!("{:?}", choice.finish), "stop_sequence": choice.stop_sequence, "logprobs": logprobs})
}

fn signed(signature: Option<&Signature<'_>>) -> Option<String> {
    signature.map(|signature| format!("{}:{}", signature.origin.name(), signature.value))
}

/// The expectation, with signatures made by `origin`, and without what `via` has no place for.
fn expected(case: &Path, origin: Dialect, via: Dialect) -> Value {
    let mut expected: Value = serde_json::from_slice(&fs::read(case.join("expected.json")).unwrap()).unwrap();
    let choices = expected["choices"].as_array_mut().unwrap();
    if matches!(via, Dialect::OpenAiResponses | Dialect::AnthropicMessages) {
        choices.truncate(1);
    }
    for choice in choices {
        if via == Dialect::AnthropicMessages {
            choice["logprobs"] = Value::Null;
        }
        if matches!(via, Dialect::OpenAiResponses | Dialect::Gemini) {
            choice["stop_sequence"] = Value::Null;
            if choice["finish"] == "StopSequence" {
                choice["finish"] = "Stop".into();
            }
        }
        for part in choice["parts"].as_array_mut().unwrap() {
            if matches!(via, Dialect::Gemini | Dialect::AnthropicMessages) {
                say_without_places(part);
            }
            if let Some(Value::String(value)) = part.get_mut("signature") {
                *value = format!("{}:{value}", origin.name());
            }
        }
    }
    expected
}

/// Gemini and Anthropic have no place for refusals, which are texts there, and take arguments only as an object.
fn say_without_places(part: &mut Value) {
    if let Some(text) = part.get("refusal").cloned() {
        *part = json!({ "text": text });
    }
    if let Some(Value::String(arguments)) = part.get_mut("arguments")
        && serde_json::from_str::<Value>(arguments).is_err()
    {
        *arguments = json!({ "input": *arguments }).to_string();
    }
}

/// Anthropic's streams have arguments in pieces of text, sent before anybody can know that they are no object; and a foreign signature of a
/// call in a block behind it, which only the reader of requests puts back.
fn as_streamed(mut expected: Value, to: Dialect) -> Value {
    let choices = expected["choices"].as_array_mut().unwrap().iter_mut().filter(|_| to == Dialect::AnthropicMessages);
    for parts in choices.map(|choice| choice["parts"].as_array_mut().unwrap()) {
        let mut said = Vec::new();
        for mut part in std::mem::take(parts) {
            let signature = if part.get("call").is_some() { part["signature"].take() } else { Value::Null };
            if let Some(Value::String(arguments)) = part.get_mut("arguments")
                && let Some(Value::String(text)) = serde_json::from_str::<Value>(arguments).unwrap().get("input")
            {
                *arguments = text.clone();
            }
            said.push(part);
            if let Some((origin, value)) = signature.as_str().and_then(|signature| signature.split_once(':')) {
                said.push(json!({"thinking": "", "signature": format!("anthropic_messages:call.mlx1.{origin}.{value}")}));
            }
        }
        *parts = said;
    }
    expected
}

#[test]
fn every_recording_says_what_is_expected_streamed_and_buffered() {
    for case in folders("answers") {
        for (dialect, buffered, streamed) in recordings(&case) {
            let expected = expected(&case, dialect, dialect);
            let at = format!("{} in {}", case.display(), dialect.name());
            assert_eq!(read_buffered(dialect, &buffered), expected, "{at}, buffered");
            assert_eq!(read_streamed(dialect, &streamed), expected, "{at}, streamed");
        }
    }
}

#[test]
fn every_answer_says_the_same_in_every_dialect_streamed_and_buffered() {
    for case in folders("answers") {
        for (from, buffered, streamed) in recordings(&case) {
            for to in DIALECTS {
                let expected = expected(&case, from, to);
                let at = format!("{} from {} to {}", case.display(), from.name(), to.name());
                let converted = answer(from, &buffered, to, &STAMP).unwrap();
                assert_eq!(read_buffered(to, &converted), expected, "{at}, buffered");
                let converted = convert(from, &streamed, to, &[]);
                let expected = as_streamed(expected, to);
                assert_eq!(read_streamed(to, &converted), expected, "{at}, streamed: {}", String::from_utf8_lossy(&converted));
            }
        }
    }
}

/// Opaque state comes back as it was, through every other dialect.
#[test]
fn an_answer_that_went_through_every_dialect_comes_back_the_same() {
    for case in folders("answers") {
        for (from, buffered, _) in recordings(&case) {
            for via in DIALECTS {
                let there = answer(from, &buffered, via, &STAMP).unwrap();
                let back = answer(via, &there, from, &STAMP).unwrap();
                let mut expected = expected(&case, from, via);
                if from == Dialect::OpenAiResponses {
                    expected["choices"][0]["stop_sequence"] = Value::Null;
                }
                assert_eq!(read_buffered(from, &back), expected, "{} by way of {}", case.display(), via.name());
            }
        }
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_still_in_order() {
    for case in folders("answers") {
        for (from, _, streamed) in recordings(&case) {
            for cut in (0..streamed.len()).step_by(193) {
                for to in DIALECTS {
                    let mut converter = StreamConverter::new(from, to, &STAMP, true).unwrap();
                    let mut out = Vec::new();
                    converter.push(&streamed[..cut], &mut out);
                    converter.fail("server_error", "the provider went away", &mut out);
                    let (ended, text) = (out.len(), String::from_utf8(out.clone()).unwrap());
                    assert!(text.contains("the provider went away") && !text.contains("[DONE]"), "{text}");
                    converter.push(&streamed[cut..], &mut out);
                    converter.finish(&mut out);
                    assert_eq!(out.len(), ended, "nothing follows an error");
                    read_streamed(to, &out);
                }
            }
        }
    }
}

/// A request as it was understood, in a form to compare: without what only its own dialect knows.
fn understood(dialect: Dialect, body: &[u8]) -> String {
    let mut conversation = hub::read_conversation(dialect, body).unwrap().unwrap();
    assert_eq!(conversation.others.len(), 0, "{:?}", conversation.others);
    // Whether the caller sees the usage is not part of the question.
    conversation.include_usage = false;
    // Nor by which of its names a field was given.
    conversation.written_as.clear();
    // Nor is how a schema is indented.
    format!("{conversation:?}").split_whitespace().collect::<Vec<_>>().join(" ").replace("\\n", "")
}

#[test]
fn every_request_is_understood_the_same_in_every_dialect() {
    for case in folders("requests") {
        let read = |dialect: Dialect| Some((dialect, fs::read(case.join(dialect.name()).with_extension("json")).ok()?));
        let bodies: Vec<(Dialect, Vec<u8>)> = DIALECTS.into_iter().filter_map(read).collect();
        for (from, body) in &bodies {
            let expected = understood(*from, body);
            for (to, own) in &bodies {
                let at = format!("{} from {} to {}", case.display(), from.name(), to.name());
                assert_eq!(understood(*to, own), expected, "{at}, read");
                let converted = request(*from, body, *to, &Ask { model: "upstream", output_limit: None, stream: None }).unwrap();
                assert_eq!(understood(*to, &converted.body), expected, "{at}, converted");
                assert_eq!(converted.dropped.header(), "", "{at}");
                let written: Value = serde_json::from_slice(&converted.body).unwrap();
                assert_eq!(written["model"], "upstream");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// However the bytes arrive, the same goes out.
    #[test]
    fn the_cut_of_the_chunks_changes_nothing(cuts in proptest::collection::vec(any::<usize>(), 0..30)) {
        for case in folders("answers") {
            for (from, _, streamed) in recordings(&case) {
                for to in DIALECTS {
                    prop_assert_eq!(convert(from, &streamed, to, &cuts), convert(from, &streamed, to, &[]));
                }
            }
        }
    }

    /// Nothing that a caller or a provider sends makes a converter panic.
    #[test]
    fn noise_is_survived(noise in "[a-z{}\\[\\]\",:0-9 \n]{0,200}", place in any::<usize>()) {
        for case in folders("answers") {
            for (from, buffered, streamed) in recordings(&case) {
                let spoil = |body: &[u8]| {
                    let mut body = body.to_vec();
                    let at = place % (body.len() + 1);
                    body.splice(at..at, noise.bytes());
                    body
                };
                for to in DIALECTS {
                    convert(from, &spoil(&streamed), to, &[]);
                    drop(answer(from, &spoil(&buffered), to, &STAMP));
                    drop(request(from, &spoil(&buffered), to, &Ask { model: "m", output_limit: Some(1), stream: None }));
                }
            }
        }
    }
}
