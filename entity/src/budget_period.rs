//! The escrow account of one period of a budget, for one value of its scope.
//!
//! Invariant: `settled_nano + leased_nano ≤ cap_nano` whenever money is leased out of it. Settling may pass
//! the cap only where a provider billed more than was reserved, and lowering a cap may leave it passed.
//!
//! Invariant: `leased_nano ≥ 0`, which the database checks.

use sea_orm::entity::prelude::*;

/// One row of `budget_periods`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budget_periods")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The budget.
    pub budget_id: String,
    /// Which value the account is for where a budget counts each one apart; empty otherwise.
    pub scope_value: String,
    /// First instant of the period.
    pub period_start: DateTimeUtc,
    /// First instant after it; none for `total`.
    pub period_end: Option<DateTimeUtc>,
    /// Cap in this period, in nano-USD.
    pub cap_nano: i64,
    /// Booked, in nano-USD.
    pub settled_nano: i64,
    /// Granted to workers and neither spent nor returned, over all leases, in nano-USD.
    pub leased_nano: i64,
    /// Raised whenever workers must drop what they know of the account, such as after a change of cap.
    pub epoch: i64,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
    /// When the row last changed, to the microsecond.
    pub updated_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The row that `budget_id` names.
    #[sea_orm(belongs_to = "super::budget::Entity", from = "Column::BudgetId", to = "super::budget::Column::Id")]
    Budget,
}

impl Related<super::budget::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Budget.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
