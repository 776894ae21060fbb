//! Which bundle of an organization a worker enforces.

use sea_orm::entity::prelude::*;

/// One row of `worker_revisions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "worker_revisions")]
pub struct Model {
    /// The worker.
    #[sea_orm(primary_key, auto_increment = false)]
    pub worker_id: String,
    /// The organization that owns the row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub org_id: String,
    /// Revision that it answered for last.
    pub revision: i64,
    /// Digest of that bundle.
    pub digest: String,
    /// When it swapped it in.
    pub applied_at: DateTimeUtc,
    /// From the change to the swap, in milliseconds.
    pub lag_ms: i64,
    /// Why it kept the older one; none when all is well.
    pub error: Option<String>,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The row that `worker_id` names.
    #[sea_orm(belongs_to = "super::worker::Entity", from = "Column::WorkerId", to = "super::worker::Column::Id")]
    Worker,
}

impl Related<super::worker::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Worker.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
