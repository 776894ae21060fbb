//! What is still to be told to others, written in the transaction that made it so.

use sea_orm::entity::prelude::*;

/// One row of `outbox`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// Counts up; the order of telling.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The organization that owns the row.
    pub org_id: String,
    /// Bundle revision the change made.
    pub revision: i64,
    /// What is told, such as `bundle` or `revocation`.
    pub kind: String,
    /// What the kind needs.
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
    /// When it was told; none while it waits.
    pub published_at: Option<DateTimeUtc>,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
