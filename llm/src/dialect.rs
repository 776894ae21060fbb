//! The wire formats we speak, one file each; whoever has a format in hand as a value asks here.
//!
//! Everything that differs between formats is behind [`Dialect`]: how usage is reported, what a stream's events mean, how an
//! error looks. Adding a format is a file, a variant, and the arms that the compiler then asks for.

pub mod gemini;
pub mod openai_chat;
pub mod openai_embeddings;
pub mod openai_models;
pub mod openai_responses;

use crate::{
    error::ErrorReply,
    stream::EventReading,
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
    /// Amazon Bedrock's `Converse`; providers only, no caller speaks it to us.
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

    /// Finds the usage report in a whole buffered reply. `Ok(None)`: it has none.
    pub fn read_usage(self, reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
        match self {
            _ => openai_chat::read_usage(reply),
        }
    }

    /// Reads one event of a stream.
    #[must_use]
    pub(crate) fn read_event(self, data: &[u8]) -> EventReading {
        match self {
            _ => openai_chat::read_event(data),
        }
    }

    /// Writes an error as this format's clients expect it, for a response of its own.
    #[must_use]
    pub fn write_error(self, error: &ErrorReply<'_>) -> bytes::Bytes {
        match self {
            _ => openai_chat::write_error(error),
        }
    }

    /// Writes an error as an event in a stream that has begun. No terminator may follow it.
    #[must_use]
    pub fn write_error_event(self, error: &ErrorReply<'_>) -> bytes::Bytes {
        match self {
            _ => openai_chat::write_error_event(error),
        }
    }
}
