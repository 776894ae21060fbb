//! Framing of server-sent events, as the WHATWG specification has it.
//!
//! [`Boundary`] finds where events end in bytes that arrive in any cut; [`Event`] reads the fields of a whole one. Lines end with
//! LF, CR or CRLF, an event with an empty line. A comment is an event without data here, and passes on like any other.
//!
//! Special case: when bytes stop between the CR and the LF that ends an event, the event has ended; the LF is counted to the
//! next one, where it is an empty line and means nothing.

use std::borrow::Cow;

use memchr::{memchr2, memchr2_iter};

/// The end of an event, looked for across chunks. Holds no bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boundary {
    /// Whether the current line has any byte.
    in_line: bool,
    /// Whether the last byte was a CR, so that a LF now belongs to it.
    after_return: bool,
}

impl Boundary {
    /// How many of the bytes that come next, between two events, are left of the line break that ended the one before: its LF, or none.
    pub(crate) fn rest_of_break(&mut self, bytes: &[u8]) -> usize {
        let is_rest = self.after_return && bytes.first() == Some(&b'\n');
        self.after_return &= bytes.is_empty();
        usize::from(is_rest)
    }

    /// Reads on to the end of the current event: the offset behind it, or `None` if all bytes belong to it and it goes on.
    pub fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if self.after_return && !rest.is_empty() {
                self.after_return = false;
                if rest.first() == Some(&b'\n') {
                    at = at.saturating_add(1);
                    continue;
                }
            }
            let Some(length) = memchr2(b'\n', b'\r', rest) else {
                self.in_line |= !rest.is_empty();
                return None;
            };
            let blank = length == 0 && !self.in_line;
            self.in_line = false;
            at = at.saturating_add(length).saturating_add(1);
            if rest.get(length) == Some(&b'\r') {
                match bytes.get(at) {
                    Some(b'\n') => at = at.saturating_add(1),
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
            if blank {
                return Some(at);
            }
        }
    }
}

/// The fields of one event that matter: its name and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// The last `event` field.
    pub name: Option<&'a [u8]>,
    /// All `data` fields, joined by line breaks; borrowed if there is one. `None` without any.
    pub data: Option<Cow<'a, [u8]>>,
}

impl<'a> Event<'a> {
    /// Reads the first event of a stream's first bytes, or what there is of it.
    #[must_use]
    pub fn first(bytes: &'a [u8]) -> Self {
        let end = Boundary::default().next_end(bytes).unwrap_or(bytes.len());
        Self::read(bytes.get(..end).unwrap_or_default())
    }

    /// Reads the bytes of one event, with or without the empty line at its end.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Self {
        let mut event = Event { name: None, data: None };
        // What is left of the line break that ended the event before stands before everything, a mark too.
        let bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        while !rest.is_empty() {
            let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (line, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            event.take_line(line);
            rest = behind.get(1..).unwrap_or_default();
        }
        event
    }

    fn take_line(&mut self, line: &'a [u8]) {
        if let Some(value) = field(line, b"data") {
            self.data = Some(match self.data.take() {
                None => Cow::Borrowed(value),
                Some(before) => Cow::Owned([&before, &b"\n"[..], value].concat()),
            });
        } else if let Some(value) = field(line, b"event") {
            self.name = Some(value);
        }
    }
}

/// The value of a line if it is for the field `name`, without the one blank that may lead it.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    if value.is_empty() {
        return Some(value);
    }
    let value = value.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// Writes an event with this data; line breaks in it, of all three kinds, make it several `data` lines.
#[must_use]
pub fn write_data(data: &[u8]) -> bytes::Bytes {
    write(&[], data)
}

/// Writes an event with a name, which must have no line break, and this data.
#[must_use]
pub fn write_named(name: &str, data: &[u8]) -> bytes::Bytes {
    write(format!("event: {name}\n").as_bytes(), data)
}

fn write(first_line: &[u8], data: &[u8]) -> bytes::Bytes {
    let lines = memchr2_iter(b'\n', b'\r', data).count().saturating_add(1);
    let mut out = Vec::with_capacity(first_line.len().saturating_add(data.len()).saturating_add(lines.saturating_mul(6)).saturating_add(2));
    out.extend_from_slice(first_line);
    let mut rest = Some(data);
    while let Some(data) = rest {
        let (line, behind) = data.split_at_checked(memchr2(b'\n', b'\r', data).unwrap_or(data.len())).unwrap_or((data, &[]));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = behind.strip_prefix(b"\r\n").or_else(|| behind.get(1..));
    }
    out.push(b'\n');
    out.into()
}

#[cfg(test)]
mod tests;
