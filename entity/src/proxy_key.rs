//! A key with which traffic is let through the data plane.
//!
//! Its name is unique among live keys of its project, so that a revoked key can be replaced under the same
//! name.

use sea_orm::entity::prelude::*;

/// One row of `proxy_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "proxy_keys")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The project it is of.
    pub project_id: String,
    /// What people and manifests call it.
    pub name: String,
    /// SHA-256 of the whole presented key, lower-case hex; unique.
    pub secret_hash: String,
    /// First characters of the key, to recognise it by.
    pub prefix_hint: String,
    /// Object of strings, bound to every request of the key.
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: Json,
    /// Requests a minute; none for no limit of its own.
    pub rpm: Option<i64>,
    /// From when on it is refused.
    pub expires_at: Option<DateTimeUtc>,
    /// Array of model patterns.
    #[sea_orm(column_type = "JsonBinary")]
    pub allowed_models: Json,
    /// Array of networks; empty allows all.
    #[sea_orm(column_type = "JsonBinary")]
    pub ip_allowlist: Json,
    /// The person it was made for.
    pub owner_user_id: Option<String>,
    /// From when on it is refused.
    pub revoked_at: Option<DateTimeUtc>,
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
