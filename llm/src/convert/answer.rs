//! A whole answer in the middle.

use std::borrow::Cow;

use super::conversation::{Json, Part};
use crate::{json::SyntaxError, request::ReadRequestError, usage::Usage};

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

/// How the caller shall see an answer: under our id, and by the model's name that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// Id of the answer; a writer puts its dialect's prefix before it where clients look for one.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model as the caller asked for it.
    pub model: &'a str,
}

/// Why a provider's answer can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadAnswerError {
    /// It is not JSON.
    #[error("the answer is not valid JSON: {0}")]
    Syntax(#[from] SyntaxError),
    /// A member that is not what it must be.
    #[error("`{field}` of the answer must be {expected}")]
    WrongType {
        /// Dotted name; empty for the answer itself.
        field: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// So that answers are taken apart with the same reader of members as requests.
impl From<ReadRequestError> for ReadAnswerError {
    fn from(error: ReadRequestError) -> Self {
        match error {
            ReadRequestError::Syntax(syntax) => Self::Syntax(syntax),
            ReadRequestError::NotAnObject => Self::WrongType { field: String::new(), expected: "an object" },
            ReadRequestError::WrongType { field, expected } => Self::WrongType { field, expected },
            ReadRequestError::Duplicate { field } => Self::WrongType { field, expected: "given once" },
            other => Self::WrongType { field: other.field().unwrap_or_default().to_owned(), expected: "as the dialect has it" },
        }
    }
}
