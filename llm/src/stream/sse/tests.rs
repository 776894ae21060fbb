//! Framing, in every cut.

use proptest::prelude::*;

use super::*;

/// Cuts bytes into events, with chunk borders at `cuts`.
fn frame(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut borders: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    borders.extend([0, bytes.len()]);
    borders.sort_unstable();
    let (mut boundary, mut events, mut current) = (Boundary::default(), Vec::new(), Vec::new());
    for pair in borders.windows(2) {
        let mut chunk = &bytes[pair[0]..pair[1]];
        while let Some(end) = boundary.next_end(chunk) {
            current.extend_from_slice(&chunk[..end]);
            events.push(std::mem::take(&mut current));
            chunk = &chunk[end..];
        }
        current.extend_from_slice(chunk);
    }
    events.push(current);
    events
}

fn data(bytes: &[u8]) -> Vec<String> {
    let events = frame(bytes, &[]);
    events.iter().filter_map(|event| Event::read(event).data.map(|data| String::from_utf8(data.into_owned()).unwrap())).collect()
}

#[test]
fn lines_may_end_in_all_three_ways() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = ["data: a", "data:b", "", "event: error", "data: c", "", ""].join(end);
        assert_eq!(data(stream.as_bytes()), ["a\nb", "c"], "{end:?}");
    }
}

#[test]
fn the_first_event_is_read_alone_and_before_it_is_whole() {
    for (bytes, first) in [("data: a\n\ndata: b\n\n", "a"), ("\u{feff}data: a\n\ndata", "a"), ("data: {\"mod", "{\"mod")] {
        assert_eq!(Event::first(bytes.as_bytes()).data.as_deref(), Some(first.as_bytes()), "{bytes}");
    }
}

#[test]
fn comments_other_fields_and_a_mark_at_the_start_are_passed_over() {
    let stream = "\u{feff}data: a\n\n: ping\n\nid: 1\nretry: 5\ndatax: no\ndata\ndata:  two\n\n\n\ndata: cut";
    assert_eq!(data(stream.as_bytes()), ["a", "\n two", "cut"]);
    let named = Event::read(b"event: x\nevent: error\n\n");
    assert_eq!((named.name, named.data), (Some(&b"error"[..]), None));
}

#[test]
fn a_mark_that_begins_an_event_is_passed_over_also_behind_the_second_half_of_a_line_break() {
    let stream = "data: a\r\n\r\n\u{feff}data: b\r\n\r\n".as_bytes();
    for cut in 0..stream.len() {
        let read = |event: &Vec<u8>| Event::read(event).data.map(Cow::into_owned);
        let read: Vec<Vec<u8>> = frame(stream, &[cut]).iter().filter_map(read).collect();
        assert_eq!(read, [b"a", b"b"], "cut at {cut}");
    }
}

#[test]
fn written_data_is_read_back() {
    for (text, read) in [("", ""), ("a", "a"), ("a\nb\n", "a\nb\n"), ("a\rb\r\nc\r", "a\nb\nc\n")] {
        let written = write_data(text.as_bytes());
        assert_eq!(data(&written), [read]);
    }
}

proptest! {
    #[test]
    fn events_are_the_same_in_every_cut(
        lines in proptest::collection::vec(("(data: [a-z]{0,4}|: ping|event: e|)", prop_oneof!["\n", "\r\n", "\r"]), 0..20),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let stream: String = lines.into_iter().map(|(line, end)| line + &end).collect();
        let whole = frame(stream.as_bytes(), &[]);
        let cut = frame(stream.as_bytes(), &cuts);
        prop_assert_eq!(cut.concat(), stream.as_bytes());
        let texts = |events: &[Vec<u8>]| -> Vec<Option<Vec<u8>>> {
            let read = events.iter().map(|event| Event::read(event).data.map(Cow::into_owned));
            read.filter(Option::is_some).collect()
        };
        prop_assert_eq!(texts(&cut), texts(&whole));
    }
}
