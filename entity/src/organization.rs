//! An organization: the tenant that owns everything else.
//!
//! The row is also the lock of its tenant. Every change raises `revision` first, so changes of one
//! organization stand in a line on both databases.

use sea_orm::entity::prelude::*;

/// One row of `organizations`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organizations")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Unique name in addresses and manifests.
    pub slug: String,
    /// What people read.
    pub name: String,
    /// Number of the newest bundle; 0 before the first.
    pub revision: i64,
    /// `time_zone`, `payloads`, `retention_days`, `entry_policy`, `ip_allowlist` (`management`, `proxy`),
    /// `deny_private_upstreams` and what to do with unpriced models.
    #[sea_orm(column_type = "JsonBinary")]
    pub settings: Json,
    /// Hash of the newest audit event, lower-case hex; empty before the first.
    pub audit_head_hash: String,
    /// Sequence number of the newest audit event; 0 before the first.
    pub audit_sequence: i64,
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
