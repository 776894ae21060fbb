//! The header of tags.

use std::fmt::Write as _;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::ingress::headers::{CallerHeaders, TAG_LIMIT, TEXT_LIMIT, read_tags};

/// As a caller writes it.
const NAME: HeaderName = HeaderName::from_static("x-modelux-user-tags");

type Tags = Vec<(Arc<str>, Arc<str>)>;

pub(super) fn holds(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(NAME, value.clone());
    let found = CallerHeaders::read(&headers);
    let Some(tags) = read(&value, Tags::new()) else { return assert!(found.is_err(), "refused, and then taken") };
    assert_eq!(found.expect("read, and then refused").tags, tags);
    keep_to_the_limits(&tags);
    let pairs = std::str::from_utf8(input).expect("what is read is text").split(',').filter(|pair| !pair.trim().is_empty());
    assert_eq!(tags.len(), pairs.count(), "each pair is a tag");
    let written = HeaderValue::from_str(&written(&tags)).expect("what is escaped is a header");
    assert_eq!(read(&written, Tags::new()).as_ref(), Some(&tags), "written as {written:?}");
    match read(&value, tags.clone()) {
        Some(twice) => assert_eq!(twice, [&tags[..], &tags].concat(), "two headers are one"),
        None => assert!(tags.len().saturating_mul(2) > TAG_LIMIT, "the second of two is refused"),
    }
}

/// The tags that were there, and those of the value; `None` where it is refused.
fn read(value: &HeaderValue, mut tags: Tags) -> Option<Tags> {
    read_tags(value, &mut tags).ok().map(|()| tags)
}

fn keep_to_the_limits(tags: &Tags) {
    assert!(tags.len() <= TAG_LIMIT);
    for (name, value) in tags {
        assert!((1..=TEXT_LIMIT).contains(&name.len()) && value.len() <= TEXT_LIMIT, "{name:?}={value:?}");
    }
}

/// The value of a header that says these tags, with everything escaped that could mean something.
fn written(tags: &Tags) -> String {
    let mut header = String::new();
    for (name, value) in tags {
        for (text, end) in [(name, '='), (value, ',')] {
            for byte in text.bytes() {
                let plain = byte.is_ascii_alphanumeric();
                let wrote = if plain { header.write_char(char::from(byte)) } else { write!(header, "%{byte:02X}") };
                wrote.expect("a string takes what is written");
            }
            header.push(end);
        }
    }
    header
}
