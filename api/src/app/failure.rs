//! Why a use case did not do what it was asked for.

use policy::compile::Rejection;

use crate::authz::Forbidden;
use crate::publish::PublishError;
use crate::secrets::SecretsError;

/// Why nothing was done. Whatever it is, nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The actor may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Not there, or not for this tenant.
    #[error("there is no such {kind}")]
    NotFound {
        /// What kind of thing.
        kind: &'static str,
    },
    /// It clashes with what is there.
    #[error("{message}")]
    Conflict {
        /// With what.
        message: String,
    },
    /// Somebody else was faster.
    #[error("the {kind} is at version {found}, not {expected}: somebody changed it meanwhile")]
    Version {
        /// What kind of thing.
        kind: &'static str,
        /// Which version the actor knew.
        expected: i64,
        /// Which one is there.
        found: i64,
    },
    /// An input can't be used.
    #[error("{message}")]
    Invalid {
        /// Which field.
        field: String,
        /// Why, and what would be right.
        message: String,
    },
    /// The organization as changed makes no policy.
    #[error("{}", display(.0))]
    Rejected(Vec<Rejection>),
    /// The database.
    #[error("can't read or write the database")]
    Database(#[from] sea_orm::DbErr),
    /// The bundle can't be made, and it is not the actor's fault.
    #[error("can't make the bundle")]
    Publish(#[source] PublishError),
    /// A secret can't be kept.
    #[error("can't seal a secret")]
    Secrets(#[from] SecretsError),
    /// A document can't be written or read as JSON.
    #[error("can't read or write a document")]
    Encoding(#[from] serde_json::Error),
}

fn display(rejections: &[Rejection]) -> String {
    rejections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl OperationError {
    /// A field that can't be used.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// A name that is taken.
    pub(crate) fn taken(kind: &str, name: &str) -> Self {
        Self::Conflict { message: format!("a {kind} named `{name}` exists already") }
    }
}

impl From<PublishError> for OperationError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Rejected { rejections } => Self::Rejected(rejections),
            PublishError::UnknownOrganization { .. } => Self::NotFound { kind: "organization" },
            PublishError::Database(error) => Self::Database(error),
            other @ (PublishError::Unreadable { .. } | PublishError::Secret { .. } | PublishError::Sign { .. }) => Self::Publish(other),
        }
    }
}
