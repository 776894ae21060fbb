//! A string without its escapes, and the way back from its parts to where they are written.

use std::borrow::Cow;
use std::ops::Range;

/// A string of a document, unescaped.
///
/// Invariant: `steps` are in the order of both offsets, and the first is at the begin of the text.
#[derive(Debug)]
pub(super) struct Unescaped<'a> {
    text: Cow<'a, str>,
    /// Offset of its first byte in the document.
    start: usize,
    /// Empty where nothing is escaped.
    steps: Vec<Step>,
    /// How long it is as written.
    length: usize,
}

/// From here on text and document go in step: a plain run, or the one character of an escape.
#[derive(Debug, Clone, Copy)]
struct Step {
    text: usize,
    written: usize,
}

impl<'a> Unescaped<'a> {
    /// Reads what stands between the quotes, which begins at `start` of the document.
    pub(super) fn read(written: &'a str, start: usize) -> Self {
        let length = written.len();
        if memchr::memchr(b'\\', written.as_bytes()).is_none() {
            return Self { text: Cow::Borrowed(written), start, steps: Vec::new(), length };
        }
        let mut text = String::with_capacity(length);
        let mut steps = Vec::new();
        let mut rest = written;
        while !rest.is_empty() {
            steps.push(Step { text: text.len(), written: length.saturating_sub(rest.len()) });
            let plain = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
            let taken = if plain > 0 {
                text.push_str(rest.get(..plain).unwrap_or_default());
                plain
            } else {
                let (character, taken) = read_escape(rest);
                text.push(character);
                taken
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Self { text: Cow::Owned(text), start, steps, length }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where `range` of the text stands in the document.
    pub(super) fn place(&self, range: &Range<usize>) -> Range<usize> {
        self.start.saturating_add(self.written(range.start))..self.start.saturating_add(self.written(range.end))
    }

    /// Where the character at `at` of the text begins, as an offset into the string as written.
    fn written(&self, at: usize) -> usize {
        if at >= self.text.len() {
            return self.length;
        }
        let after = self.steps.partition_point(|step| step.text <= at);
        let step = after.checked_sub(1).and_then(|before| self.steps.get(before));
        step.map_or(at, |step| step.written.saturating_add(at.saturating_sub(step.text)))
    }
}

/// The character that an escape stands for, and how many bytes it takes. Half of a pair stands for no character.
fn read_escape(rest: &str) -> (char, usize) {
    let short = match rest.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return read_unicode(rest),
        Some(byte) => char::from(*byte),
        None => return (char::REPLACEMENT_CHARACTER, 1),
    };
    (short, 2)
}

fn read_unicode(rest: &str) -> (char, usize) {
    let unit = |at: usize| rest.get(at..at.saturating_add(4)).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let Some(first) = unit(2) else { return (char::REPLACEMENT_CHARACTER, rest.len()) };
    let second = if rest.get(6..8) == Some("\\u") { unit(8) } else { None };
    let pair = |units: &[u16]| char::decode_utf16(units.iter().copied()).next().and_then(Result::ok);
    if let Some(character) = pair(&[first]) {
        return (character, 6);
    }
    match second.and_then(|second| pair(&[first, second])) {
        Some(character) => (character, 12),
        None => (char::REPLACEMENT_CHARACTER, 6),
    }
}
