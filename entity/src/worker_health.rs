//! How an organization's providers stand with a worker.

use sea_orm::entity::prelude::*;

/// One row of `worker_health`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "worker_health")]
pub struct Model {
    /// The worker.
    #[sea_orm(primary_key, auto_increment = false)]
    pub worker_id: String,
    /// The organization that owns the row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub org_id: String,
    /// When the worker told it.
    pub reported_at: DateTimeUtc,
    /// What it told, in the words of the link.
    #[sea_orm(column_type = "JsonBinary")]
    pub report: Json,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
