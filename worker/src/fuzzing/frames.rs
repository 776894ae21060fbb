//! The framing of Bedrock's streams.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use llm::dialect::Dialect;
use llm::stream::sse::{Boundary, Event};

use crate::upstream::bedrock::Frames;

/// What came of a stream: what was said, whether it could be read, and whether it ended with a whole frame.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    said: Vec<u8>,
    readable: bool,
    whole: bool,
}

pub(super) fn holds(input: &[u8]) {
    let Some(([spoken, form], rest)) = input.split_first_chunk::<2>() else { return };
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    let spoken = if spoken % 2 == 1 { Dialect::AnthropicMessages } else { Dialect::BedrockConverse };
    if form % 2 == 1 {
        frames_are_heard(spoken, rest);
    } else {
        is_heard_in_any_cut(spoken, rest);
    }
}

fn is_heard_in_any_cut(spoken: Dialect, bytes: &[u8]) -> Heard {
    let whole = heard(spoken, bytes, bytes.len());
    for piece in [1, 2, 7] {
        assert_eq!(heard(spoken, bytes, piece), whole, "in pieces of {piece}");
    }
    whole
}

fn heard(spoken: Dialect, bytes: &[u8], piece: usize) -> Heard {
    let (mut frames, mut said) = (Frames::new(spoken), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        frames.push(piece);
        loop {
            match frames.next_events() {
                Ok(Some(events)) => said.extend_from_slice(&events),
                Ok(None) => break,
                Err(_) => return Heard { said, readable: false, whole: false },
            }
        }
    }
    Heard { said, readable: true, whole: frames.is_between_frames() }
}

/// Each line is a frame: the type of an event and its payload, or with `!` before it that of an exception.
fn frames_are_heard(spoken: Dialect, lines: &[u8]) {
    let (mut stream, mut expected, mut readable) = (Vec::new(), Vec::new(), true);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let Ok(name) = std::str::from_utf8(&line[..at]) else { return };
        let payload = line.get(at.saturating_add(1)..).unwrap_or_default();
        let Some(bytes) = frame(spoken, name, payload) else { return };
        stream.extend(bytes);
        readable &= !name.contains('\r');
        expected.push((name, payload));
    }
    let heard = is_heard_in_any_cut(spoken, &stream);
    if spoken == Dialect::BedrockConverse && readable {
        assert!(heard.readable && heard.whole, "whole frames are read");
        is_said(&heard.said, &expected);
    }
    damage_is_noticed(spoken, stream, &heard);
}

fn frame(spoken: Dialect, name: &str, payload: &[u8]) -> Option<Vec<u8>> {
    let text = |value: &str| HeaderValue::String(value.to_owned().into());
    let header = |name: &'static str, value: &str| Header::new(name, text(value));
    let exception = name.strip_prefix('!');
    let payload = match exception {
        None if spoken == Dialect::AnthropicMessages => format!(r#"{{"bytes":"{}"}}"#, BASE64.encode(payload)).into_bytes(),
        _ => payload.to_vec(),
    };
    let message = Message::new(payload);
    let message = match exception {
        Some(kind) => message.add_header(header(":message-type", "exception")).add_header(header(":exception-type", kind)),
        None if spoken == Dialect::AnthropicMessages => {
            message.add_header(header(":message-type", "event")).add_header(header(":event-type", "chunk"))
        }
        None => message.add_header(header(":message-type", "event")).add_header(header(":event-type", name)),
    };
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).ok()?;
    Some(bytes)
}

/// Each frame is one event, by its name and with its payload; a line of it may end otherwise.
fn is_said(said: &[u8], expected: &[(&str, &[u8])]) {
    let (mut boundary, mut rest) = (Boundary::default(), said);
    for (name, payload) in expected {
        let end = boundary.next_end(rest).expect("an event for each frame");
        let event = Event::read(&rest[..end]);
        assert_eq!(event.name, Some(name.strip_prefix('!').unwrap_or(name).as_bytes()));
        let lines = String::from_utf8_lossy(payload).replace('\r', "\n");
        assert_eq!(event.data.map(|data| String::from_utf8_lossy(&data).into_owned()), Some(lines));
        rest = &rest[end..];
    }
    assert!(rest.is_empty(), "nothing but the frames is said");
}

/// With one byte changed nothing else is said than before the damage, and the stream does not end well.
fn damage_is_noticed(spoken: Dialect, mut stream: Vec<u8>, heard: &Heard) {
    let middle = stream.len() / 2;
    let Some(byte) = stream.get_mut(middle) else { return };
    *byte ^= 0x55;
    let damaged = is_heard_in_any_cut(spoken, &stream);
    assert!(!(damaged.readable && damaged.whole), "damage at {middle} is not noticed");
    assert!(heard.said.starts_with(&damaged.said), "damage at {middle} is heard");
}
