//! A provider: where requests are sent, with the sealed credential.
//!
//! The four `secret_*` columns are all set or all null. The secret is encrypted with a data key of its own,
//! which is wrapped with a master key.

use sea_orm::entity::prelude::*;

/// One row of `providers`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "providers")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// Unique in the organization; the part of `provider/model` before the slash.
    pub name: String,
    /// One of the contract's vendors.
    pub vendor: String,
    /// Address; none takes the vendor's own.
    pub base_url: Option<String>,
    /// What a vendor needs beyond address and secret.
    #[sea_orm(column_type = "JsonBinary")]
    pub settings: Json,
    /// The credential, AES-256-GCM under its data key.
    #[sea_orm(column_type = "Blob", nullable)]
    pub secret_sealed: Option<Vec<u8>>,
    /// The data key, wrapped with the master key.
    #[sea_orm(column_type = "Blob", nullable)]
    pub secret_wrapped_key: Option<Vec<u8>>,
    /// Which master key wrapped it.
    pub secret_key_id: Option<String>,
    /// Stands for the secret in diffs and exports; not reversible.
    pub secret_digest: Option<String>,
    /// Raised by one on every edit; what `expectedVersion` is compared with.
    pub version: i64,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
    /// When the row last changed, to the microsecond.
    pub updated_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
