//! AWS's event streams, said again as server-sent events: what comes behind this knows those.
//!
//! Promises: a frame is said as soon as it is whole, however its bytes were cut; checksums are verified; what can't be read ends the stream as
//! one that broke off. An event of `Converse` keeps its type as its name and its payload as its data; a chunk of `InvokeModel` is the event of
//! the model's own that is in it. An exception is an event of that name, or an error of Anthropic's.

use std::borrow::Cow;

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use llm::dialect::Dialect;
use llm::error::{ErrorReply, status_of};
use llm::stream::sse;
use serde::Deserialize;

/// Bytes of a frame at most; AWS's own limit is below it.
const FRAME_LIMIT: usize = 24 << 20;

/// A frame that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of the provider's event stream can't be read")]
pub(crate) struct FrameError;

/// Takes frames apart as they come.
pub(crate) struct Frames {
    /// Bytes of the frame that is not whole yet.
    held: BytesMut,
    /// What the payloads are in.
    spoken: Dialect,
    /// A frame could not be read: nothing behind it is.
    broken: bool,
}

/// What a chunk of `InvokeModel` is.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

/// An event of Anthropic's, as far as its name goes.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// What an exception says.
#[derive(Deserialize)]
struct Exception<'a> {
    #[serde(borrow, alias = "Message")]
    message: Option<Cow<'a, str>>,
}

impl Frames {
    pub(crate) fn new(spoken: Dialect) -> Self {
        Self { held: BytesMut::new(), spoken, broken: false }
    }

    /// Takes what has arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The events of all frames that are whole; `None` where there is none. What was said before a frame that can't be read comes first, and
    /// the error when more is asked for.
    pub(crate) fn next_events(&mut self) -> Result<Option<Bytes>, FrameError> {
        let mut said = BytesMut::new();
        while !self.broken {
            match self.next_event() {
                Ok(Some(event)) => said.extend_from_slice(&event),
                Ok(None) => return Ok((!said.is_empty()).then(|| said.freeze())),
                Err(FrameError) => self.broken = true,
            }
        }
        if said.is_empty() { Err(FrameError) } else { Ok(Some(said.freeze())) }
    }

    /// Whether what came ends with a whole frame.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.held.is_empty()
    }

    fn next_event(&mut self) -> Result<Option<Bytes>, FrameError> {
        self.next_frame()?.map(|message| self.say(&message)).transpose()
    }

    fn next_frame(&mut self) -> Result<Option<Message>, FrameError> {
        let Some(length) = self.held.first_chunk().map(|length| u32::from_be_bytes(*length)) else { return Ok(None) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > FRAME_LIMIT {
            return Err(FrameError);
        }
        if self.held.len() < length {
            return Ok(None);
        }
        read_message_from(self.held.split_to(length).freeze()).map(Some).map_err(|_| FrameError)
    }

    fn say(&self, message: &Message) -> Result<Bytes, FrameError> {
        let payload = message.payload();
        match header(message, ":message-type") {
            Some("event") => match header(message, ":event-type").ok_or(FrameError)? {
                "chunk" if self.spoken == Dialect::AnthropicMessages => say_chunk(payload),
                name => Ok(sse::write_named(name, payload)),
            },
            Some("exception") => Ok(self.say_exception(header(message, ":exception-type").ok_or(FrameError)?, payload)),
            Some("error") => {
                let said = [":error-code", ":error-message"].map(|name| header(message, name).unwrap_or("unknown"));
                let payload = serde_json::json!({"message": said.join(": ")}).to_string();
                Ok(self.say_exception("error", payload.as_bytes()))
            }
            _ => Err(FrameError),
        }
    }

    fn say_exception(&self, kind: &str, payload: &[u8]) -> Bytes {
        if self.spoken != Dialect::AnthropicMessages {
            return sse::write_named(kind, payload);
        }
        let said = serde_json::from_slice::<Exception<'_>>(payload).ok().and_then(|exception| exception.message);
        let message = format!("{kind}: {}", said.as_deref().unwrap_or("the provider broke off without a reason"));
        let error = ErrorReply { status: status_of(kind), message: &message, kind, code: None, param: None, budget: None };
        self.spoken.write_error_event(&error, 0)
    }
}

/// A header that is a word: one of those that say what a message is.
fn header<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
    let word = header.value().as_string().ok()?.as_str();
    (!word.contains(['\r', '\n'])).then_some(word)
}

fn say_chunk(payload: &[u8]) -> Result<Bytes, FrameError> {
    let chunk: Chunk<'_> = serde_json::from_slice(payload).map_err(|_| FrameError)?;
    let event = BASE64.decode(chunk.bytes.as_bytes()).map_err(|_| FrameError)?;
    let Typed { kind } = serde_json::from_slice(&event).map_err(|_| FrameError)?;
    if kind.contains(['\r', '\n']) {
        return Err(FrameError);
    }
    Ok(sse::write_named(&kind, &event))
}

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue};

    use super::*;

    fn frame(headers: &[(&'static str, &'static str)], payload: &str) -> Vec<u8> {
        let message = headers.iter().fold(Message::new(payload.to_owned().into_bytes()), |message, (name, value)| {
            message.add_header(Header::new(*name, HeaderValue::String((*value).into())))
        });
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).expect("a frame");
        bytes
    }

    fn event(name: &'static str, payload: &str) -> Vec<u8> {
        frame(&[(":message-type", "event"), (":event-type", name), (":content-type", "application/json")], payload)
    }

    fn exception(name: &'static str, payload: &str) -> Vec<u8> {
        frame(&[(":message-type", "exception"), (":exception-type", name)], payload)
    }

    fn said(spoken: Dialect, bytes: &[u8], piece: usize) -> String {
        let mut frames = Frames::new(spoken);
        let mut text = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.push(piece);
            text.extend_from_slice(&frames.next_events().expect("readable").unwrap_or_default());
        }
        assert!(frames.is_between_frames());
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn events_are_said_however_their_bytes_are_cut() {
        let stream = [event("messageStart", r#"{"role":"assistant"}"#), event("messageStop", "{\"stopReason\":\n\"end_turn\"}")].concat();
        let expected = "event: messageStart\ndata: {\"role\":\"assistant\"}\n\n\
            event: messageStop\ndata: {\"stopReason\":\ndata: \"end_turn\"}\n\n";
        for piece in 1..=stream.len() {
            assert_eq!(said(Dialect::BedrockConverse, &stream, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_chunk_is_the_event_of_the_models_own_in_it() {
        let inner = r#"{"type":"ping"}"#;
        let chunk = event("chunk", &format!(r#"{{"bytes":"{}","p":"abc"}}"#, BASE64.encode(inner)));
        assert_eq!(said(Dialect::AnthropicMessages, &chunk, 7), format!("event: ping\ndata: {inner}\n\n"));
    }

    #[test]
    fn an_exception_is_an_error_in_the_dialect_that_is_spoken() {
        let throttled = exception("throttlingException", r#"{"message":"slow down"}"#);
        assert_eq!(said(Dialect::BedrockConverse, &throttled, 9), "event: throttlingException\ndata: {\"message\":\"slow down\"}\n\n");
        let told = said(Dialect::AnthropicMessages, &throttled, 9);
        assert!(
            told.starts_with("event: error\n") && told.contains(r#""type":"rate_limit_error""#) && told.contains("slow down"),
            "{told}"
        );
        let failed = frame(&[(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "oh")], "");
        assert_eq!(said(Dialect::BedrockConverse, &failed, 9), "event: error\ndata: {\"message\":\"InternalError: oh\"}\n\n");
    }

    #[test]
    fn what_is_damaged_or_absurdly_long_is_refused() {
        let mut damaged = event("messageStart", r#"{"role":"assistant"}"#);
        *damaged.last_mut().expect("a byte") ^= 1;
        for bytes in [damaged, vec![0xff; 16], vec![0; 16]] {
            let mut frames = Frames::new(Dialect::BedrockConverse);
            frames.push(&bytes);
            assert_eq!(frames.next_events(), Err(FrameError));
        }
    }

    #[test]
    fn what_was_said_before_a_damaged_frame_is_heard_although_both_arrive_together() {
        let good = event("messageStart", r#"{"role":"assistant"}"#);
        let mut damaged = good.clone();
        *damaged.last_mut().expect("a byte") ^= 1;
        let mut frames = Frames::new(Dialect::BedrockConverse);
        frames.push(&[&good[..], &damaged, &good].concat());
        let said = frames.next_events().expect("readable").expect("an event");
        assert_eq!(said, "event: messageStart\ndata: {\"role\":\"assistant\"}\n\n");
        assert_eq!((frames.next_events(), frames.next_events()), (Err(FrameError), Err(FrameError)));
    }
}
