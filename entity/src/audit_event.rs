//! One event of an organization's audit chain: who changed what, from where. Never changed once written.

use sea_orm::entity::prelude::*;

/// Through what a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Origin {
    /// The web console.
    Console,
    /// The GraphQL interface.
    Api,
    /// Directory synchronisation.
    Scim,
    /// Single sign-on.
    Sso,
    /// The command line.
    Cli,
    /// The control plane itself.
    System,
}

/// One row of `audit_events`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// Counts from 1 in its organization, without gaps.
    pub sequence: i64,
    /// When it happened, to the microsecond.
    pub time: DateTimeUtc,
    /// What was done: the name of the mutation, or of the login or job.
    pub action: String,
    /// Through what it came.
    pub origin: Origin,
    /// What kind of actor: `user`, `key`, `worker` or `system`.
    pub actor_kind: String,
    /// Which one.
    pub actor_id: String,
    /// What it was called then.
    pub actor_name: String,
    /// What kind of thing was changed.
    pub target_kind: String,
    /// Which one.
    pub target_id: String,
    /// What it was called then.
    pub target_name: String,
    /// Address it came from.
    pub ip: Option<String>,
    /// Request in which it was done.
    pub request_id: Option<String>,
    /// W3C trace it belongs to.
    pub trace_id: Option<String>,
    /// RFC 6902 with old values; secrets as digests.
    #[sea_orm(column_type = "JsonBinary")]
    pub diff: Json,
    /// SHA-256 over this event and `previous_hash`, lower-case hex.
    pub hash: String,
    /// `hash` of the event before it; empty for the first.
    pub previous_hash: String,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
