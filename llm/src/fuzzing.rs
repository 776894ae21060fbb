//! What must hold for any bytes: one property for each target of `fuzz/`, which the fuzzer tries on what it makes up and `make test` on the
//! inputs that are kept in `fuzz/corpus`.
//!
//! Promises: a property panics where an input disproves it, and does nothing else; it says more than that reading ends, such as that every
//! cut of a stream gives the same events. An input that has to say which dialects are meant says so in digits on its first line, so that
//! the rest of it stays readable.
//!
//! Built for tests and with the feature `fuzzing` only. Leaves out: rules and headers, which are `policy`'s and `worker`'s.
#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a property says that it does not hold by failing")]

mod convert_request;
mod convert_stream;
mod json;
mod meter;
mod reply;
mod request;
mod sse;
#[cfg(test)]
mod tests;

use crate::{convert::Stamp, dialect::Dialect};

/// Panics where the bytes disprove it.
pub type Property = fn(&[u8]);

/// Every target whose property is here, by its name.
pub const TARGETS: &[(&str, Property)] = &[
    ("sse", sse),
    ("openai_chat", openai_chat),
    ("openai_responses", openai_responses),
    ("openai_embeddings", openai_embeddings),
    ("anthropic_messages", anthropic_messages),
    ("gemini", gemini),
    ("bedrock_converse", bedrock_converse),
    ("convert_request", convert_request),
    ("convert_stream", convert_stream),
];

/// Dialects that answers are written in.
const WRITTEN: [Dialect; 4] = [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages, Dialect::Gemini];

/// How answers are stamped.
const STAMP: Stamp<'_> = Stamp { id: "0b8c", created: 1_764_000_001, model: "fast" };

/// Lengths of the pieces in which a stream arrives besides all at once. Pieces of one byte have every cut there is; the others have cuts
/// that are not beside another cut.
const PIECES: [usize; 3] = [1, 2, 7];

/// A stream has the same events in every cut, all of its bytes belong to one of them, and what is written as one is read as it.
pub fn sse(input: &[u8]) {
    sse::holds(input);
}

/// All that is read of OpenAI's chat completions.
pub fn openai_chat(input: &[u8]) {
    read_all(Dialect::OpenAiChat, input);
}

/// All that is read of OpenAI's responses.
pub fn openai_responses(input: &[u8]) {
    read_all(Dialect::OpenAiResponses, input);
}

/// All that is read of OpenAI's embeddings.
pub fn openai_embeddings(input: &[u8]) {
    read_all(Dialect::OpenAiEmbeddings, input);
}

/// All that is read of Anthropic's messages.
pub fn anthropic_messages(input: &[u8]) {
    read_all(Dialect::AnthropicMessages, input);
}

/// All that is read of Gemini.
pub fn gemini(input: &[u8]) {
    read_all(Dialect::Gemini, input);
}

/// All that is read of Bedrock's `Converse`, whose frames arrive as events.
pub fn bedrock_converse(input: &[u8]) {
    read_all(Dialect::BedrockConverse, input);
}

/// What is read as a request in one dialect and said in another is read there as the same. First line: whose, to whom, what is asked for.
pub fn convert_request(input: &[u8]) {
    convert_request::holds(input);
}

/// A stream said in another dialect is the whole answer said there, and ends as that dialect's streams end. First line: whose, to whom.
pub fn convert_stream(input: &[u8]) {
    convert_stream::holds(input);
}

/// One input for each reader of a dialect: what it is, is not said anywhere, and each has to bear what is meant for another.
fn read_all(dialect: Dialect, input: &[u8]) {
    request::holds(dialect, input);
    reply::holds(dialect, input);
    meter::holds(dialect, input);
}

/// The digits that lead an input, and what stands behind the first line. Any byte counts as a digit, so that no input is wasted.
fn led_by_digits<const N: usize>(input: &[u8]) -> Option<([usize; N], &[u8])> {
    let (digits, rest) = input.split_first_chunk::<N>()?;
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    Some((digits.map(|digit| usize::from(digit.wrapping_sub(b'0'))), rest))
}

/// One of these.
fn one_of<T: Copy>(choices: &[T], digit: usize) -> T {
    choices[digit % choices.len()]
}

/// Bytes for a message: as text where they are some, and not all of them where they are many.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(4_000)]).into_owned()
}
