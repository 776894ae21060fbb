//! A key of the whole deployment: the one bundles are signed with, the one secrets are sealed to the pool
//! with.

use sea_orm::entity::prelude::*;

/// One row of `deployment_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deployment_keys")]
pub struct Model {
    /// What it is for.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The public half in base64, where there is one.
    pub public_key: Option<String>,
    /// The secret half, sealed with the master key.
    #[sea_orm(column_type = "Blob")]
    pub secret_sealed: Vec<u8>,
    /// Which master key sealed it.
    pub secret_key_id: String,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
