//! One entry of the ledger of usage. Never changed once written; corrected by new entries.
//!
//! The token columns are disjoint.

use sea_orm::entity::prelude::*;

/// What an entry books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Kind {
    /// What a provider said was consumed, or what was counted in its place.
    Usage,
    /// A request whose end nobody saw, at the amount reserved for it.
    UnknownOutcome,
    /// The difference to an entry that proved wrong.
    Correction,
}

/// One row of `usage_ledger`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_ledger")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The usage event it books; unique, so that booking twice changes nothing.
    pub event_id: String,
    /// The request.
    pub request_id: String,
    /// What is booked.
    pub kind: Kind,
    /// When the request began.
    pub time: DateTimeUtc,
    /// Its project.
    pub project_id: String,
    /// Its key.
    pub key_id: String,
    /// Who billed.
    pub provider: String,
    /// For what.
    pub model: String,
    /// On whose behalf.
    pub end_user: Option<String>,
    /// Cost, in nano-USD; a correction may be negative.
    pub cost_nano: i64,
    /// Input tokens without cached and cache-write ones.
    pub input_tokens: i64,
    /// Input tokens read from the provider's cache.
    pub cached_input_tokens: i64,
    /// Input tokens written to it.
    pub cache_write_tokens: i64,
    /// Output tokens without reasoning ones.
    pub output_tokens: i64,
    /// Reasoning tokens.
    pub reasoning_tokens: i64,
    /// Which price sheet was used.
    pub price_version: Option<String>,
    /// The rates that were used, in nano-USD per million tokens.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub rates: Option<Json>,
    /// Every call upstream with its tokens and rates, from which the cost can be computed again; null in entries of before they were kept.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub attempts: Option<Json>,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
