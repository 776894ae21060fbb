//! An event stream said again as one JSON array, each event's data an element: what Gemini's clients get who do not ask for `alt=sse`.
//!
//! Promises: an element goes out as soon as its event is whole; between two pushes what was written is a beginning of valid JSON to which
//! white space may be added; the array is closed in every case, after an error too, so that it can be parsed and the error be read. Data that
//! is no JSON would make the whole array unreadable: in its place stands an error, and nothing follows it.
//!
//! Leaves out: metering and conversion, which look at the events themselves.

use super::sse::{Boundary, Event};
use crate::{
    dialect::Dialect,
    error::{ErrorCode, ErrorReply},
    json::Cursor,
};

/// The most of one unfinished event that is held.
const EVENT_LIMIT: usize = 16 << 20;

/// Says the events of one stream as elements.
#[derive(Debug, Default)]
pub struct Elements {
    boundary: Boundary,
    /// The current event so far.
    held: Vec<u8>,
    begun: bool,
    failed: bool,
}

impl Elements {
    /// A whole event stream as an array.
    #[must_use]
    pub fn of(stream: &[u8]) -> Vec<u8> {
        let mut elements = Self::default();
        let mut array = elements.push(stream);
        array.extend(elements.finish());
        array
    }

    /// Takes bytes of the event stream, cut anywhere; the elements of all events that are whole.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(end) = self.boundary.next_end(rest) {
            let (event, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = behind;
            if self.held.is_empty() {
                self.element(event, &mut out);
            } else {
                let mut held = std::mem::take(&mut self.held);
                held.extend_from_slice(event);
                self.element(&held, &mut out);
            }
        }
        self.held.extend_from_slice(rest);
        if self.held.len() > EVENT_LIMIT {
            self.forget();
            self.fail("an event of the provider is larger than 16 MiB", &mut out);
        }
        out
    }

    /// Forgets an event that has begun, whose end will not come.
    pub fn forget(&mut self) {
        self.boundary = Boundary::default();
        self.held.clear();
    }

    /// The end: what stood behind the last whole event, and the bracket.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let held = std::mem::take(&mut self.held);
        self.element(&held, &mut out);
        out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        out
    }

    fn element(&mut self, event: &[u8], out: &mut Vec<u8>) {
        let Some(data) = Event::read(event).data.filter(|_| !self.failed) else { return };
        let mut cursor = Cursor::new(&data);
        if cursor.value().is_ok() && cursor.end().is_ok() {
            self.write(&data, out);
        } else {
            self.fail("the provider sent an event that is no JSON", out);
        }
    }

    fn fail(&mut self, message: &str, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.failed, true) {
            return;
        }
        let (kind, code) = ("upstream_error", Some(ErrorCode::Name("upstream_unreadable")));
        let error = ErrorReply { status: 502, message, kind, code, param: None, budget: None };
        self.write(&Dialect::Gemini.write_error(&error), out);
    }

    fn write(&mut self, element: &[u8], out: &mut Vec<u8>) {
        let begun = std::mem::replace(&mut self.begun, true);
        out.extend_from_slice(if begun { b",\n" } else { b"[" });
        out.extend_from_slice(element);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const STREAM: &[u8] = b"data: {\"a\":1}\r\n\r\n: comment\n\n\ndata: {\"b\":\ndata: [2,\n data: }\ndata: 3]}\n\ndata: {\"c\":4}";

    fn said(pieces: &[&[u8]]) -> Value {
        let mut elements = Elements::default();
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| [elements.push(piece), b"\n".to_vec()].concat()).collect();
        out.extend(elements.finish());
        serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
    }

    #[test]
    fn events_are_elements_wherever_they_are_cut_and_white_space_may_stand_between_pieces() {
        let whole = json!([{"a": 1}, {"b": [2, 3]}, {"c": 4}]);
        for at in 0..=STREAM.len() {
            let (before, behind) = STREAM.split_at(at);
            assert_eq!(said(&[before, behind]), whole, "cut at {at}");
        }
        assert_eq!(said(&[]), json!([]));
    }

    #[test]
    fn what_is_no_json_ends_the_array_with_an_error() {
        let array = said(&[b"data: {\"a\":1}\n\ndata: {\"b\"\n\ndata: {\"c\":1}\n\n"]);
        assert_eq!((array.as_array().map(Vec::len), &array[1]["error"]["code"]), (Some(2), &json!(502)), "{array}");
    }

    #[test]
    fn an_event_whose_end_will_not_come_is_forgotten_before_the_error_that_says_so() {
        let mut elements = Elements::default();
        let mut out = elements.push(b"data: {\"a\":1}\n\ndata: {\"b\"");
        elements.forget();
        out.extend(elements.push(b"data: {\"error\":{}}\n\n"));
        out.extend(elements.finish());
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), json!([{"a": 1}, {"error": {}}]));
    }
}
