//! Writing chat completions, their chunks, and errors.

use bytes::Bytes;
use serde::Serialize;

use crate::{error::ErrorReply, response::Completion, stream::sse, usage::Usage};

/// The event that ends a stream in good order.
pub const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// What all chunks of one stream have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Id of the reply.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answers.
    pub model: &'a str,
}

/// What one chunk brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delta<'a> {
    /// The first chunk: who speaks.
    Role,
    /// A piece of text.
    Content(&'a str),
    /// The last chunk: why it ended.
    Finish(&'a str),
}

/// Writes a whole buffered completion.
#[must_use]
pub fn write_completion(completion: &Completion<'_>) -> Bytes {
    to_json(&CompletionBody {
        id: completion.id,
        object: "chat.completion",
        created: completion.created,
        model: completion.model,
        choices: [ChoiceBody {
            index: 0,
            message: MessageBody { role: "assistant", content: completion.content, refusal: None },
            logprobs: None,
            finish_reason: completion.finish_reason,
        }],
        usage: UsageBody::from(&completion.usage),
    })
}

/// Writes one event of a streamed completion.
#[must_use]
pub fn write_chunk(chunk: &Chunk<'_>, delta: Delta<'_>) -> Bytes {
    let (delta, finish_reason) = match delta {
        Delta::Role => (DeltaBody { role: Some("assistant"), content: Some("") }, None),
        Delta::Content(text) => (DeltaBody { role: None, content: Some(text) }, None),
        Delta::Finish(reason) => (DeltaBody { role: None, content: None }, Some(reason)),
    };
    write_event(chunk, &[ChunkChoice { index: 0, delta, logprobs: None, finish_reason }], None)
}

/// Writes the event that reports usage: no choices, behind the last of them.
#[must_use]
pub fn write_usage_chunk(chunk: &Chunk<'_>, usage: &Usage) -> Bytes {
    write_event(chunk, &[], Some(UsageBody::from(usage)))
}

pub(crate) fn write_error(error: &ErrorReply<'_>) -> Bytes {
    to_json(&ErrorBody { error })
}

pub(crate) fn write_error_event(error: &ErrorReply<'_>) -> Bytes {
    sse::write_data(&write_error(error))
}

/// Our own plain structures can always be written; should one not, an empty object is still JSON.
pub(in crate::dialect) fn to_json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).map_or(Bytes::from_static(b"{}"), Bytes::from)
}

fn write_event(chunk: &Chunk<'_>, choices: &[ChunkChoice<'_>], usage: Option<UsageBody>) -> Bytes {
    let body = ChunkBody { id: chunk.id, object: "chat.completion.chunk", created: chunk.created, model: chunk.model, choices, usage };
    sse::write_data(&to_json(&body))
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a ErrorReply<'a>,
}

#[derive(Serialize)]
struct CompletionBody<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [ChoiceBody<'a>; 1],
    usage: UsageBody,
}

#[derive(Serialize)]
struct ChoiceBody<'a> {
    index: u32,
    message: MessageBody<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct MessageBody<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<&'a str>,
}

#[derive(Serialize)]
struct ChunkBody<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageBody>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: DeltaBody<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct DeltaBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

/// A usage report in OpenAI's members; absent counts are left out.
#[derive(Serialize)]
pub(super) struct UsageBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_tokens: Option<u64>,
    #[serde(skip_serializing_if = "InputDetails::is_empty")]
    prompt_tokens_details: InputDetails,
    #[serde(skip_serializing_if = "OutputDetails::is_empty")]
    completion_tokens_details: OutputDetails,
}

#[derive(Serialize)]
struct InputDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

impl InputDetails {
    fn is_empty(&self) -> bool {
        self.cached_tokens.or(self.cache_write_tokens).or(self.audio_tokens).is_none()
    }
}

#[derive(Serialize)]
struct OutputDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

impl OutputDetails {
    fn is_empty(&self) -> bool {
        self.reasoning_tokens.or(self.audio_tokens).is_none()
    }
}

impl UsageBody {
    /// Of a report that another dialect may have made without a total, which OpenAI's clients count on.
    pub(super) fn with_total(usage: &Usage) -> Self {
        let sum = usage.input_tokens.zip(usage.output_tokens).map(|(input, output)| input.saturating_add(output));
        Self::from(&Usage { total_tokens: usage.total_tokens.or(sum), ..*usage })
    }
}

impl From<&Usage> for UsageBody {
    fn from(usage: &Usage) -> Self {
        let Usage {
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            input_audio_tokens,
            output_tokens,
            reasoning_tokens,
            output_audio_tokens,
            total_tokens,
        } = *usage;
        Self {
            prompt_tokens: input_tokens,
            completion_tokens: output_tokens,
            total_tokens,
            prompt_tokens_details: InputDetails {
                cached_tokens: cached_input_tokens,
                cache_write_tokens,
                audio_tokens: input_audio_tokens,
            },
            completion_tokens_details: OutputDetails { reasoning_tokens, audio_tokens: output_audio_tokens },
        }
    }
}

#[cfg(test)]
mod tests;
