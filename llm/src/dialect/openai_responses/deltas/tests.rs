//! Events as OpenAI's clients and Codex demand them, written and read back.

use serde_json::Value;

use super::*;
use crate::{
    convert::{Block, Delta, FinishReason, Signature, Stamp},
    dialect::Dialect,
    stream::sse::{Boundary, Event},
    usage::Usage,
};

const STAMP: Stamp<'_> = Stamp { id: "7", created: 5, model: "fast" };

/// The payloads that a writer makes of these deltas; each event is named by its payload's type and numbered.
fn payloads(deltas: &[Delta<'_>]) -> Vec<Value> {
    let (mut writer, mut out) = (DeltaWriter::new(&STAMP), Vec::new());
    deltas.iter().for_each(|delta| writer.write(delta, &mut out));
    writer.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let payloads: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            let payload: Value = serde_json::from_str(data).unwrap();
            assert_eq!(payload["type"], name);
            payload
        })
        .collect();
    for (number, payload) in payloads.iter().enumerate() {
        assert_eq!(payload["sequence_number"], number);
    }
    payloads
}

fn names(payloads: &[Value]) -> Vec<&str> {
    payloads.iter().map(|payload| payload["type"].as_str().unwrap().strip_prefix("response.").unwrap()).collect()
}

fn start() -> Delta<'static> {
    Delta::Start { id: "x".into(), created: None, model: "y".into() }
}

fn begin(block: u32, kind: Block<'static>) -> Delta<'static> {
    Delta::Begin { choice: 0, block, kind }
}

fn text(block: u32, text: &'static str) -> Delta<'static> {
    Delta::Text { choice: 0, block, text: text.into() }
}

fn end(block: u32) -> Delta<'static> {
    Delta::End { choice: 0, block }
}

fn call() -> Block<'static> {
    Block::ToolCall { id: "call_1".into(), name: "run".into() }
}

/// R-48: what Codex and the official libraries wait for, in this order.
#[test]
fn the_sequence_is_the_one_that_clients_demand() {
    let usage = Usage { input_tokens: Some(9), output_tokens: Some(4), cached_input_tokens: Some(0), ..Usage::default() };
    let said = [
        start(),
        begin(0, Block::Thinking),
        text(0, "Hm."),
        end(0),
        begin(1, Block::Text),
        text(1, "I "),
        text(1, "run."),
        end(1),
        begin(2, call()),
        text(2, "{\"a\":1}"),
        end(2),
        Delta::Usage(usage),
        Delta::Finish { choice: 0, reason: FinishReason::ToolCalls, stop_sequence: None },
    ];
    let payloads = payloads(&said);
    let expected = "created in_progress \
         output_item.added reasoning_summary_part.added reasoning_summary_text.delta reasoning_summary_text.done \
         reasoning_summary_part.done output_item.done \
         output_item.added content_part.added output_text.delta output_text.delta output_text.done content_part.done output_item.done \
         output_item.added function_call_arguments.delta function_call_arguments.done output_item.done \
         completed";
    assert_eq!(names(&payloads), expected.split_whitespace().collect::<Vec<_>>());
    let last = &payloads.last().unwrap()["response"];
    assert_eq!((&last["id"], &last["status"], &last["model"]), (&"resp_7".into(), &"completed".into(), &"fast".into()));
    assert_eq!(last["output"].as_array().unwrap().len(), 3);
    assert_eq!(last["output"][1]["content"][0]["text"], "I run.");
    assert_eq!(last["output"][2]["arguments"], "{\"a\":1}");
    assert_eq!(
        last["usage"],
        serde_json::json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 4, "total_tokens": 13})
    );
    for (payload, done) in payloads.iter().filter(|payload| payload["type"] == "response.output_item.done").zip(0..) {
        assert_eq!((&payload["output_index"], &payload["item"]), (&Value::from(done), &last["output"][done]));
    }
}

#[test]
fn an_answer_that_ended_before_its_time_is_incomplete() {
    for (reason, expected) in [(FinishReason::Length, "max_output_tokens"), (FinishReason::Refusal, "content_filter")] {
        let finish = Delta::Finish { choice: 0, reason, stop_sequence: None };
        let payloads = payloads(&[start(), begin(0, Block::Text), text(0, "a"), end(0), finish]);
        let last = payloads.last().unwrap();
        assert_eq!((&last["type"], &last["response"]["status"]), (&"response.incomplete".into(), &"incomplete".into()));
        assert_eq!(last["response"]["incomplete_details"]["reason"], expected);
    }
}

#[test]
fn the_signature_of_a_call_travels_behind_it_and_is_found_again() {
    let signature = Signature { origin: Dialect::Gemini, value: "CqkB+/=".into() };
    let said = [start(), begin(0, call()), Delta::Signed { choice: 0, block: 0, signature: signature.clone() }, end(0)];
    let (mut writer, mut out) = (DeltaWriter::new(&STAMP), Vec::new());
    said.iter().for_each(|delta| writer.write(delta, &mut out));
    writer.finish(&mut out);
    let found = read(&String::from_utf8(out).unwrap());
    assert!(found.iter().any(|delta| delta.contains("Signed") && delta.contains("Gemini") && delta.contains("\"CqkB+/=\"")), "{found:?}");
    assert!(!found.iter().any(|delta| delta.contains("Thinking")), "{found:?}");
}

/// What a reader makes of a stream, for a person to read.
fn read(stream: &str) -> Vec<String> {
    let (mut reader, mut boundary, mut rest, mut found) = (DeltaReader::new(), Boundary::default(), stream.as_bytes(), Vec::new());
    while let Some(length) = boundary.next_end(rest) {
        let event = Event::read(&rest[..length]);
        let mut deltas = Vec::new();
        reader.read(&event, &mut deltas);
        found.extend(deltas.iter().map(|delta| format!("{delta:?}")));
        rest = &rest[length..];
    }
    let mut deltas = Vec::new();
    reader.finish(&mut deltas);
    found.extend(deltas.iter().map(|delta| format!("{delta:?}")));
    found
}

fn pieces(stream: &str) -> Vec<String> {
    let found = read(stream);
    let texts = found.iter().filter_map(|delta| delta.strip_prefix("Text {")?.split_once("text: \"")?.1.strip_suffix("\" }"));
    texts.map(str::to_owned).collect()
}

#[test]
fn what_a_server_says_only_when_it_is_done_is_read_then() {
    let stream = r#"data: {"type":"response.created","response":{"id":"r"}}

data: {"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","summary":[{"text":"a"},{"text":"b"}]}}

data: {"type":"response.output_item.done","output_index":1,"item":{"type":"message","content":[{"type":"output_text","text":"c"}]}}

data: {"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","call_id":"x","name":"f","arguments":"{}"}}

data: {"type":"response.completed","response":{"id":"r","status":"completed"}}

"#;
    assert_eq!(pieces(stream), ["a", "\\n\\n", "b", "c", "{}"]);
    assert!(read(stream).last().unwrap().contains("ToolCalls"));
}

#[test]
fn the_parts_of_a_summary_are_paragraphs_of_one_thought() {
    let stream = r#"data: {"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"a"}

data: {"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"b"}

data: {"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"c"}

"#;
    assert_eq!(pieces(stream), ["a", "\\n\\n", "b", "c"]);
}

#[test]
fn events_and_items_that_are_not_known_are_passed_over() {
    let stream = r#"event: keepalive
data: {"type":"keepalive","sequence_number":3}

data: {"type":"response.output_item.added","output_index":0,"item":{"type":"web_search_call","id":"ws_1"}}

data: {"type":"response.web_search_call.searching","output_index":0}

data: {"type":"response.output_item.done","output_index":0,"item":{"type":"web_search_call","id":"ws_1","action":{"type":"search"}}}

: comment

data: {"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"hi"}

"#;
    assert_eq!(pieces(stream), ["hi"]);
}
