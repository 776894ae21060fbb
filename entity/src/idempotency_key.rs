//! The answer to a mutation that came with an idempotency key, to give again when it is repeated.

use sea_orm::entity::prelude::*;

/// One row of `idempotency_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    /// The organization that owns the row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub org_id: String,
    /// Whose key it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub actor_id: String,
    /// The key as given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// Name of the mutation.
    pub mutation: String,
    /// SHA-256 of its arguments, lower-case hex: the same key with other arguments is a conflict.
    pub request_digest: String,
    /// The answer.
    #[sea_orm(column_type = "JsonBinary")]
    pub response: Json,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
