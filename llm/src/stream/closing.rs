//! How a stream of OpenAI's chat closes: the usage report, where there is one, and the terminator.

use memchr::memmem;

use super::sse::Event;
use crate::dialect::Dialect;

/// Where the closing begins in what ends a chat stream; behind everything where there is none. What goes in there is read by clients that take
/// the usage from the last event that could have any.
#[must_use]
pub fn closing_at(bytes: &[u8]) -> usize {
    let done = memmem::rfind(bytes, b"data: [DONE]").or_else(|| memmem::rfind(bytes, b"data:[DONE]")).unwrap_or(bytes.len());
    let before = bytes.get(..done).unwrap_or_default();
    let last = before.trim_ascii_end();
    let behind = |end: &[u8]| memmem::rfind(last, end).map_or(0, |at| at.saturating_add(end.len()));
    let start = behind(b"\n\n").max(behind(b"\r\n\r\n"));
    let event = Event::read(before.get(start..).unwrap_or_default());
    let reports = event.data.is_some_and(|data| Dialect::OpenAiChat.read_event(&data).usage_only);
    if reports { start } else { done }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_is_the_usage_report_and_the_terminator() {
        let (text, usage, done) =
            ("data: {\"choices\":[{}]}\n\n", "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n", "data: [DONE]\n\n");
        for (stream, closing) in [
            ([text, usage, done].concat(), text.len()),
            ([text, done].concat(), text.len()),
            ([text, usage].concat(), text.len()),
            (usage.to_owned(), 0),
            (text.to_owned(), text.len()),
            ("NE]\n\n".to_owned(), 5),
            ([text, usage, done].concat().replace('\n', "\r\n"), text.len() + 2),
        ] {
            assert_eq!(closing_at(stream.as_bytes()), closing, "{stream}");
        }
    }
}
