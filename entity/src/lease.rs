//! A slice of a budget period that one worker may spend without asking.
//!
//! It outlives its worker: what a lost worker held counts as spent until its spool is recovered or the
//! deadline has passed.

use sea_orm::entity::prelude::*;

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum State {
    /// The worker may spend it.
    Active,
    /// Given back; nothing is held.
    Closed,
    /// Passed its deadline; the rest went back.
    Expired,
}

/// One row of `leases`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "leases")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The account it was granted from.
    pub budget_period_id: String,
    /// Who holds it; may name a worker that is gone.
    pub worker_id: String,
    /// In which of its lives; a worker holds at most one active lease on an account in each.
    pub incarnation: i64,
    /// Granted in all less what was given back, in nano-USD.
    pub granted_nano: i64,
    /// Booked against it, in nano-USD.
    pub spent_nano: i64,
    /// Held by requests in flight as the worker last reported, in nano-USD.
    pub reserved_nano: i64,
    /// Where it stands.
    pub state: State,
    /// When another worker was last short and this one was asked to give back what it does not need.
    pub recalled_at: Option<DateTimeUtc>,
    /// From when on the worker may not reserve from it.
    pub expires_at: DateTimeUtc,
    /// From when on the rest goes back though the worker was not heard of.
    pub deadline_at: DateTimeUtc,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
    /// When the row last changed, to the microsecond.
    pub updated_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The row that `budget_period_id` names.
    #[sea_orm(belongs_to = "super::budget_period::Entity", from = "Column::BudgetPeriodId", to = "super::budget_period::Column::Id")]
    BudgetPeriod,
}

impl Related<super::budget_period::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::BudgetPeriod.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
