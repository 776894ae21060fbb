//! A key of the control plane. It never has more rights than its creator has today.

use sea_orm::entity::prelude::*;

pub use super::membership::Role;

/// One row of `management_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "management_keys")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the whole presented key, lower-case hex; unique.
    pub secret_hash: String,
    /// First characters of the key, to recognise it by.
    pub prefix_hint: String,
    /// Upper bound of its rights.
    pub role: Role,
    /// Array of `resource:verb` it is limited to; none for all that the role may, an empty array for nothing.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub scopes: Option<Json>,
    /// The person who made it. Not a reference: with that person gone it has no rights.
    pub created_by_user: Option<String>,
    /// The key that made it, likewise. With neither it was made by the system.
    pub created_by_key: Option<String>,
    /// From when on it is refused.
    pub expires_at: Option<DateTimeUtc>,
    /// From when on it is refused.
    pub revoked_at: Option<DateTimeUtc>,
    /// When it was last accepted, coarsely.
    pub last_used_at: Option<DateTimeUtc>,
    /// Raised by one on every edit; what `expectedVersion` is compared with.
    pub version: i64,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
    /// When the row last changed, to the microsecond.
    pub updated_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
