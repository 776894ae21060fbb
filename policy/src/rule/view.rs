//! What an expression looks at: a request before it is sent, or an answer before it is passed on.

use serde_json::Value;

use super::vocabulary::Vocabulary;
use crate::facts::Facts;

/// What an expression that judges an answer may know of it.
#[derive(Debug, Clone, Default)]
pub struct ResponseFacts {
    /// What it says, without calls of tools.
    pub text: String,
    /// Why it ended: one of the words of the reference.
    pub finish_reason: &'static str,
    /// The JSON that the text is, if it is any.
    pub json: Option<Value>,
    /// Input tokens as reported; 0 where they were not.
    pub input_tokens: u64,
    /// Output tokens as reported; 0 where they were not.
    pub output_tokens: u64,
    /// Whether the model or a filter declined.
    pub refused: bool,
    /// How many calls of tools it asks for.
    pub tool_calls: u64,
}

/// Where the variables of one evaluation are read from.
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    Request(&'a Facts<'a>),
    Response(&'a ResponseFacts),
}

impl View<'_> {
    pub(super) const fn vocabulary(self) -> Vocabulary {
        match self {
            Self::Request(_) => Vocabulary::Request,
            Self::Response(_) => Vocabulary::Response,
        }
    }
}
