//! A whole answer in the middle.

use std::borrow::Cow;

use super::conversation::{Json, Part};
use crate::usage::Usage;

/// A completion.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// The provider's id of it.
    pub id: Cow<'a, str>,
    /// Seconds since 1970, where the provider says.
    pub created: Option<u64>,
    /// The model that answered, as the provider calls it.
    pub model: Cow<'a, str>,
    /// The answers; one, unless more were asked for.
    pub choices: Vec<Choice<'a>>,
    /// What was consumed.
    pub usage: Option<Usage>,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// What was said, in order.
    pub parts: Vec<Part<'a>>,
    /// Why it ended.
    pub finish: FinishReason,
    /// The stop text that ended it, where the provider says which.
    pub stop_sequence: Option<Cow<'a, str>>,
    /// Log probabilities in OpenAI's shape (`{"content":[…]}`).
    pub logprobs: Option<Json<'a>>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A stop text came up.
    StopSequence,
    /// The limit of the output was reached.
    Length,
    /// The model wants tools called.
    ToolCalls,
    /// A filter or the model itself declined.
    Refusal,
    /// The model wrote a call that is none (Gemini's `MALFORMED_FUNCTION_CALL`): an error, never a clean end.
    MalformedCall,
    /// The provider paused a long turn, to be gone on with (`pause_turn`).
    Pause,
    /// Something this version has no word for: treated as an end the caller must look at.
    Other,
}
