//! What a stream begins with, before anything of it is passed on: an answer, or an error in its place.
//!
//! Comments and pings are no beginning: behind them an error still stands in the place of an answer. Leaves out: how long to wait for the first
//! event, and what becomes of a stream that has none; that is the worker's.

use super::sse::{Boundary, Event};
use crate::{convert::Delta, convert::Reader, dialect::Dialect, error::status_of};

/// The beginning of a stream, as far as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// No event that says anything is whole yet.
    Nothing,
    /// An answer begins.
    Begun,
    /// Its first event can't be read.
    Unreadable,
    /// Its first event is an error.
    Failed(StreamError),
}

/// An error that a stream consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// The status that it would have as a response of its own.
    pub status: u16,
    /// Its class, in the provider's words.
    pub kind: String,
    /// What it says.
    pub message: String,
}

impl Opening {
    /// Reads the beginning of a stream in `dialect`, of which nothing follows where it has `ended`. Where it is to be `converted`, its first
    /// event must be one that can be.
    #[must_use]
    pub fn read(dialect: Dialect, bytes: &[u8], ended: bool, converted: bool) -> Self {
        let mut boundary = Boundary::default();
        let mut rest = bytes;
        while let Some(end) = boundary.next_end(rest) {
            let (event, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = behind;
            let opening = Self::of(dialect, &Event::read(event), converted);
            if opening != Self::Nothing {
                return opening;
            }
        }
        match Self::of(dialect, &Event::read(rest), converted) {
            // Half an event is an answer that broke off.
            Self::Unreadable => Self::Nothing,
            opening if ended => opening,
            _ => Self::Nothing,
        }
    }

    fn of(dialect: Dialect, event: &Event<'_>, converted: bool) -> Self {
        let Some(data) = event.data.as_deref().filter(|data| !data.trim_ascii().is_empty()) else { return Self::Nothing };
        if event.name == Some(b"ping") {
            return Self::Nothing;
        }
        let reading = dialect.read_event(data);
        if reading.failed || event.name == Some(b"error") {
            return Self::Failed(StreamError::read(dialect, event, data));
        }
        if reading.malformed || (converted && error_of(dialect, event).is_some()) { Self::Unreadable } else { Self::Begun }
    }
}

impl StreamError {
    fn read(dialect: Dialect, event: &Event<'_>, data: &[u8]) -> Self {
        let (kind, message) = error_of(dialect, event).unwrap_or_else(|| ("api_error".to_owned(), "the provider broke off".to_owned()));
        // Some servers say the status itself.
        let said = serde_json::from_slice::<serde_json::Value>(data).ok();
        let said = said.and_then(|said| said.pointer("/error/code")?.as_u64()).and_then(|code| u16::try_from(code).ok());
        let status = said.filter(|status| (400..600).contains(status)).unwrap_or_else(|| status_of(&kind));
        Self { status, kind, message }
    }
}

/// The error that an event is, to whom would say it again.
fn error_of(dialect: Dialect, event: &Event<'_>) -> Option<(String, String)> {
    let mut deltas = Vec::new();
    Reader::new(dialect)?.read(event, &mut deltas);
    deltas.into_iter().find_map(|delta| match delta {
        Delta::Error { kind, message } => Some((kind.into_owned(), message.into_owned())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dialect: Dialect, bytes: &str) -> Opening {
        Opening::read(dialect, bytes.as_bytes(), false, false)
    }

    #[test]
    fn an_error_in_the_place_of_an_answer_has_the_status_that_it_would_have_alone() {
        for (dialect, event, status, kind) in [
            (Dialect::OpenAiChat, r#"data: {"error":{"message":"m","type":"rate_limit_exceeded"}}"#, 429, "rate_limit_exceeded"),
            (Dialect::OpenAiChat, r#"data: {"error":{"message":"m","type":"server_error"}}"#, 500, "server_error"),
            (Dialect::OpenAiChat, r#"data: {"error":{"message":"m","type":"x","code":503}}"#, 503, "x"),
            (Dialect::OpenAiResponses, r#"data: {"type":"error","code":"rate_limit_exceeded","message":"m"}"#, 429, "rate_limit_exceeded"),
            (
                Dialect::AnthropicMessages,
                r#"data: {"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                529,
                "overloaded_error",
            ),
            (Dialect::Gemini, r#"data: {"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#, 503, "UNAVAILABLE"),
            (Dialect::BedrockConverse, "event: throttlingException\ndata: {\"message\":\"m\"}", 429, "throttlingException"),
            (Dialect::BedrockConverse, "event: validationException\ndata: {\"message\":\"m\"}", 400, "validationException"),
        ] {
            let expected = Opening::Failed(StreamError { status, kind: kind.to_owned(), message: "m".to_owned() });
            for before in ["", ": comment\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n", "data:\n\n"] {
                assert_eq!(read(dialect, &format!("{before}{event}\n\n")), expected, "{before}{event}");
                // Without the empty line it may go on.
                assert_eq!(read(dialect, &format!("{before}{event}\n")), Opening::Nothing, "{before}{event}");
                assert_eq!(Opening::read(dialect, format!("{before}{event}").as_bytes(), true, false), expected, "{before}{event}");
            }
        }
    }

    #[test]
    fn an_answer_begins_with_its_first_whole_event() {
        for (dialect, event) in [
            (Dialect::OpenAiChat, "data: {\"choices\":[]}\r\n\r\n"),
            (Dialect::OpenAiChat, "data: [DONE]\n\n"),
            (Dialect::OpenAiResponses, "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n"),
            (Dialect::AnthropicMessages, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n"),
            (Dialect::Gemini, "data: {\"candidates\":[]}\n\n"),
            (Dialect::BedrockConverse, "event: messageStart\ndata: {\"role\":\"assistant\"}\n\n"),
        ] {
            assert_eq!(read(dialect, event), Opening::Begun, "{event}");
            let at = event.trim_end().len();
            for cut in 0..=at {
                let (half, _) = event.split_at(cut);
                assert_eq!(read(dialect, half), Opening::Nothing, "{half}");
            }
        }
    }

    #[test]
    fn what_is_no_event_of_the_dialect_is_unreadable() {
        for dialect in Dialect::ALL {
            assert_eq!(read(dialect, "data: <html>\n\n"), Opening::Unreadable, "{dialect:?}");
            assert_eq!(Opening::read(dialect, b"{\"id\":\"x\",\"choices\":[{\"ind", true, false), Opening::Nothing, "{dialect:?}");
            assert_eq!(Opening::read(dialect, b"data: {\"id\":\"x\",\"choi", true, false), Opening::Nothing, "{dialect:?}");
        }
        let strange = b"data: {\"choices\":\"none\"}\n\n";
        assert_eq!(Opening::read(Dialect::OpenAiChat, strange, false, false), Opening::Begun, "whoever passes it on does not care");
        assert_eq!(Opening::read(Dialect::OpenAiChat, strange, false, true), Opening::Unreadable);
    }
}
