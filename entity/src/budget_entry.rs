//! What one usage event took from one budget period.

use sea_orm::entity::prelude::*;

/// One row of `budget_entries`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budget_entries")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The account.
    pub budget_period_id: String,
    /// The lease it was spent from; none when it was booked against the account itself.
    pub lease_id: Option<String>,
    /// The usage event; at most one entry an event and account.
    pub event_id: String,
    /// Amount, in nano-USD; a correction may be negative.
    pub amount_nano: i64,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
