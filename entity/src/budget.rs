//! A budget: how much may be spent by whom in a period, and what happens then.

use sea_orm::entity::prelude::*;

/// How long one period of a budget is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Period {
    /// A day.
    Daily,
    /// Seven days.
    Weekly,
    /// A month.
    Monthly,
    /// Three months.
    Quarterly,
    /// Twelve months.
    Yearly,
    /// No end.
    Total,
}

/// Whether a budget binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Mode {
    /// What it decides is done.
    Enforce,
    /// What it decides is only recorded.
    Shadow,
}

/// One row of `budgets`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budgets")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// Unique in the organization.
    pub name: String,
    /// The scope as in the contract.
    #[sea_orm(column_type = "JsonBinary")]
    pub scope: Json,
    /// How long a period is.
    pub period: Period,
    /// Day of the month, or of the week (1 is Monday), on which periods begin; 1 where it means nothing.
    pub anchor_day: i64,
    /// IANA name of the zone in which periods begin.
    pub time_zone: String,
    /// Most that may be spent in a period, in nano-USD.
    pub cap_nano: i64,
    /// Array of fractions of the cap at which to notify.
    #[sea_orm(column_type = "JsonBinary")]
    pub thresholds: Json,
    /// `"block"`, `"warn_only"` or `{"downgrade":"@slug"}`.
    #[sea_orm(column_type = "JsonBinary")]
    pub at_cap: Json,
    /// From which part of the cap to downgrade, in parts per million.
    pub downgrade_at_ppm: i64,
    /// Whether the outcome binds.
    pub mode: Mode,
    /// Lower the output limit to what is affordable before refusing.
    pub clamp_output: bool,
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
