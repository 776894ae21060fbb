//! The wire formats we speak, one file each; whoever has a format in hand as a value asks here.
//!
//! Everything that differs between formats is behind [`Dialect`]: how usage is reported, what a stream's events mean, how an
//! error looks. Adding a format is a file, a variant, and the arms that the compiler then asks for.

pub mod openai_chat;
pub mod openai_models;

use std::borrow::Cow;

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
}

impl Dialect {
    /// The name in logs and rules (contract 3, `request.surface`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
        }
    }

    /// Finds the usage report in a whole buffered reply. `Ok(None)`: it has none.
    pub fn read_usage(self, reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
        match self {
            Self::OpenAiChat => openai_chat::read_usage(reply),
        }
    }

    /// The model that answered, by the word of a buffered reply or of one event's data; the beginning of either is enough.
    #[must_use]
    pub fn read_model(self, reply: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::OpenAiChat => openai_chat::read_model(reply),
        }
    }

    /// Reads one event of a stream.
    #[must_use]
    pub(crate) fn read_event(self, data: &[u8]) -> EventReading {
        match self {
            Self::OpenAiChat => openai_chat::read_event(data),
        }
    }

    /// Writes an error as this format's clients expect it, for a response of its own.
    #[must_use]
    pub fn write_error(self, error: &ErrorReply<'_>) -> bytes::Bytes {
        match self {
            Self::OpenAiChat => openai_chat::write_error(error),
        }
    }

    /// Writes an error as an event in a stream that has begun. No terminator may follow it.
    #[must_use]
    pub fn write_error_event(self, error: &ErrorReply<'_>) -> bytes::Bytes {
        match self {
            Self::OpenAiChat => openai_chat::write_error_event(error),
        }
    }
}
