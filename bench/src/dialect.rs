//! The wire formats that are measured, one file each: what a caller sends, what a provider answers with, and by what a whole answer is told.
//!
//! Written from the vendors' references, with nothing of the product: whether the product reads them is what the tests here ask. Every text
//! is filler of a given length, so that figures are quoted for known sizes. Leaves out: HTTP, which is `load`'s and `mock_upstream`'s.

mod chat;
mod embeddings;
mod gemini;
mod messages;
mod responses;
#[cfg(test)]
mod tests;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Body length of a buffered answer, as in the figures these are compared with. A list of numbers is as long as it is.
const ANSWER_BYTES: usize = 1_157;
/// Events of a streamed answer, its end included.
pub(crate) const EVENTS: usize = 23;

const QUESTION: &str = "Please look at the invoice of last month and tell me which of the lines changed against the one before, and why. ";
const ANSWER: &str = "The invoice covers three seats for the month and one more from the ninth. ";

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Gemini's `generateContent` and `streamGenerateContent`.
    Gemini,
    /// OpenAI's embeddings.
    Embeddings,
}

impl Dialect {
    pub(crate) const ALL: [Self; 5] = [Self::Chat, Self::Responses, Self::Messages, Self::Gemini, Self::Embeddings];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
            Self::Embeddings => "embeddings",
        }
    }

    pub(crate) fn streams(self) -> bool {
        self != Self::Embeddings
    }

    /// Path and query of a request.
    pub(crate) fn path(self, model: &str, streamed: bool) -> String {
        match self {
            Self::Chat => "/v1/chat/completions".to_owned(),
            Self::Responses => "/v1/responses".to_owned(),
            Self::Messages => "/v1/messages".to_owned(),
            Self::Gemini if streamed => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Self::Gemini => format!("/v1beta/models/{model}:generateContent"),
            Self::Embeddings => "/v1/embeddings".to_owned(),
        }
    }

    /// Header lines that its clients send besides, each with its end.
    pub(crate) fn headers(self) -> &'static str {
        if self == Self::Messages { "anthropic-version: 2023-06-01\r\n" } else { "" }
    }

    /// A model of this format as the worker's manifest names it, of a provider who speaks the format.
    pub(crate) fn own_model(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "openai/gpt-test",
            Self::Messages => "anthropic/claude-test",
            Self::Gemini => "google/gemini-test",
            Self::Embeddings => "openai/embedding-test",
        }
    }

    /// A model of a provider who speaks another.
    pub(crate) fn other_model(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "anthropic/claude-test",
            Self::Messages | Self::Gemini => "openai/gpt-test",
            Self::Embeddings => "google/embedding-test",
        }
    }

    /// A request of about `length` bytes: `texts` messages, the first of them the system's.
    pub(crate) fn request(self, model: &str, streamed: bool, length: usize, texts: usize) -> String {
        filled(length, texts, QUESTION, |texts| match self {
            Self::Chat => chat::request(model, streamed, texts),
            Self::Responses => responses::request(model, streamed, texts),
            Self::Messages => messages::request(model, streamed, texts),
            Self::Gemini => gemini::request(texts),
            Self::Embeddings => embeddings::request(model, texts),
        })
    }

    /// A whole answer.
    pub(crate) fn answer(self) -> String {
        filled(ANSWER_BYTES, 1, ANSWER, |texts| match self {
            Self::Chat => chat::answer(&texts.concat()),
            Self::Responses => responses::answer(&texts.concat()),
            Self::Messages => messages::answer(&texts.concat()),
            Self::Gemini => gemini::answer(&texts.concat()),
            Self::Embeddings => embeddings::answer(),
        })
    }

    /// The events of a streamed answer.
    pub(crate) fn events(self) -> Vec<String> {
        match self {
            Self::Chat => chat::events(),
            Self::Responses => responses::events(),
            Self::Messages => messages::events(),
            Self::Gemini => gemini::events(),
            Self::Embeddings => Vec::new(),
        }
    }

    /// What stands near the end of every whole answer, and in no other.
    pub(crate) fn end(self, streamed: bool) -> &'static str {
        match (self, streamed) {
            (Self::Chat, true) => "data: [DONE]",
            (Self::Chat, false) => r#""finish_reason":"stop""#,
            (Self::Responses, true) => r#""type":"response.completed""#,
            (Self::Responses, false) => r#""status":"completed""#,
            (Self::Messages, true) => r#""type":"message_stop""#,
            (Self::Messages, false) => r#""stop_reason":"end_turn""#,
            (Self::Gemini, _) => r#""finishReason":"STOP""#,
            (Self::Embeddings, _) => r#""usage":{"#,
        }
    }
}

/// A chat of one question and two pictures, `image_bytes` of base64 each.
pub(crate) fn chat_with_pictures(model: &str, image_bytes: usize) -> String {
    chat::request_with_pictures(model, QUESTION, &picture(image_bytes))
}

/// What Gemini's `embedContent` and `batchEmbedContents` answer to one text.
pub(crate) fn gemini_embedding(in_list: bool) -> String {
    gemini::embedding(in_list, &embeddings::vector())
}

/// What `write` makes of `count` texts that fill it up to `length` bytes.
fn filled(length: usize, count: usize, of: &str, write: impl Fn(&[String]) -> String) -> String {
    let frame = write(&vec![String::new(); count]).len();
    let room = length.saturating_sub(frame) / count.max(1);
    write(&vec![of.chars().cycle().take(room).collect(); count])
}

/// Base64 that begins as a PNG does and then repeats nothing a scanner could skip by.
fn picture(bytes: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state: u32 = 0x9e37_79b9;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ALPHABET.get((state >> 26) as usize).copied().map_or('A', char::from)
    });
    "iVBORw0KGgo".chars().chain(noise).take(bytes).collect()
}

/// One event without a name.
fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// One event whose name is the `type` of its data.
fn named(name: &str, members: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{members}}}\n\n")
}

/// One piece of a streamed text.
fn piece(number: usize) -> String {
    format!(" word{number:02}")
}
