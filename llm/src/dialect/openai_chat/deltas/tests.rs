//! Streams of chat written and read back.

use serde_json::{Value, json};

use super::*;
use crate::{
    convert::{Block, Delta, FinishReason, Signature, Stamp},
    dialect::Dialect,
    stream::sse::Event,
    usage::Usage,
};

const STAMP: Stamp<'_> = Stamp { id: "7", created: 5, model: "fast" };

fn written(deltas: &[Delta<'_>], include_usage: bool) -> (Vec<Value>, String) {
    let (mut writer, mut out) = (DeltaWriter::new(&STAMP, include_usage), Vec::new());
    deltas.iter().for_each(|delta| writer.write(delta, &mut out));
    writer.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let chunks = text.split_terminator("\n\n").filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok());
    (chunks.collect(), text)
}

fn start() -> Delta<'static> {
    Delta::Start { id: "x".into(), created: None, model: "y".into() }
}

fn call(block: u32) -> Delta<'static> {
    Delta::Begin { choice: 0, block, kind: Block::ToolCall { id: "call_1".into(), name: "run".into() } }
}

fn end(block: u32) -> Delta<'static> {
    Delta::End { choice: 0, block }
}

#[test]
fn usage_comes_last_and_only_where_it_was_asked_for() {
    let usage = Usage { input_tokens: Some(3), output_tokens: Some(2), ..Usage::default() };
    let said = [start(), Delta::Usage(usage), Delta::Finish { choice: 0, reason: FinishReason::Stop, stop_sequence: None }];
    let (chunks, text) = written(&said, true);
    assert!(text.ends_with("data: [DONE]\n\n"));
    let last = chunks.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(5)));
    let (chunks, text) = written(&said, false);
    assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("usage"));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_call_without_arguments_gets_the_empty_object() {
    let (chunks, _) = written(&[start(), call(0), end(0)], false);
    let pieces: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/function/arguments")).collect();
    assert_eq!(pieces, ["", "{}"]);
}

#[test]
fn a_signature_goes_back_together_with_its_whole_thought() {
    let signature = Signature { origin: Dialect::AnthropicMessages, value: "Eq==".into() };
    let text = |text: &'static str| Delta::Text { choice: 0, block: 0, text: text.into() };
    let begin = Delta::Begin { choice: 0, block: 0, kind: Block::Thinking };
    let (chunks, _) =
        written(&[start(), begin, text("Let "), text("me."), Delta::Signed { choice: 0, block: 0, signature }, end(0)], false);
    let details = chunks.last().unwrap()["choices"][0]["delta"]["reasoning_details"].clone();
    let expected = json!([{"type": "reasoning.text", "text": "Let me.", "signature": "mlx1.anthropic_messages.Eq==", "index": 0}]);
    assert_eq!(details, expected);
}

/// OpenAI's clients want a function in every piece of a call.
#[test]
fn the_signature_of_a_call_comes_with_its_name_or_beside_empty_arguments() {
    let signed = |value: &'static str| Delta::Signed {
        choice: 0,
        block: 0,
        signature: Signature { origin: Dialect::OpenAiChat, value: value.into() },
    };
    let text = || Delta::Text { choice: 0, block: 0, text: "{}".into() };
    let extra = json!({"google": {"thought_signature": "S=="}});
    let pieces = |said: &[Delta<'_>]| -> Vec<Value> {
        let (chunks, _) = written(said, false);
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0").cloned()).collect()
    };
    let named = |arguments: &str| json!({"name": "run", "arguments": arguments});
    let first = json!({"index": 0, "id": "call_1", "type": "function", "function": named(""), "extra_content": extra});
    let rest = json!({"index": 0, "function": {"arguments": "{}"}});
    assert_eq!(pieces(&[start(), call(0), signed("S=="), text(), end(0)]), [first, rest.clone()]);
    let first = json!({"index": 0, "id": "call_1", "type": "function", "function": named("")});
    let late = json!({"index": 0, "function": {"arguments": ""}, "extra_content": extra});
    assert_eq!(pieces(&[start(), call(0), text(), signed("S=="), end(0)]), [first, rest, late]);
}

/// Calls may interleave, and each begins before anything else is said.
#[test]
fn a_call_begins_before_the_next_one() {
    let (chunks, _) = written(&[start(), call(0), call(1), Delta::Ping, end(0), end(1)], false);
    let numbers: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/index")).collect();
    assert_eq!(numbers, [0, 1, 0, 1]);
}

/// Groq has it there, and some of its models nowhere else.
#[test]
fn usage_is_read_in_groqs_own_member_where_openais_is_absent() {
    let groqs = r#"{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null,
        "x_groq":{"id":"req_1","usage":{"queue_time":0.01,"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}}"#;
    let found = read(&[groqs]).concat();
    assert!(found.contains("Usage(") && found.contains("input_tokens: Some(7)"), "{found}");
    let both = r#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":7}},"usage":{"prompt_tokens":8,"completion_tokens":1}}"#;
    let found = read(&[both]).concat();
    assert!(found.contains("input_tokens: Some(8)") && !found.contains("Some(7)"), "{found}");
}

fn read(data: &[&str]) -> Vec<String> {
    let (mut reader, mut found) = (DeltaReader::new(), Vec::new());
    for data in data {
        let event = Event { name: None, data: Some(data.as_bytes().into()) };
        let mut deltas = Vec::new();
        reader.read(&event, &mut deltas);
        found.extend(deltas.iter().map(|delta| format!("{delta:?}")));
    }
    found
}

#[test]
fn calls_without_numbers_or_ids_are_told_apart() {
    let one = r#"{"choices":[{"delta":{"tool_calls":[{"id":"","function":{"name":"a","arguments":"{}"}}]}}]}"#;
    let two = r#"{"choices":[{"delta":{"tool_calls":[{"id":"x","function":{"name":"b","arguments":"{"}}]}}]}"#;
    let more = r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"}"}}]}}]}"#;
    let found = read(&[one, two, more]).concat();
    assert!(found.contains("id: \"call_0_a\", name: \"a\"") && found.contains("block: 1, kind: ToolCall { id: \"x\""), "{found}");
    assert!(found.ends_with("Text { choice: 0, block: 1, text: \"}\" }"), "{found}");
}

#[test]
fn an_event_that_cannot_be_read_is_an_error_and_nothing_follows() {
    let found = read(&["{\"choices\":7}", r#"{"choices":[{"delta":{"content":"a"}}]}"#]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("Error"), "{found:?}");
}
