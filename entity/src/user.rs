//! A person. Organizations are joined through memberships, so one person may be in several.

use sea_orm::entity::prelude::*;

/// One row of `users`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Unique, lower case.
    pub email: String,
    /// What people read.
    pub name: String,
    /// Argon2 in PHC form; none for people who sign in elsewhere or not at all.
    pub password_hash: Option<String>,
    /// From when on the person may not sign in.
    pub disabled_at: Option<DateTimeUtc>,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
    /// When the row last changed, to the microsecond.
    pub updated_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
