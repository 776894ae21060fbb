//! What a caller is told when something was not done: the one place where errors become codes.
//!
//! Promises: every error has exactly one of the codes of the contract; nothing internal is in a message: [`ErrorCode::Internal`]
//! says so and no more, and keeps its cause for the log of whoever answers the request. A foreign object is `NOT_FOUND`, like an
//! absent one.

#![deny(clippy::wildcard_enum_match_arm)]

use std::sync::Arc;
use std::time::Duration;

use crate::app::OperationError;
use crate::authn::AuthnError;
use crate::authz::Forbidden;
use crate::http::RateLimited;

/// The codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// Nobody known.
    Unauthenticated,
    /// Somebody who may not.
    Forbidden,
    /// Not there, or another tenant's.
    NotFound,
    /// It clashes with what is there.
    Conflict,
    /// It can't be used; a field says where.
    Invalid,
    /// Too often.
    RateLimited,
    /// Ours.
    Internal,
}

impl ErrorCode {
    /// The word in `extensions.code`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::Invalid => "INVALID",
            Self::RateLimited => "RATE_LIMITED",
            Self::Internal => "INTERNAL",
        }
    }

    /// The status of an answer that is nothing but this error.
    #[must_use]
    pub const fn status(self) -> http::StatusCode {
        match self {
            Self::Unauthenticated => http::StatusCode::UNAUTHORIZED,
            Self::Forbidden => http::StatusCode::FORBIDDEN,
            Self::NotFound => http::StatusCode::NOT_FOUND,
            Self::Conflict => http::StatusCode::CONFLICT,
            Self::Invalid => http::StatusCode::BAD_REQUEST,
            Self::RateLimited => http::StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What a caller is told. Deliberately without `Display`: it would become a GraphQL error without its code.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The kind.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// The input field that is to blame.
    pub field: Option<String>,
    /// All rejections of a compiled organization: resource, name, field and message each.
    pub rejections: Vec<serde_json::Value>,
    /// When to come back, with [`ErrorCode::RateLimited`].
    pub retry_after: Option<Duration>,
    /// What is behind [`ErrorCode::Internal`], for the log only.
    pub cause: Option<Arc<OperationError>>,
}

impl Refusal {
    /// A refusal with nothing but a message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, rejections: Vec::new(), retry_after: None, cause: None }
    }

    /// A field that can't be used.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(ErrorCode::Invalid, message) }
    }

    fn internal(cause: OperationError) -> Self {
        Self {
            cause: Some(Arc::new(cause)),
            ..Self::new(ErrorCode::Internal, "something went wrong on our side; the request id says where to look")
        }
    }
}

impl From<OperationError> for Refusal {
    fn from(error: OperationError) -> Self {
        let message = error.to_string();
        match error {
            OperationError::Forbidden(forbidden) => forbidden.into(),
            OperationError::NotFound { .. } => Self::new(ErrorCode::NotFound, message),
            OperationError::Conflict { .. } | OperationError::Version { .. } => Self::new(ErrorCode::Conflict, message),
            OperationError::Invalid { field, message } => Self::invalid(field, message),
            OperationError::Rejected(rejections) => {
                let field = rejections.first().map(|rejection| rejection.field.clone());
                let rejections = rejections
                    .iter()
                    .map(|r| serde_json::json!({"resource": r.resource, "name": r.name, "field": r.field, "message": r.message}));
                Self { field, rejections: rejections.collect(), ..Self::new(ErrorCode::Invalid, message) }
            }
            OperationError::Database(ref cause) if is_duplicate(cause) => {
                Self::new(ErrorCode::Conflict, "something of this name exists already")
            }
            OperationError::Database(_) | OperationError::Publish(_) | OperationError::Secrets(_) | OperationError::Encoding(_) => {
                Self::internal(error)
            }
        }
    }
}

fn is_duplicate(cause: &sea_orm::DbErr) -> bool {
    matches!(cause.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

impl From<sea_orm::DbErr> for Refusal {
    fn from(error: sea_orm::DbErr) -> Self {
        OperationError::Database(error).into()
    }
}

impl From<Forbidden> for Refusal {
    fn from(error: Forbidden) -> Self {
        Self::new(ErrorCode::Forbidden, error.to_string())
    }
}

impl From<AuthnError> for Refusal {
    fn from(error: AuthnError) -> Self {
        let message = error.to_string();
        match error {
            AuthnError::Missing | AuthnError::Unknown | AuthnError::Revoked | AuthnError::Expired => {
                Self::new(ErrorCode::Unauthenticated, message)
            }
            AuthnError::Address => Self::new(ErrorCode::Forbidden, message),
            AuthnError::Database(cause) => Self::internal(OperationError::Database(cause)),
        }
    }
}

impl From<RateLimited> for Refusal {
    fn from(limited: RateLimited) -> Self {
        Self { retry_after: Some(limited.retry_after), ..Self::new(ErrorCode::RateLimited, limited.to_string()) }
    }
}

impl From<Refusal> for async_graphql::Error {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message, field, rejections, retry_after, cause } = refusal;
        let mut extensions = async_graphql::ErrorExtensionValues::default();
        extensions.set("code", code.as_str());
        if let Some(field) = field {
            extensions.set("field", field);
        }
        if let Some(wait) = retry_after {
            extensions.set("retryAfter", wait.as_secs());
        }
        if let Ok(value) = async_graphql::Value::from_json(serde_json::Value::Array(rejections))
            && !matches!(&value, async_graphql::Value::List(list) if list.is_empty())
        {
            extensions.set("rejections", value);
        }
        let source = cause.map(|cause| cause as Arc<dyn std::any::Any + Send + Sync>);
        Self { message, source, extensions: Some(extensions) }
    }
}

/// An error with its causes in one line, for the log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
