//! A token with which workers enrol.

use sea_orm::entity::prelude::*;

/// One row of `worker_tokens`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "worker_tokens")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the whole presented token, lower-case hex; unique.
    pub secret_hash: String,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
    /// From when on it is refused.
    pub revoked_at: Option<DateTimeUtc>,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
