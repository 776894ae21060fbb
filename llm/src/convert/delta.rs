//! A streamed answer in the middle, piece by piece.
//!
//! Blocks are the shape: each has a begin, pieces and an end, as Anthropic and OpenAI's responses have them; dialects without blocks get
//! them made when they are read and melted when they are written.
//!
//! Order that readers keep and writers rely on: `Start` first; of one choice at most one block is open at a time, but for tool calls, which
//! may interleave; every block that was begun is ended before `Finish` of its choice; `Usage` may come any time and the last one counts, absent figures keeping what was said before;
//! after `Error` comes nothing.

use std::borrow::Cow;

use super::answer::FinishReason;
use super::conversation::{Json, Signature};
use crate::usage::Usage;

/// One piece.
#[derive(Debug, Clone)]
pub enum Delta<'a> {
    /// The answer begins.
    Start {
        /// The provider's id of it.
        id: Cow<'a, str>,
        /// Seconds since 1970, where the provider says.
        created: Option<u64>,
        /// The model that answers.
        model: Cow<'a, str>,
    },
    /// A block begins.
    Begin {
        /// Of which answer.
        choice: u32,
        /// Its number, counted up from 0 in each answer.
        block: u32,
        /// What it is.
        kind: Block<'a>,
    },
    /// More text of a block: text, thought, refusal, or a tool's arguments, by the block's kind.
    Text {
        /// Of which answer.
        choice: u32,
        /// Of which block.
        block: u32,
        /// The piece; whole characters.
        text: Cow<'a, str>,
    },
    /// The signature of a thought or a call.
    Signed {
        /// Of which answer.
        choice: u32,
        /// Of which block.
        block: u32,
        /// All of it.
        signature: Signature<'a>,
    },
    /// Log probabilities of the text that just came, in OpenAI's shape.
    Logprobs {
        /// Of which answer.
        choice: u32,
        /// `{"content":[…]}`
        json: Json<'a>,
    },
    /// A block ends.
    End {
        /// Of which answer.
        choice: u32,
        /// Which.
        block: u32,
    },
    /// An answer ends.
    Finish {
        /// Which.
        choice: u32,
        /// Why.
        reason: FinishReason,
        /// The stop text that ended it.
        stop_sequence: Option<Cow<'a, str>>,
    },
    /// What was consumed so far.
    Usage(Usage),
    /// The provider broke off with an error of its own.
    Error {
        /// Its class, in the provider's words.
        kind: Cow<'a, str>,
        /// In the provider's words.
        message: Cow<'a, str>,
    },
    /// Nothing, to keep the connection open.
    Ping,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block<'a> {
    /// Text for the reader.
    Text,
    /// Thoughts.
    Thinking,
    /// The model declines.
    Refusal,
    /// A call; its text is the arguments.
    ToolCall {
        /// Which call.
        id: Cow<'a, str>,
        /// Which tool.
        name: Cow<'a, str>,
    },
}

/// Takes a later report over: what it says counts, what it leaves out stays as it was said before.
pub(crate) fn take_over(usage: &mut Option<Usage>, later: &Usage) {
    let before = usage.unwrap_or_default();
    *usage = Some(Usage {
        input_tokens: later.input_tokens.or(before.input_tokens),
        cached_input_tokens: later.cached_input_tokens.or(before.cached_input_tokens),
        cache_write_tokens: later.cache_write_tokens.or(before.cache_write_tokens),
        cache_write_1h_tokens: later.cache_write_1h_tokens.or(before.cache_write_1h_tokens),
        input_audio_tokens: later.input_audio_tokens.or(before.input_audio_tokens),
        output_tokens: later.output_tokens.or(before.output_tokens),
        reasoning_tokens: later.reasoning_tokens.or(before.reasoning_tokens),
        output_audio_tokens: later.output_audio_tokens.or(before.output_audio_tokens),
        input_image_tokens: later.input_image_tokens.or(before.input_image_tokens),
        output_image_tokens: later.output_image_tokens.or(before.output_image_tokens),
        total_tokens: later.total_tokens.or(before.total_tokens),
    });
}
