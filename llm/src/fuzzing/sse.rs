//! Framing of streams, against a reader that takes the specification at its word, line by line.

use super::{PIECES, json::is_json, shown};
use crate::stream::{
    Elements,
    sse::{Boundary, Event, write_data, write_named},
};

/// An event with data: its name, its data.
type Said = (Option<Vec<u8>>, Vec<u8>);

pub(super) fn holds(stream: &[u8]) {
    let whole = framed(stream, stream.len());
    assert_eq!(whole.concat(), stream, "bytes were lost");
    let expected = said(&whole);
    assert_eq!(expected, by_the_book(stream), "events of {}", shown(stream));
    let array = Elements::of(stream);
    assert!(is_json(&array), "no JSON: {}", shown(&array));
    for piece in PIECES {
        let cut = framed(stream, piece);
        assert_eq!(cut.concat(), stream, "bytes were lost in pieces of {piece}");
        assert_eq!(said(&cut), expected, "events in pieces of {piece}");
        let mut elements = Elements::default();
        let mut cut: Vec<u8> = stream.chunks(piece).flat_map(|piece| elements.push(piece)).collect();
        cut.extend(elements.finish());
        assert_eq!(shown(&cut), shown(&array), "elements in pieces of {piece}");
    }
    is_read_as_written(stream);
}

/// The bytes of each event of a stream that arrives in pieces of this length; the last may be unfinished.
pub(super) fn framed(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let (mut boundary, mut events, mut current) = (Boundary::default(), Vec::new(), Vec::new());
    for mut rest in stream.chunks(piece.max(1)) {
        while let Some(end) = boundary.next_end(rest) {
            current.extend_from_slice(&rest[..end]);
            events.push(std::mem::take(&mut current));
            rest = &rest[end..];
        }
        current.extend_from_slice(rest);
    }
    events.push(current);
    events
}

fn said(events: &[Vec<u8>]) -> Vec<Said> {
    let read = |event: &Vec<u8>| {
        let event = Event::read(event);
        Some((event.name.map(<[u8]>::to_vec), event.data?.into_owned()))
    };
    events.iter().filter_map(read).collect()
}

/// The events of a whole stream, by splitting it into lines.
fn by_the_book(stream: &[u8]) -> Vec<Said> {
    let (mut events, mut name, mut data) = (Vec::new(), None, None::<Vec<u8>>);
    let mut begins = true;
    for line in lines(stream).split(|byte| *byte == b'\n') {
        if line.is_empty() {
            events.extend(data.take().map(|data| (name.take(), data)));
            (name, begins) = (None, true);
            continue;
        }
        // A mark at the beginning of an event is taken for one at the beginning of the stream.
        let line = if begins { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        begins = false;
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
            None => (line, &[][..]),
        };
        match field {
            b"data" => {
                data = Some(match data.take() {
                    Some(before) => [&before, &b"\n"[..], value].concat(),
                    None => value.to_vec(),
                });
            }
            b"event" => name = Some(value.to_vec()),
            _ => {}
        }
    }
    events.extend(data.map(|data| (name, data)));
    events
}

/// The same with each of the three ends of a line as a line feed.
fn lines(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut after_return) = (Vec::new(), false);
    for byte in bytes {
        match byte {
            b'\n' if after_return => {}
            b'\r' | b'\n' => out.push(b'\n'),
            other => out.push(*other),
        }
        after_return = *byte == b'\r';
    }
    out
}

/// Whatever is written as the data of one event is read as that, but for how its lines end.
fn is_read_as_written(data: &[u8]) {
    for (name, written) in [(None, write_data(data)), (Some(&b"note"[..]), write_named("note", data))] {
        let events = framed(&written, written.len());
        assert_eq!(events, [&written[..], &[]], "one event, and nothing behind it");
        let read = Event::read(&written);
        assert_eq!((read.name, read.data.as_deref()), (name, Some(&lines(data)[..])), "{}", shown(&written));
    }
}
