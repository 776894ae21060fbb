//! streamed and buffered, read and written, in every cut, it is the same answer.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    convert::{Answer, Block, Delta, Part, Signature, Stamp},
    dialect::{
        Dialect,
        gemini::{read_answer, write_answer},
    },
    stream::sse::{Boundary, Event},
    usage::Usage,
};

const STAMP: Stamp<'_> = Stamp { id: "mlx-1", created: 1_790_000_000, model: "fast" };

fn corpus() -> Vec<(PathBuf, Vec<u8>, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/gemini/answers");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pairs: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "sse"))
        .map(|path| (path.clone(), fs::read(path.with_extension("json")).unwrap(), fs::read(path).unwrap()))
        .collect();
    pairs.sort();
    assert!(pairs.len() >= 8, "the corpus is there");
    pairs
}

/// Reads a stream that arrives in chunks with borders at `cuts`, down to one line a delta.
fn read(stream: &[u8], cuts: &[usize]) -> Vec<Delta<'static>> {
    let mut borders: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    borders.extend([0, stream.len()]);
    borders.sort_unstable();
    let (mut boundary, mut current, mut reader, mut all) = (Boundary::default(), Vec::new(), DeltaReader::new(), Vec::new());
    for pair in borders.windows(2) {
        let mut chunk = &stream[pair[0]..pair[1]];
        while let Some(end) = boundary.next_end(chunk) {
            current.extend_from_slice(&chunk[..end]);
            let bytes = std::mem::take(&mut current);
            let event = Event::read(&bytes);
            let mut out = Vec::new();
            reader.read(&event, &mut out);
            all.extend(out.into_iter().map(owned));
            chunk = &chunk[end..];
        }
        current.extend_from_slice(chunk);
    }
    reader.finish(&mut all);
    all
}

fn owned(delta: Delta<'_>) -> Delta<'static> {
    let text = |text: std::borrow::Cow<'_, str>| std::borrow::Cow::Owned(text.into_owned());
    match delta {
        Delta::Start { id, created, model } => Delta::Start { id: text(id), created, model: text(model) },
        Delta::Begin { choice, block, kind } => Delta::Begin {
            choice,
            block,
            kind: match kind {
                Block::ToolCall { id, name } => Block::ToolCall { id: text(id), name: text(name) },
                Block::Text => Block::Text,
                Block::Thinking => Block::Thinking,
                Block::Refusal => Block::Refusal,
            },
        },
        Delta::Text { choice, block, text: piece } => Delta::Text { choice, block, text: text(piece) },
        Delta::Signed { choice, block, signature } => {
            Delta::Signed { choice, block, signature: Signature { origin: signature.origin, value: text(signature.value) } }
        }
        Delta::Logprobs { choice, json } => Delta::Logprobs { choice, json: std::borrow::Cow::Owned(json.into_owned()) },
        Delta::End { choice, block } => Delta::End { choice, block },
        Delta::Finish { choice, reason, stop_sequence } => Delta::Finish { choice, reason, stop_sequence: stop_sequence.map(text) },
        Delta::Usage(usage) => Delta::Usage(usage),
        Delta::Error { kind, message } => Delta::Error { kind: text(kind), message: text(message) },
        Delta::Ping => Delta::Ping,
    }
}

/// What the deltas add up to.
fn added_up(deltas: &[Delta<'_>]) -> Value {
    let (mut choices, mut usage, mut head, mut error) = (Vec::<Value>::new(), None, Value::Null, Value::Null);
    let choice_of = |choices: &mut Vec<Value>, choice: u32| {
        while choices.len() <= choice as usize {
            choices.push(json!({"parts": [], "finish": "none", "logprobs": []}));
        }
        choice as usize
    };
    for delta in deltas {
        match delta {
            Delta::Start { id, model, .. } => head = json!([id, model]),
            Delta::Begin { choice, block, kind } => {
                let place = choice_of(&mut choices, *choice);
                let parts = choices[place]["parts"].as_array_mut().unwrap();
                assert_eq!(parts.len(), *block as usize, "blocks are counted up");
                parts.push(match kind {
                    Block::Text => json!({"kind": "text", "text": ""}),
                    Block::Thinking => json!({"kind": "thinking", "text": "", "signature": null}),
                    Block::Refusal => json!({"kind": "refusal", "text": ""}),
                    Block::ToolCall { id, name } => json!({"kind": "call", "id": id, "name": name, "text": "", "signature": null}),
                });
            }
            Delta::Text { choice, block, text } => {
                let part = &mut choices[*choice as usize]["parts"][*block as usize];
                part["text"] = json!(format!("{}{text}", part["text"].as_str().unwrap()));
            }
            Delta::Signed { choice, block, signature } => {
                choices[*choice as usize]["parts"][*block as usize]["signature"] = signature_value(Some(signature));
            }
            Delta::Logprobs { choice, json } => {
                let place = choice_of(&mut choices, *choice);
                let tokens: Value = serde_json::from_str(json.get()).unwrap();
                let list = choices[place]["logprobs"].as_array_mut().unwrap();
                list.extend(tokens["content"].as_array().unwrap().iter().cloned());
            }
            Delta::Finish { choice, reason, .. } => {
                let place = choice_of(&mut choices, *choice);
                choices[place]["finish"] = json!(format!("{reason:?}"));
            }
            Delta::Usage(last) => usage = Some(*last),
            Delta::Error { kind, message } => error = json!([kind, message]),
            Delta::End { .. } | Delta::Ping => {}
        }
    }
    json!({"head": head, "choices": choices, "usage": format!("{usage:?}"), "error": error})
}

fn signature_value(signature: Option<&Signature<'_>>) -> Value {
    signature.map_or(Value::Null, |signature| json!([signature.origin.name(), signature.value]))
}

fn whole(answer: &Answer<'_>) -> Value {
    let part = |part: &Part<'_>| match part {
        Part::Text { text, .. } => json!({"kind": "text", "text": text}),
        Part::Thinking { text, signature } => json!({"kind": "thinking", "text": text, "signature": signature_value(signature.as_ref())}),
        Part::Refusal { text } => json!({"kind": "refusal", "text": text}),
        Part::ToolCall(call) => {
            let signature = signature_value(call.signature.as_ref());
            json!({"kind": "call", "id": call.id, "name": call.name, "text": squeezed(&call.arguments), "signature": signature})
        }
        other => panic!("{other:?}"),
    };
    let choices: Vec<Value> = answer
        .choices
        .iter()
        .map(|choice| {
            let logprobs = choice.logprobs.as_ref().map_or(json!([]), |json| serde_json::from_str::<Value>(json.get()).unwrap()["content"].clone());
            json!({"parts": choice.parts.iter().map(part).collect::<Vec<_>>(), "finish": format!("{:?}", choice.finish), "logprobs": logprobs})
        })
        .collect();
    json!({"head": [answer.id, answer.model], "choices": choices, "usage": format!("{:?}", answer.usage), "error": null})
}

/// Arguments without white space, which the corpus has in whole replies only.
fn squeezed(arguments: &str) -> String {
    arguments.split_whitespace().collect()
}

fn squeeze_calls(mut value: Value) -> Value {
    for choice in value["choices"].as_array_mut().unwrap() {
        for part in choice["parts"].as_array_mut().unwrap().iter_mut().filter(|part| part["kind"] == "call") {
            part["text"] = json!(squeezed(part["text"].as_str().unwrap()));
        }
    }
    value
}

fn written(deltas: &[Delta<'_>]) -> Vec<u8> {
    let (mut writer, mut out) = (DeltaWriter::new(&STAMP), Vec::new());
    deltas.iter().for_each(|delta| writer.write(delta, &mut out));
    writer.finish(&mut out);
    out
}

#[test]
fn a_stream_adds_up_to_the_whole_reply() {
    for (path, reply, stream) in corpus() {
        let buffered = whole(&read_answer(&reply).unwrap());
        assert_eq!(squeeze_calls(added_up(&read(&stream, &[]))), buffered, "{}", path.display());
    }
}

#[test]
fn what_is_written_reads_the_same_streamed_and_whole() {
    for (path, reply, stream) in corpus() {
        let answer = read_answer(&reply).unwrap();
        let mut expected = whole(&answer);
        expected["head"] = json!([STAMP.id, STAMP.model]);
        // A refusal has no place of its own in Gemini: it is the text of an answer that was stopped.
        for part in expected["choices"][0]["parts"].as_array_mut().unwrap().iter_mut().filter(|part| part["kind"] == "refusal") {
            part["kind"] = json!("text");
        }
        let again = write_answer(&answer, &STAMP);
        assert_eq!(whole(&read_answer(&again).unwrap()), expected, "{}", path.display());
        let again = written(&read(&stream, &[]));
        assert_eq!(squeeze_calls(added_up(&read(&again, &[]))), expected, "{}", path.display());
    }
}

#[test]
fn an_error_ends_the_stream() {
    let stream = b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}],\"responseId\":\"r\"}\n\ndata: {\"error\":{\"code\":503,\"message\":\"The model is overloaded.\",\"status\":\"UNAVAILABLE\"}}\n\ndata: {\"candidates\":[]}\n\n";
    let deltas = read(stream, &[]);
    assert!(
        matches!(deltas.last(), Some(Delta::Error { kind, message }) if kind == "UNAVAILABLE" && message == "The model is overloaded.")
    );
    let (mut writer, mut out) = (DeltaWriter::new(&STAMP), Vec::new());
    deltas.iter().for_each(|delta| writer.write(delta, &mut out));
    let written = String::from_utf8(out).unwrap();
    let last: Value = serde_json::from_str(written.trim_end().rsplit("data: ").next().unwrap()).unwrap();
    assert_eq!(last, json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}));
}

#[test]
fn an_event_that_is_no_json_is_an_error_and_not_passed_over() {
    let deltas = read(b"data: {\"candidates\":[{\"content\"\n\n", &[]);
    assert!(matches!(deltas.as_slice(), [Delta::Error { .. }]), "{deltas:?}");
}

#[test]
fn calls_that_arrive_in_pieces_and_between_each_other_go_out_whole() {
    let call = |id: &'static str| Block::ToolCall { id: id.into(), name: "find".into() };
    let foreign = Signature { origin: Dialect::AnthropicMessages, value: "Es+/=".into() };
    let deltas = [
        Delta::Begin { choice: 0, block: 0, kind: Block::Thinking },
        Delta::Text { choice: 0, block: 0, text: "hm".into() },
        Delta::Signed { choice: 0, block: 0, signature: foreign.clone() },
        Delta::End { choice: 0, block: 0 },
        Delta::Begin { choice: 0, block: 1, kind: call("a") },
        Delta::Begin { choice: 0, block: 2, kind: call("b") },
        Delta::Text { choice: 0, block: 1, text: "{\"q\":\n".into() },
        Delta::Text { choice: 0, block: 2, text: "".into() },
        Delta::Ping,
        Delta::Text { choice: 0, block: 1, text: "\"x\"}".into() },
        Delta::End { choice: 0, block: 1 },
        Delta::End { choice: 0, block: 2 },
        Delta::Finish { choice: 0, reason: crate::convert::FinishReason::ToolCalls, stop_sequence: None },
        Delta::Usage(Usage { input_tokens: Some(3), output_tokens: Some(4), ..Usage::default() }),
    ];
    let again = added_up(&read(&written(&deltas), &[]));
    let parts = json!([
        {"kind": "thinking", "text": "hm", "signature": ["anthropic_messages", "Es+/="]},
        {"kind": "call", "id": "a", "name": "find", "text": "{\"q\": \"x\"}", "signature": null},
        {"kind": "call", "id": "b", "name": "find", "text": "{}", "signature": null},
    ]);
    assert_eq!(again["choices"][0]["parts"], parts);
    assert_eq!(again["choices"][0]["finish"], "ToolCalls");
}

proptest! {
    /// However the bytes arrive, the same deltas come out.
    #[test]
    fn the_cut_of_the_chunks_changes_nothing(cuts in proptest::collection::vec(any::<usize>(), 0..40)) {
        for (_, _, stream) in corpus() {
            prop_assert_eq!(format!("{:?}", read(&stream, &cuts)), format!("{:?}", read(&stream, &[])));
        }
    }

    /// A stream that stops anywhere leaves no block open, and nothing that comes makes the reader panic.
    #[test]
    fn a_stream_cut_anywhere_leaves_nothing_open(cut in any::<usize>(), noise in proptest::collection::vec(any::<u8>(), 0..20)) {
        for (_, _, stream) in corpus() {
            let mut bytes = stream[..cut % (stream.len() + 1)].to_vec();
            bytes.extend_from_slice(&noise);
            let deltas = read(&bytes, &[]);
            let failed = deltas.iter().any(|delta| matches!(delta, Delta::Error { .. }));
            let begun = deltas.iter().filter(|delta| matches!(delta, Delta::Begin { .. })).count();
            let ended = deltas.iter().filter(|delta| matches!(delta, Delta::End { .. })).count();
            prop_assert!(failed || begun == ended);
        }
    }
}
