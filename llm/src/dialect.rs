//! The wire formats we speak, one file each; whoever has a format in hand as a value asks here.
//!
//! Everything that differs between formats is behind [`Dialect`]: where a request says what, how usage is reported, what a stream's
//! events mean, how an error and a reply of our own look. No caller speaks Converse to us: what is written for one is written as chat there. Adding a format is a file, a variant, and the arms that the compiler then asks for.

pub mod anthropic_messages;
pub mod bedrock_converse;
pub mod gemini;
pub mod openai_chat;
pub mod openai_embeddings;
pub mod openai_models;
pub mod openai_responses;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use std::borrow::Cow;

use crate::{
    error::ErrorReply,
    request::{Addressed, Head, ReadRequestError},
    response::{Completion, EmbeddingRequest, Embeddings, read_model},
    stream::{EventReading, sse},
    usage::{ReadUsageError, Usage},
};

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's `POST /v1/chat/completions`.
    OpenAiChat,
    /// OpenAI's `POST /v1/responses`.
    OpenAiResponses,
    /// OpenAI's `POST /v1/embeddings`.
    OpenAiEmbeddings,
    /// Anthropic's `POST /v1/messages`.
    AnthropicMessages,
    /// Gemini's `generateContent` and its kin.
    Gemini,
    /// Amazon Bedrock's `Converse`, and how its models that embed are invoked; providers only, no caller speaks it to us.
    BedrockConverse,
}

impl Dialect {
    /// The name in logs and rules (contract 3, `request.surface`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::OpenAiEmbeddings => "openai_embeddings",
            Self::AnthropicMessages => "anthropic_messages",
            Self::Gemini => "gemini",
            Self::BedrockConverse => "bedrock_converse",
        }
    }

    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::OpenAiChat, Self::OpenAiResponses, Self::OpenAiEmbeddings, Self::AnthropicMessages, Self::Gemini, Self::BedrockConverse];

    /// The dialect of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Reads a request. What the path says, where a dialect says it there, is `addressed`.
    pub fn read_head<'a>(self, body: &'a [u8], addressed: Option<Addressed<'a>>) -> Result<Head<'a>, ReadRequestError> {
        Head::read(self, body, addressed)
    }

    /// Finds the usage report in a whole buffered reply. `Ok(None)`: it has none.
    pub fn read_usage(self, reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
        match self {
            Self::OpenAiChat | Self::OpenAiEmbeddings => openai_chat::read_usage(reply),
            Self::OpenAiResponses => openai_responses::read_usage(reply),
            Self::AnthropicMessages => anthropic_messages::read_usage(reply),
            Self::Gemini => gemini::read_usage(reply),
            Self::BedrockConverse => bedrock_converse::read_usage(reply),
        }
    }

    /// The model that answered, by the word of a buffered reply or of one event's data; the beginning of either is enough.
    #[must_use]
    pub fn read_model(self, reply: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::OpenAiChat | Self::OpenAiEmbeddings => read_model(reply, "model", ""),
            Self::OpenAiResponses => read_model(reply, "model", "response"),
            Self::AnthropicMessages => read_model(reply, "model", "message"),
            Self::Gemini => read_model(reply, "modelVersion", ""),
            // Converse does not say.
            Self::BedrockConverse => None,
        }
    }

    /// Reads one event of a stream.
    #[must_use]
    pub(crate) fn read_event(self, data: &[u8]) -> EventReading {
        match self {
            Self::OpenAiChat | Self::OpenAiEmbeddings => openai_chat::read_event(data),
            Self::OpenAiResponses => openai_responses::read_event(data),
            Self::AnthropicMessages => anthropic_messages::read_event(data),
            Self::Gemini => gemini::read_event(data),
            Self::BedrockConverse => bedrock_converse::read_event(data),
        }
    }

    /// Writes a whole completion of our own.
    #[must_use]
    pub fn write_completion(self, completion: &Completion<'_>) -> Bytes {
        match self {
            Self::OpenAiChat | Self::OpenAiEmbeddings | Self::BedrockConverse => openai_chat::write_completion(completion),
            Self::OpenAiResponses => openai_responses::write_completion(completion),
            Self::AnthropicMessages => anthropic_messages::write_completion(completion),
            Self::Gemini => gemini::write_completion(completion),
        }
    }

    /// Writes a completion of our own as a stream whose text comes in `pieces`, which together are its content: what is to be sent, step by
    /// step, the dialect's terminator and a usage report included.
    #[must_use]
    pub fn write_completion_events(self, completion: &Completion<'_>, pieces: &[&str]) -> Vec<Bytes> {
        match self {
            Self::OpenAiChat | Self::OpenAiEmbeddings | Self::BedrockConverse => openai_chat::write_completion_events(completion, pieces),
            Self::OpenAiResponses => openai_responses::write_completion_events(completion, pieces),
            Self::AnthropicMessages => anthropic_messages::write_completion_events(completion, pieces),
            Self::Gemini => gemini::write_completion_events(completion, pieces),
        }
    }

    /// Reads what is to be embedded, for embeddings of our own.
    pub fn read_embedding_request(self, body: &[u8]) -> Result<EmbeddingRequest<'_>, ReadRequestError> {
        match self {
            Self::Gemini => gemini::read_embedding_request(body),
            Self::OpenAiChat | Self::OpenAiResponses | Self::OpenAiEmbeddings | Self::AnthropicMessages | Self::BedrockConverse => {
                openai_embeddings::read_embedding_request(body)
            }
        }
    }

    /// Writes embeddings of our own.
    #[must_use]
    pub fn write_embeddings(self, embeddings: &Embeddings<'_>) -> Bytes {
        match self {
            Self::Gemini => gemini::write_embeddings(embeddings),
            Self::OpenAiChat | Self::OpenAiResponses | Self::OpenAiEmbeddings | Self::AnthropicMessages | Self::BedrockConverse => {
                openai_embeddings::write_embeddings(embeddings)
            }
        }
    }

    /// The id of a reply of ours to the request of this id, as the dialect's ids look.
    #[must_use]
    pub fn reply_id(self, request_id: &str) -> String {
        match self {
            Self::OpenAiChat | Self::OpenAiEmbeddings | Self::BedrockConverse => format!("chatcmpl-{request_id}"),
            Self::OpenAiResponses => format!("resp_{request_id}"),
            Self::AnthropicMessages => format!("msg_{request_id}"),
            Self::Gemini => request_id.to_owned(),
        }
    }

    /// Writes an error as this format's clients expect it, for a response of its own.
    #[must_use]
    pub fn write_error(self, error: &ErrorReply<'_>) -> Bytes {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses | Self::OpenAiEmbeddings | Self::BedrockConverse => openai_chat::write_error(error),
            Self::AnthropicMessages => anthropic_messages::write_error(error),
            Self::Gemini => gemini::write_error(error),
        }
    }

    /// Writes an error to end a stream with that has begun. No terminator may follow it. `events` is how many events went before;
    /// responses number theirs.
    #[must_use]
    pub fn write_error_event(self, error: &ErrorReply<'_>, events: u64) -> Bytes {
        match self {
            Self::OpenAiChat | Self::OpenAiEmbeddings | Self::BedrockConverse => openai_chat::write_error_event(error),
            Self::OpenAiResponses => openai_responses::write_error_event(error, events),
            Self::AnthropicMessages => anthropic_messages::write_error_event(error),
            Self::Gemini => gemini::write_error_event(error),
        }
    }
}

/// Our own plain structures can always be written; should one not, an empty object is still JSON.
fn to_json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).map_or(Bytes::from_static(b"{}"), Bytes::from)
}

/// Adds a member to an object; what is none is left alone.
fn add(object: &mut Value, name: &str, member: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), member.into());
    }
}

/// Writes an event that is named by its `type`.
fn write_typed_event(event: &Value) -> Bytes {
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
    sse::write_named(name, &to_json(event))
}

#[cfg(test)]
mod tests;
