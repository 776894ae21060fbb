//! From one dialect to another, by way of one typed form in the middle.
//!
//! A caller who speaks one dialect is served by a provider who speaks another: the request is read into a [`Conversation`], written
//! in the provider's dialect, and what comes back is read as an [`Answer`] (buffered) or as [`Delta`]s (streamed) and written in the
//! caller's. With *n* dialects there are *n* readers and *n* writers and no pairs.
//!
//! Promises: nothing is dropped silently. What the target has no place for is named in [`Dropped`], and what must not be lost (opaque
//! state of a provider) goes along byte for byte or is named there too. A stream that was read and accumulated equals the buffered
//! answer of the same content. Text is never cut inside a character.
//!
//! Leaves out: traffic within one dialect, which passes through without any of this; sockets; and what the worker makes of a field
//! that was dropped (a header, or a refusal under `strict_capabilities`).

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod accumulated;
mod answer;
mod conversation;
mod decided;
mod delta;
#[cfg(test)]
mod differential;
mod dropped;
pub mod embeddings;
mod hub;
mod members;
mod stream;
pub mod token_count;
pub(crate) mod writing;

use std::borrow::Cow;

pub use answer::{Answer, Choice, FinishReason, ReadAnswerError, Stamp};
pub use conversation::{
    Conversation, Effort, Format, Image, ImageSource, Json, Media, Part, Reasoning, Role, Sampling, Schema, Signature, Tool, ToolCall,
    ToolChoice, ToolResult, Turn,
};
pub use decided::{read, replay, write};
pub(crate) use delta::take_over;
pub use delta::{Block, Delta};
pub use dropped::{Dropped, Feature};
pub(crate) use hub::Reader;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use hub::read_conversation;
pub(crate) use members::{Members, text_of};
pub use stream::StreamConverter;

use crate::{
    dialect::{Dialect, anthropic_messages, bedrock_converse, gemini, openai_chat},
    request::ReadRequestError,
};

/// What the provider shall be asked otherwise than the caller wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The model as the provider calls it.
    pub model: &'a str,
    /// Lower the limit of the output to this, or set it where there is none.
    pub output_limit: Option<u32>,
    /// Whether to stream, where that is not said in the body (Gemini says it in the path).
    pub stream: Option<bool>,
}

/// A request in the provider's dialect, and what the way back needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The body.
    pub body: Vec<u8>,
    /// What could not be said, in the caller's words.
    pub dropped: Dropped,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller asked to see the usage of a stream.
    pub include_usage: bool,
}

/// Why something can't be said in another dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The request can't be read.
    #[error(transparent)]
    Request(#[from] ReadRequestError),
    /// The provider's answer can't be read.
    #[error(transparent)]
    Answer(#[from] ReadAnswerError),
    /// One of the two is no dialect of conversations.
    #[error("`{from}` can't be converted to `{to}`", from = from.name(), to = to.name())]
    Pair {
        /// What would be read.
        from: Dialect,
        /// What would be written.
        to: Dialect,
    },
    /// The request builds on what only its own provider keeps, so that without it the conversation would lose what was said before.
    #[error("`{field}` refers to what one provider keeps, and this model is served by another; send the whole conversation in the request")]
    State {
        /// The member that refers to it.
        field: &'static str,
    },
    /// The model wrote a call that is none, which no dialect but its own can say.
    #[error("the model wrote a tool call that can't be read")]
    MalformedCall,
}

/// What a malformed call is called in errors of streams.
const MALFORMED_CALL: &str = "malformed_function_call";

/// Says a request in another dialect.
pub fn request(from: Dialect, body: &[u8], to: Dialect, ask: &Ask<'_>) -> Result<Converted, ConvertError> {
    let pair = ConvertError::Pair { from, to };
    let mut conversation = hub::read_conversation(from, body).ok_or_else(|| pair.clone())??;
    let mut dropped = Dropped::of(from).written_as(std::mem::take(&mut conversation.written_as));
    if let Some(field) = conversation.state {
        return Err(ConvertError::State { field });
    }
    if family(from) != family(to) {
        conversation.forget_files(&mut dropped);
    }
    conversation.origin = Some(from);
    conversation.stream = ask.stream.unwrap_or(conversation.stream);
    conversation.output_limit = [conversation.output_limit, ask.output_limit].into_iter().flatten().min();
    let body = hub::write_conversation(to, &conversation, ask.model, &mut dropped).ok_or(pair)?;
    let (stream, include_usage) = (conversation.stream, conversation.include_usage);
    Ok(Converted { body, dropped, stream, include_usage })
}

/// Says a buffered answer of a provider who speaks `from` to a caller who speaks `to`.
pub fn answer(from: Dialect, body: &[u8], to: Dialect, stamp: &Stamp<'_>) -> Result<Vec<u8>, ConvertError> {
    let pair = ConvertError::Pair { from, to };
    let answer = hub::read_answer(from, body).ok_or_else(|| pair.clone())??;
    if answer.choices.iter().any(|choice| choice.finish == FinishReason::MalformedCall) {
        return Err(ConvertError::MalformedCall);
    }
    hub::write_answer(to, &answer, stamp).ok_or(pair)
}

/// The kind and the message of a provider's error; `None` where it is none in a known shape. [`Dialect::write_error`] says it again.
#[must_use]
pub fn error(from: Dialect, body: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    match from {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings => openai_chat::read_error(body),
        Dialect::Gemini => gemini::read_error(body),
        Dialect::AnthropicMessages => anthropic_messages::read_error(body),
        Dialect::BedrockConverse => bedrock_converse::read_error(body),
    }
}

/// Whose dialect it is: ids of files mean the same within a family.
fn family(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings => "openai",
        Dialect::AnthropicMessages => "anthropic",
        Dialect::Gemini => "gemini",
        Dialect::BedrockConverse => "bedrock",
    }
}

#[cfg(test)]
mod tests;
