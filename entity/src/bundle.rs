//! A compiled, signed policy bundle. Never changed once written.

use sea_orm::entity::prelude::*;

/// One row of `bundles`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bundles")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// Its number; unique in the organization.
    pub revision: i64,
    /// SHA-256 of `body`, lower-case hex.
    pub digest: String,
    /// Ed25519 over organization, revision and digest, in base64.
    pub signature: String,
    /// The document as it is sent.
    #[sea_orm(column_type = "Blob")]
    pub body: Vec<u8>,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
