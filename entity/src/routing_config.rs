//! A routing config: the name and the head of a line of immutable versions.
//!
//! The slug is unique among live configs of the same scope; a project's shadows the organization's.

use sea_orm::entity::prelude::*;

/// One row of `routing_configs`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "routing_configs")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The project it is for; none for the whole organization.
    pub project_id: Option<String>,
    /// What `@slug` refers to, without the `@`.
    pub slug: String,
    /// Number of the version in force.
    pub current_version: i64,
    /// From when on it is no longer part of bundles; its slug may be taken again.
    pub archived_at: Option<DateTimeUtc>,
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
