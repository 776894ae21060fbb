//! One saved version of a routing config. Never changed once written.

use sea_orm::entity::prelude::*;

/// One row of `routing_config_versions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "routing_config_versions")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The config.
    pub config_id: String,
    /// Counts from 1 in its config.
    pub number: i64,
    /// The config as in the contract, without its slug.
    #[sea_orm(column_type = "JsonBinary")]
    pub document: Json,
    /// Why, in the words of who saved it.
    pub comment: Option<String>,
    /// Id of the actor who saved it.
    pub created_by: String,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
