//! A tag of a request, to search and to group by.
//!
//! Not a reference to the log: spend is grouped by tag for longer than the log is kept.

use sea_orm::entity::prelude::*;

/// One row of `request_tags`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "request_tags")]
pub struct Model {
    /// The organization that owns the row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub org_id: String,
    /// The request.
    #[sea_orm(primary_key, auto_increment = false)]
    pub request_id: String,
    /// The tag.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Its value.
    pub value: String,
    /// When the request began.
    pub time: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
