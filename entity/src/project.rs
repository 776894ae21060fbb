//! A project: what keys, tags and grants are grouped by.

use sea_orm::entity::prelude::*;

/// One row of `projects`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "projects")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// Unique in the organization.
    pub name: String,
    /// Object of strings, bound to every request of the project.
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: Json,
    /// `auto_resolve_bare_model`, `strict_capabilities`, `guardrails`.
    #[sea_orm(column_type = "JsonBinary")]
    pub settings: Json,
    /// `@slug` of the config that runs after the organization's entry policy and can only narrow it.
    pub entry_policy: Option<String>,
    /// What questions to the webhook guardrail are signed with, AES-256-GCM under its data key. This and the next three are all set or all null.
    #[sea_orm(column_type = "Blob", nullable)]
    pub webhook_secret_sealed: Option<Vec<u8>>,
    /// The data key, wrapped with the master key.
    #[sea_orm(column_type = "Blob", nullable)]
    pub webhook_secret_wrapped_key: Option<Vec<u8>>,
    /// Which master key wrapped it.
    pub webhook_secret_key_id: Option<String>,
    /// Stands for the secret in diffs; not reversible.
    pub webhook_secret_digest: Option<String>,
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
