//! From rows to what workers enforce.
//!
//! A change of an organization is one transaction of the caller's: [`lock_org`] first (it raises the revision and so takes the
//! organization's place in the line), then rows, then [`commit_revision`], which reads everything back, compiles and signs it and
//! leaves a bundle row and an outbox row. What does not compile rolls the whole change back. After the commit the [`Publisher`] tells
//! the workers; it reads the outbox, so a process killed between commit and publication loses nothing.
//!
//! Leaves out: who may change what, and the audit event; those are the caller's.

mod announce;
mod commit;
mod manifest;
mod publisher;
mod redis;
pub(crate) mod rows;
mod source;

pub use announce::{AnnounceError, Announcer};
pub use commit::{commit_revision, find_newest_bundle, lock_org};
pub use manifest::{load_members, to_manifest};
pub use publisher::{Publisher, Revisions};
pub(crate) use rows::period_kind;
pub use source::load_source;

use policy::compile::Rejection;

use crate::secrets::SecretsError;

/// Why a revision can't be made.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no such organization.
    #[error("organization `{org_id}` does not exist")]
    UnknownOrganization {
        /// Which.
        org_id: String,
    },
    /// The rows don't make a policy; each rejection names resource and field.
    #[error("the change is refused: {}", display_rejections(.rejections))]
    Rejected {
        /// Every reason.
        rejections: Vec<Rejection>,
    },
    /// A row holds what no version of this program wrote.
    #[error("{resource} `{id}` can't be read from the database: `{field}`")]
    Unreadable {
        /// Kind of row.
        resource: &'static str,
        /// Which.
        id: String,
        /// Which column.
        field: &'static str,
        /// Why.
        source: Option<serde_json::Error>,
    },
    /// A secret can't be sealed to the pool.
    #[error("{resource} `{name}` has a secret that can't be sealed to the workers")]
    Secret {
        /// Kind of who has it.
        resource: &'static str,
        /// Name of who has it.
        name: String,
        /// Why.
        source: SecretsError,
    },
    /// The bundle can't be signed.
    #[error("bundle of `{org_id}` can't be signed")]
    Sign {
        /// Whose.
        org_id: String,
        /// Why.
        source: policy::bundle::BundleError,
    },
    /// The database.
    #[error("can't read or write a revision")]
    Database(#[from] sea_orm::DbErr),
}

fn display_rejections(rejections: &[Rejection]) -> String {
    rejections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
