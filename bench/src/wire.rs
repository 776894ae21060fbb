//! As much HTTP/1.1 as a load generator and a mock upstream need: where a message ends, and its status.
//! Not a parser to reuse: it trusts its peer, knows no trailers and reads header names in the case-insensitive way only
//! for the two that frame a body.

use memchr::memmem;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `content-length`, or none: then there is no body.
    Length(usize),
    /// `transfer-encoding: chunked`.
    Chunked,
}

/// The first line and headers of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// Bytes up to and including the empty line.
    pub(crate) length: usize,
    /// The second word of the first line where it is a number: the status of a response.
    pub(crate) status: u16,
    pub(crate) framing: Framing,
}

/// Reads the head at the start of `message`, or nothing when it is not complete yet.
pub(crate) fn read_head(message: &[u8]) -> Option<Head> {
    let length = memmem::find(message, b"\r\n\r\n")? + 4;
    let mut lines = message.get(..length)?.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(second_word).unwrap_or(0);
    let mut framing = Framing::Length(0);
    for line in lines {
        if let Some(value) = header_value(line, b"content-length") {
            framing = Framing::Length(number(value).unwrap_or(0));
        } else if header_value(line, b"transfer-encoding").is_some() {
            framing = Framing::Chunked;
        }
    }
    Some(Head { length, status, framing })
}

/// The length of the whole message, once all of it is in `message`.
pub(crate) fn message_end(message: &[u8], head: &Head) -> Option<usize> {
    match head.framing {
        Framing::Length(body) => Some(head.length + body).filter(|end| *end <= message.len()),
        Framing::Chunked => chunked_end(message, head.length),
    }
}

/// What a whole chunked body says, without its chunks.
pub(crate) fn unchunked(body: &[u8]) -> Vec<u8> {
    let (mut whole, mut at) = (Vec::with_capacity(body.len()), 0);
    while let Some((start, size)) = chunk_at(body, at).filter(|(_, size)| *size > 0) {
        whole.extend_from_slice(body.get(start..start + size).unwrap_or_default());
        at = start + size + 2;
    }
    whole
}

/// Where the data of the chunk that begins at `at` begins, and its size.
fn chunk_at(message: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = message.get(at..)?;
    let line = memchr::memchr(b'\n', rest)?;
    let size = usize::from_str_radix(std::str::from_utf8(rest.get(..line)?).ok()?.trim_end(), 16).ok()?;
    Some((at + line + 1, size))
}

fn chunked_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let (start, size) = chunk_at(message, at)?;
        let end = start + size + 2;
        if end > message.len() {
            return None;
        }
        if size == 0 {
            return Some(end);
        }
        at = end;
    }
}

fn second_word(line: &[u8]) -> Option<u16> {
    let word = line.split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn header_value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    value.strip_prefix(b":").map(<[u8]>::trim_ascii)
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_a_length_ends_after_its_body() {
        let message = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP";
        let head = read_head(message).unwrap();
        assert_eq!((head.status, head.framing), (200, Framing::Length(3)));
        assert_eq!(message_end(message, &head), Some(message.len() - 4));
        assert_eq!(message_end(&message[..message.len() - 5], &head), None);
    }

    #[test]
    fn a_chunked_message_ends_after_its_empty_chunk() {
        let message = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n1\r\n!\r\n0\r\n\r\n";
        let head = read_head(message).unwrap();
        assert_eq!(message_end(message, &head), Some(message.len()));
        assert_eq!(unchunked(&message[head.length..]), b"hello world!");
        for cut in head.length..message.len() {
            assert_eq!(message_end(&message[..cut], &head), None, "cut at {cut}");
        }
    }

    #[test]
    fn half_a_head_is_not_a_head() {
        assert!(read_head(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n").is_none());
    }
}
