//! What a worker is told when a call fails. Nothing internal leaves; the reason is logged here, once.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::ledger::{BookError, LeaseError};
use crate::secrets::SecretsError;

/// Why a call of a worker failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkFailure {
    /// No token, or one that is unknown or revoked.
    #[error("a worker token is needed")]
    Unauthenticated,
    /// The message is not what it should be.
    #[error("{0}")]
    Malformed(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The worker has to enrol again, or has said something else since.
    #[error("{0}")]
    Superseded(String),
    /// The database.
    #[error("the database does not answer")]
    Database(#[from] sea_orm::DbErr),
    /// Keys.
    #[error("keys can't be handed out")]
    Secrets(#[from] SecretsError),
}

impl From<LeaseError> for LinkFailure {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::NotEnrolled { .. } | LeaseError::Stale { .. } => Self::Superseded(error.to_string()),
            LeaseError::Database(error) => Self::Database(error),
        }
    }
}

impl From<BookError> for LinkFailure {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Database(error) => Self::Database(error),
        }
    }
}

impl IntoResponse for LinkFailure {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Superseded(_) => StatusCode::CONFLICT,
            Self::Database(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "a worker's call failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Secrets(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "a worker's enrolment failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        (status, self.to_string()).into_response()
    }
}
