//! Why a request body was refused.

use crate::json::SyntaxError;

/// Why a request body can't be used. The text is fit for the body of a 400: it quotes names of members, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadRequestError {
    /// The bytes are not UTF-8.
    #[error("the request body is not valid UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// The bytes are not one JSON document.
    #[error("the request body is not valid JSON: {0}")]
    Syntax(#[from] SyntaxError),
    /// The document is JSON, but no object.
    #[error("the request body must be a JSON object")]
    NotAnObject,
    /// A member stands there twice, so that two readers could understand two things.
    #[error("`{field}` is given more than once")]
    Duplicate {
        /// Path of the member.
        field: String,
    },
    /// A member that must be there is not.
    #[error("`{field}` is required and must be {expected}")]
    Missing {
        /// Path of the member.
        field: &'static str,
        /// What it would have to be.
        expected: &'static str,
    },
    /// A member has a value of the wrong type or out of range.
    #[error("`{field}` must be {expected}")]
    WrongType {
        /// Path of the member.
        field: String,
        /// What it would have to be.
        expected: &'static str,
    },
    /// A member in our own name space that we do not know: it could not be honoured.
    #[error("`{field}` is not a known extension; there are `mlx:tags`, `mlx:end_user`, `mlx:cache` and `mlx:trace`")]
    UnknownExtension {
        /// Name of the member.
        field: String,
    },
    /// A body of another kind than the operation takes.
    #[error("this operation takes {expected}; say so in `Content-Type`")]
    ContentType {
        /// What it takes.
        expected: &'static str,
    },
    /// A body where none is taken.
    #[error("this operation takes no body")]
    NoBody,
    /// A form that is none, or that two readers could understand in two ways.
    #[error("the request body is not a form that can be read: {problem}")]
    Form {
        /// What is wrong.
        problem: &'static str,
    },
    /// One request for several models.
    #[error("the request names more than one model; send one request for each")]
    SeveralModels,
    /// More members than any real request has.
    #[error("the request body has more than {limit} members")]
    TooManyMembers {
        /// How many there may be.
        limit: usize,
    },
}

impl ReadRequestError {
    /// Path of the member that is to blame, if it is one (OpenAI's `param`).
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Duplicate { field } | Self::WrongType { field, .. } | Self::UnknownExtension { field } => Some(field),
            Self::Missing { field, .. } => Some(field),
            Self::SeveralModels => Some("model"),
            Self::NotUtf8 { .. }
            | Self::Syntax(_)
            | Self::NotAnObject
            | Self::ContentType { .. }
            | Self::NoBody
            | Self::Form { .. }
            | Self::TooManyMembers { .. } => None,
        }
    }
}
