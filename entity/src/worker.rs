//! A worker of the pool. Workers serve all organizations, so none owns them.

use sea_orm::entity::prelude::*;

/// One row of `workers`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workers")]
pub struct Model {
    /// Prefixed, sortable id; kept by the worker on its disk.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Raised at every start, so that an old life can be told from the new one.
    pub incarnation: i64,
    /// Number of the last message about money that was taken in from this life.
    pub link_sequence: i64,
    /// How it is, in the words of the link.
    pub state: String,
    /// When it enrolled first.
    pub enrolled_at: DateTimeUtc,
    /// When it was last heard of.
    pub last_seen_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
