//! Writing chat completions, whole and streamed, and errors.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    dialect::to_json,
    error::ErrorReply,
    response::{Completion, Finish},
    stream::sse,
    usage::Usage,
};

/// The event that ends a stream in good order.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// What one chunk brings.
enum Piece<'a> {
    /// The first chunk: who speaks.
    Role,
    /// A piece of text.
    Content(&'a str),
    /// The last chunk: why it ended.
    Finish(&'static str),
}

/// Writes a whole buffered completion.
#[must_use]
pub(in crate::dialect) fn write_completion(completion: &Completion<'_>) -> Bytes {
    to_json(&CompletionBody {
        id: completion.id,
        object: "chat.completion",
        created: completion.created,
        model: completion.model,
        choices: [ChoiceBody {
            index: 0,
            message: MessageBody { role: "assistant", content: completion.content, refusal: None },
            logprobs: None,
            finish_reason: reason(completion.finish),
        }],
        usage: UsageBody::from(&completion.usage),
    })
}

/// Writes a streamed completion, one event an element: who speaks, the pieces, why it ended, the usage, the end.
#[must_use]
pub(in crate::dialect) fn write_completion_events(completion: &Completion<'_>, pieces: &[&str]) -> Vec<Bytes> {
    let mut events = vec![write_chunk(completion, Piece::Role)];
    events.extend(pieces.iter().map(|piece| write_chunk(completion, Piece::Content(piece))));
    events.push(write_chunk(completion, Piece::Finish(reason(completion.finish))));
    events.push(write_event(completion, &[], Some(UsageBody::from(&completion.usage))));
    events.push(DONE);
    events
}

fn write_chunk(completion: &Completion<'_>, piece: Piece<'_>) -> Bytes {
    let (delta, finish_reason) = match piece {
        Piece::Role => (DeltaBody { role: Some("assistant"), content: Some("") }, None),
        Piece::Content(text) => (DeltaBody { role: None, content: Some(text) }, None),
        Piece::Finish(reason) => (DeltaBody { role: None, content: None }, Some(reason)),
    };
    write_event(completion, &[ChunkChoice { index: 0, delta, logprobs: None, finish_reason }], None)
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

pub(crate) fn write_error(error: &ErrorReply<'_>) -> Bytes {
    to_json(&ErrorBody { error })
}

pub(crate) fn write_error_event(error: &ErrorReply<'_>) -> Bytes {
    sse::write_data(&write_error(error))
}

fn write_event(completion: &Completion<'_>, choices: &[ChunkChoice<'_>], usage: Option<UsageBody>) -> Bytes {
    let Completion { id, created, model, .. } = *completion;
    sse::write_data(&to_json(&ChunkBody { id, object: "chat.completion.chunk", created, model, choices, usage }))
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
            // OpenAI has no word for how long it is kept.
            cache_write_1h_tokens: _,
            input_audio_tokens,
            output_tokens,
            reasoning_tokens,
            output_audio_tokens,
            // Nor for pictures.
            input_image_tokens: _,
            output_image_tokens: _,
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
