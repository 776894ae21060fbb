//! Which dialect reads and which one writes: the one place that knows all of them.
//!
//! Everything here is `None` for a dialect that is none of conversations.

use super::{Answer, Conversation, Delta, Dropped, ReadAnswerError, Stamp};
use crate::{
    dialect::{Dialect, anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses},
    request::ReadRequestError,
    stream::sse::Event,
};

/// Reads a request.
pub(crate) fn read_conversation(dialect: Dialect, body: &[u8]) -> Option<Result<Conversation<'_>, ReadRequestError>> {
    match dialect {
        Dialect::OpenAiChat => Some(openai_chat::read_conversation(body)),
        Dialect::OpenAiResponses => Some(openai_responses::read_conversation(body)),
        Dialect::AnthropicMessages => Some(anthropic_messages::read_conversation(body)),
        Dialect::Gemini => Some(gemini::read_conversation(body)),
        Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => None,
    }
}

/// Writes a request.
pub(super) fn write_conversation(dialect: Dialect, conversation: &Conversation<'_>, model: &str, dropped: &mut Dropped) -> Option<Vec<u8>> {
    match dialect {
        Dialect::OpenAiChat => Some(openai_chat::write_conversation(conversation, model, dropped)),
        Dialect::OpenAiResponses => Some(openai_responses::write_conversation(conversation, model, dropped)),
        Dialect::AnthropicMessages => Some(anthropic_messages::write_conversation(conversation, model, dropped)),
        Dialect::Gemini => Some(gemini::write_conversation(conversation, model, dropped)),
        Dialect::BedrockConverse => Some(bedrock_converse::write_conversation(conversation, model, dropped)),
        Dialect::OpenAiEmbeddings => None,
    }
}

/// Reads a buffered answer.
pub(super) fn read_answer(dialect: Dialect, body: &[u8]) -> Option<Result<Answer<'_>, ReadAnswerError>> {
    match dialect {
        Dialect::OpenAiChat => Some(openai_chat::read_answer(body)),
        Dialect::OpenAiResponses => Some(openai_responses::read_answer(body)),
        Dialect::AnthropicMessages => Some(anthropic_messages::read_answer(body)),
        Dialect::Gemini => Some(gemini::read_answer(body)),
        Dialect::BedrockConverse => Some(bedrock_converse::read_answer(body)),
        Dialect::OpenAiEmbeddings => None,
    }
}

/// Writes a buffered answer.
pub(super) fn write_answer(dialect: Dialect, answer: &Answer<'_>, stamp: &Stamp<'_>) -> Option<Vec<u8>> {
    match dialect {
        Dialect::OpenAiChat => Some(openai_chat::write_answer(answer, stamp)),
        Dialect::OpenAiResponses => Some(openai_responses::write_answer(answer, stamp)),
        Dialect::AnthropicMessages => Some(anthropic_messages::write_answer(answer, stamp)),
        Dialect::Gemini => Some(gemini::write_answer(answer, stamp)),
        Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => None,
    }
}

/// The reader of a stream.
#[derive(Debug)]
pub(crate) enum Reader {
    OpenAiChat(openai_chat::DeltaReader),
    OpenAiResponses(openai_responses::DeltaReader),
    AnthropicMessages(anthropic_messages::DeltaReader),
    Gemini(gemini::DeltaReader),
    BedrockConverse(bedrock_converse::DeltaReader),
}

impl Reader {
    pub(crate) fn new(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::OpenAiChat => Some(Self::OpenAiChat(openai_chat::DeltaReader::new())),
            Dialect::OpenAiResponses => Some(Self::OpenAiResponses(openai_responses::DeltaReader::new())),
            Dialect::AnthropicMessages => Some(Self::AnthropicMessages(anthropic_messages::DeltaReader::default())),
            Dialect::Gemini => Some(Self::Gemini(gemini::DeltaReader::new())),
            Dialect::BedrockConverse => Some(Self::BedrockConverse(bedrock_converse::DeltaReader::default())),
            Dialect::OpenAiEmbeddings => None,
        }
    }

    pub(crate) fn read<'e>(&mut self, event: &'e Event<'e>, out: &mut Vec<Delta<'e>>) {
        match self {
            Self::OpenAiChat(reader) => reader.read(event, out),
            Self::OpenAiResponses(reader) => reader.read(event, out),
            Self::AnthropicMessages(reader) => reader.read(event, out),
            Self::Gemini(reader) => reader.read(event, out),
            Self::BedrockConverse(reader) => {
                let event_type = event.name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
                reader.read(event_type, event.data.as_deref().unwrap_or_default(), out);
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<Delta<'static>>) {
        match self {
            Self::OpenAiChat(reader) => reader.finish(out),
            Self::OpenAiResponses(reader) => reader.finish(out),
            Self::AnthropicMessages(reader) => reader.finish(out),
            Self::Gemini(reader) => reader.finish(out),
            Self::BedrockConverse(reader) => reader.finish(out),
        }
    }
}

/// The writer of a stream.
#[derive(Debug)]
pub(super) enum Writer {
    OpenAiChat(openai_chat::DeltaWriter),
    OpenAiResponses(openai_responses::DeltaWriter),
    AnthropicMessages(anthropic_messages::DeltaWriter),
    Gemini(gemini::DeltaWriter),
}

impl Writer {
    pub(super) fn new(dialect: Dialect, stamp: &Stamp<'_>, include_usage: bool) -> Option<Self> {
        match dialect {
            Dialect::OpenAiChat => Some(Self::OpenAiChat(openai_chat::DeltaWriter::new(stamp, include_usage))),
            Dialect::OpenAiResponses => Some(Self::OpenAiResponses(openai_responses::DeltaWriter::new(stamp))),
            Dialect::AnthropicMessages => Some(Self::AnthropicMessages(anthropic_messages::DeltaWriter::new(stamp, None))),
            Dialect::Gemini => Some(Self::Gemini(gemini::DeltaWriter::new(stamp))),
            Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => None,
        }
    }

    pub(super) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(writer) => writer.write(delta, out),
            Self::OpenAiResponses(writer) => writer.write(delta, out),
            Self::AnthropicMessages(writer) => writer.write(delta, out),
            Self::Gemini(writer) => writer.write(delta, out),
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(writer) => writer.finish(out),
            Self::OpenAiResponses(writer) => writer.finish(out),
            Self::AnthropicMessages(writer) => writer.finish(out),
            Self::Gemini(writer) => writer.finish(out),
        }
    }

    pub(super) fn fail(&mut self, kind: &str, message: &str, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(writer) => writer.fail(kind, message, out),
            Self::OpenAiResponses(writer) => writer.fail(kind, message, out),
            Self::AnthropicMessages(writer) => writer.fail(kind, message, out),
            Self::Gemini(writer) => writer.fail(kind, message, out),
        }
    }
}
