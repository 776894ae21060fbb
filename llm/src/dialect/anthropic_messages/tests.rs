//! Answers of this dialect, buffered and streamed, through the middle and back.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::{
    answer::{read_answer, write_answer},
    deltas::{DeltaReader, DeltaWriter},
    gathered::{events, gather, read_all},
};
use crate::{
    convert::{Answer, Block, Delta, FinishReason, Part, Signature, Stamp},
    dialect::Dialect,
    stream::sse::Event,
};

mod requests;

const STAMP: Stamp<'static> = Stamp { id: "msg_01A", created: 7, model: "claude-sonnet-4-5-20250929" };

/// The recorded answers: name, buffered, streamed.
fn recorded() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/anthropic_messages/conversions");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "sse"))
        .map(|path| (path.display().to_string(), fs::read(path.with_extension("json")).unwrap(), fs::read(&path).unwrap()))
        .collect();
    assert!(found.len() >= 7);
    found
}

fn read_stream(stream: &[u8], cuts: &[usize]) -> String {
    let events = events(stream, cuts);
    let mut reader = DeltaReader::default();
    let mut deltas = read_all(&events, |event, out| reader.read(event, out));
    let mut ended = Vec::new();
    reader.finish(&mut ended);
    deltas.extend(ended);
    format!("{deltas:?}")
}

fn gather_stream(stream: &[u8]) -> Answer<'static> {
    let events = events(stream, &[]);
    let mut reader = DeltaReader::default();
    gather(&read_all(&events, |event, out| reader.read(event, out)))
}

fn write_stream(deltas: &[Delta<'_>]) -> Vec<u8> {
    let mut writer = DeltaWriter::new(&STAMP, None);
    let mut out = Vec::new();
    deltas.iter().for_each(|delta| writer.write(delta, &mut out));
    writer.finish(&mut out);
    out
}

/// R-44
#[test]
fn a_stream_gathered_is_the_buffered_answer() {
    for (name, buffered, stream) in recorded() {
        assert_eq!(format!("{:?}", gather_stream(&stream)), format!("{:?}", read_answer(&buffered).unwrap()), "{name}");
    }
}

/// R-45: signatures and redacted thoughts included, byte for byte.
#[test]
fn a_buffered_answer_is_written_as_it_was_read() {
    for (name, buffered, _) in recorded() {
        let written = write_answer(&read_answer(&buffered).unwrap(), &STAMP);
        let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap();
        assert_eq!(value(&written), value(&buffered), "{name}");
    }
}

/// R-44
#[test]
fn a_stream_written_and_read_back_is_the_same() {
    for (name, _, stream) in recorded() {
        let events = events(&stream, &[]);
        let mut reader = DeltaReader::default();
        let written = write_stream(&read_all(&events, |event, out| reader.read(event, out)));
        assert_eq!(format!("{:?}", gather_stream(&written)), format!("{:?}", gather_stream(&stream)), "{name}");
    }
}

#[test]
fn the_events_come_in_the_sequence_that_clients_want() {
    let (_, _, stream) = recorded().into_iter().find(|(name, ..)| name.contains("thinking_and_tools")).unwrap();
    let recorded = events(&stream, &[]);
    let mut reader = DeltaReader::default();
    let written = write_stream(&read_all(&recorded, |event, out| reader.read(event, out)));
    let mut names: Vec<String> = Vec::new();
    for event in events(&written, &[]) {
        let event = Event::read(&event);
        let name = String::from_utf8(event.name.unwrap().to_vec()).unwrap();
        let data: serde_json::Value = serde_json::from_slice(&event.data.unwrap()).unwrap();
        assert_eq!(data["type"], name.as_str());
        let name = data["index"].as_u64().map_or(name.clone(), |index| format!("{name} {index}"));
        if names.last() != Some(&name) && name != "ping" {
            names.push(name);
        }
    }
    let blocks = (0..5).flat_map(|index| {
        let pieces = (index != 1 && index != 4).then(|| format!("content_block_delta {index}"));
        [Some(format!("content_block_start {index}")), pieces, Some(format!("content_block_stop {index}"))].into_iter().flatten()
    });
    let mut expected = vec!["message_start".to_owned()];
    expected.extend(blocks);
    expected.extend(["message_delta".to_owned(), "message_stop".to_owned()]);
    // A call without arguments is shown with `{}` in one piece.
    let before_stop = expected.iter().position(|name| name == "content_block_stop 4").unwrap();
    expected.insert(before_stop, "content_block_delta 4".to_owned());
    assert_eq!(names, expected);
}

fn call(block: u32, id: &'static str) -> Delta<'static> {
    Delta::Begin { choice: 0, block, kind: Block::ToolCall { id: id.into(), name: "f".into() } }
}

fn text(block: u32, text: &'static str) -> Delta<'static> {
    Delta::Text { choice: 0, block, text: text.into() }
}

const START: Delta<'static> = Delta::Start { id: std::borrow::Cow::Borrowed("x"), created: None, model: std::borrow::Cow::Borrowed("m") };

fn finish(reason: FinishReason) -> Delta<'static> {
    Delta::Finish { choice: 0, reason, stop_sequence: None }
}

#[test]
fn calls_written_side_by_side_go_out_one_after_the_other() {
    let end = |block| Delta::End { choice: 0, block };
    let written = write_stream(&[
        START,
        call(0, "a"),
        call(1, "b"),
        text(0, "{\"x\""),
        text(1, "{\"y\":"),
        text(0, ":1}"),
        text(1, "2}"),
        end(1),
        end(0),
        finish(FinishReason::Stop),
    ]);
    let answer = gather_stream(&written);
    let calls: Vec<_> = answer.choices[0].parts.iter().map(|part| format!("{part:?}")).collect();
    assert!(calls[0].contains("\"a\"") && calls[0].contains(r#"{\"x\":1}"#), "{calls:?}");
    assert!(calls[1].contains("\"b\"") && calls[1].contains(r#"{\"y\":2}"#), "{calls:?}");
    assert_eq!(answer.choices[0].finish, FinishReason::ToolCalls, "a client must see that calls wait for their results");
}

#[test]
fn an_empty_block_does_not_appear() {
    let written = write_stream(&[
        START,
        Delta::Begin { choice: 0, block: 0, kind: Block::Text },
        Delta::End { choice: 0, block: 0 },
        Delta::Begin { choice: 0, block: 1, kind: Block::Refusal },
        text(1, "no"),
        Delta::End { choice: 0, block: 1 },
        finish(FinishReason::Refusal),
    ]);
    let answer = gather_stream(&written);
    assert!(matches!(&answer.choices[0].parts[..], [Part::Text { text, .. }] if text == "no"), "{answer:?}");
    assert_eq!(answer.choices[0].finish, FinishReason::Refusal);
}

/// R-45: what another provider signed goes through a caller of this dialect and comes back as it was, buffered or streamed.
#[test]
fn foreign_signatures_come_back_from_a_caller_unchanged() {
    let thought = Signature { origin: Dialect::OpenAiResponses, value: "rs_1.gAAAA+/==".into() };
    let called = Signature { origin: Dialect::Gemini, value: "CiQB.0/+==".into() };
    let deltas = [
        START,
        Delta::Begin { choice: 0, block: 0, kind: Block::Thinking },
        Delta::Signed { choice: 0, block: 0, signature: thought.clone() },
        Delta::End { choice: 0, block: 0 },
        call(1, "a"),
        Delta::Signed { choice: 0, block: 1, signature: called.clone() },
        text(1, "{\"q\":1}"),
        Delta::End { choice: 0, block: 1 },
        finish(FinishReason::ToolCalls),
    ];
    let streamed = write_stream(&deltas);
    let mut reader = DeltaReader::default();
    let events = events(&streamed, &[]);
    let shown = gather(&read_all(&events, |event, out| reader.read(event, out)));
    let buffered = write_answer(&gather(&deltas), &STAMP);
    for body in [buffered, write_answer(&shown, &STAMP)] {
        let body: &[u8] = &body;
        let answer = read_answer(body).unwrap();
        let found = answer.choices[0].parts.iter().map(|part| match part {
            Part::Thinking { text, signature } if text.is_empty() => signature.clone(),
            Part::ToolCall(call) => call.signature.clone(),
            part => panic!("{part:?}"),
        });
        assert_eq!(found.collect::<Vec<_>>(), [Some(thought.clone()), Some(called.clone())]);
    }
}

#[test]
fn an_error_ends_the_stream_without_its_end() {
    let mut writer = DeltaWriter::new(&STAMP, Some(12));
    let mut out = Vec::new();
    writer.write(&START, &mut out);
    writer.write(&Delta::Error { kind: "throttlingException".into(), message: "slow \"down\"".into() }, &mut out);
    writer.write(&text(0, "more"), &mut out);
    writer.finish(&mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains(r#""usage":{"input_tokens":12,"output_tokens":0}"#), "{out}");
    let last = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow \\\"down\\\"\"}}\n\n";
    assert!(out.ends_with(last), "{out}");
    assert!(read_stream(out.as_bytes(), &[]).ends_with(r#"Error { kind: "rate_limit_error", message: "slow \"down\"" }]"#));
}

#[test]
fn a_malformed_call_is_an_error_and_no_clean_end() {
    let deltas = [START, finish(FinishReason::MalformedCall)];
    let streamed = String::from_utf8(write_stream(&deltas)).unwrap();
    assert!(streamed.contains("event: error\n") && !streamed.contains("message_stop"), "{streamed}");
    let buffered = String::from_utf8(write_answer(&gather(&deltas), &STAMP)).unwrap();
    assert!(buffered.starts_with(r#"{"type":"error","error":{"type":"api_error","#), "{buffered}");
}

#[test]
fn blocks_that_only_this_dialect_knows_are_kept_buffered_and_passed_over_streamed() {
    let searched = r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"x"}}"#;
    let buffered = format!(r#"{{"id":"m","model":"c","content":[{searched},{{"type":"text","text":"a"}}],"stop_reason":"pause_turn"}}"#);
    let answer = read_answer(buffered.as_bytes()).unwrap();
    assert!(matches!(&answer.choices[0].parts[0], Part::Opaque { json, .. } if json.get() == searched));
    assert_eq!(answer.choices[0].finish, FinishReason::Pause);
    let stream = [
        format!(r#"{{"type":"content_block_start","index":0,"content_block":{searched}}}"#),
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}"#.to_owned(),
        r#"{"type":"content_block_stop","index":0}"#.to_owned(),
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"a"}}"#.to_owned(),
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{}}}"#.to_owned(),
        r#"{"type":"content_block_stop","index":1}"#.to_owned(),
        r#"{"type":"some_new_event"}"#.to_owned(),
    ];
    let stream: String = stream.iter().map(|data| format!("data: {data}\n\n")).collect();
    assert!(matches!(&gather_stream(stream.as_bytes()).choices[0].parts[..], [Part::Text { text, .. }] if text == "a"));
}

#[test]
fn what_can_not_be_read_is_an_error_and_the_last_thing_said() {
    let stream = b"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"a\"}}\n\n\
        data: {\"type\":\"content_block_del\n\ndata: {\"type\":\"ping\"}\n\n";
    let read = read_stream(stream, &[]);
    assert!(read.contains("End { choice: 0, block: 0 }, Error { kind: \"api_error\", message: \"the provider sent an event"), "{read}");
    assert!(!read.contains("Ping"), "{read}");
    assert!(read_answer(b"{\"type\":\"message\"}").is_err() && read_answer(b"<html>").is_err());
}

#[test]
fn data_in_several_lines_is_read_as_one() {
    let stream = b"data: {\"type\":\"content_block_start\",\"index\":0,\ndata: \"content_block\":{\"type\":\"text\",\"text\":\"a\"}}\n\n";
    assert!(read_stream(stream, &[]).contains("text: \"a\""));
}

proptest! {
    /// However the bytes arrive, the same is read.
    #[test]
    fn the_cut_of_the_chunks_changes_nothing(cuts in proptest::collection::vec(any::<usize>(), 0..40)) {
        for (_, _, stream) in recorded() {
            prop_assert_eq!(read_stream(&stream, &cuts), read_stream(&stream, &[]));
        }
    }

    /// Whatever a provider sends, reading ends, and at most one error is said.
    #[test]
    fn broken_streams_are_read_without_a_panic(place in any::<usize>(), byte in any::<u8>()) {
        for (_, _, mut stream) in recorded() {
            let at = place % stream.len();
            stream[at] = byte;
            let errors = read_stream(&stream, &[]).matches("Error {").count();
            prop_assert!(errors <= 1);
        }
    }
}
