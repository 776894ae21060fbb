//! A model as an organization describes it: an addition to the built-in catalogue, or an override of it.
//!
//! A null column follows the catalogue.

use sea_orm::entity::prelude::*;

/// One row of `models`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "models")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// Name of the provider, which may not exist yet.
    pub provider_name: String,
    /// The provider's name for the model; unique for the provider.
    pub name: String,
    /// Longest input and output together, in tokens.
    pub context_tokens: Option<i64>,
    /// Longest output, in tokens.
    pub max_output_tokens: Option<i64>,
    /// `economy`, `standard` or `premium`.
    pub quality_tier: Option<String>,
    /// What the model can take and give.
    #[sea_orm(column_type = "JsonBinary")]
    pub capabilities: Json,
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
