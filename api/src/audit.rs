//! The audit chain: who changed what, from where, with the old values, in an order nobody can change afterwards.
//!
//! One event a mutation, written in the transaction of the change itself: a change that is rolled back leaves none, and an event that
//! can't be written takes the change with it. Each event carries the SHA-256 of the one before it, and the organization's row carries
//! the hash and number of the newest, so that a changed, removed or cut-off event is found by [`verify`].
//!
//! The diff is RFC 6902 with one member more: `was`, the value that `replace` and `remove` took away. Secrets are in it as digests only;
//! whoever makes the documents to compare sees to that.

mod chain;
mod diff;

use chrono::{DateTime, Utc};
use entity::{audit_event, organization};
use policy::id::{IdKind, new_id};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, DbErr};
use serde_json::Value;

pub use chain::{Broken, ChainedEvent, Verified, verify};
pub use diff::diff;

use crate::context::OpContext;
use crate::store;

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What kind of thing.
    pub kind: &'static str,
    /// Which one.
    pub id: String,
    /// What it is called now.
    pub name: String,
}

/// The words that an event is stored with.
#[must_use]
pub const fn origin_name(origin: audit_event::Origin) -> &'static str {
    match origin {
        audit_event::Origin::Console => "console",
        audit_event::Origin::Api => "api",
        audit_event::Origin::Scim => "scim",
        audit_event::Origin::Sso => "sso",
        audit_event::Origin::Cli => "cli",
        audit_event::Origin::System => "system",
    }
}

/// Appends one event to the organization's chain. The caller holds the organization's lock in `tx`.
///
/// # Errors
/// When the database does not take it.
pub(crate) async fn append(
    tx: &impl ConnectionTrait,
    ctx: &OpContext,
    action: &str,
    target: &Target,
    diff: Value,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let org = store::organization::own(tx, ctx.scope()).await?.ok_or(DbErr::RecordNotFound("organization".to_owned()))?;
    let (actor, arrival) = (ctx.actor(), ctx.arrival());
    let mut row = audit_event::Model {
        id: new_id(IdKind::AuditEvent),
        org_id: org.id.clone(),
        sequence: org.audit_sequence.saturating_add(1),
        time: now,
        action: action.to_owned(),
        origin: arrival.origin,
        actor_kind: actor.kind.as_str().to_owned(),
        actor_id: actor.id.clone(),
        actor_name: actor.name.clone(),
        target_kind: target.kind.to_owned(),
        target_id: target.id.clone(),
        target_name: target.name.clone(),
        ip: arrival.ip.map(|ip| ip.to_string()),
        request_id: arrival.request_id.clone(),
        trace_id: arrival.trace_id.clone(),
        diff,
        hash: String::new(),
        previous_hash: org.audit_head_hash.clone(),
    };
    row.hash = ChainedEvent::from(&row).compute_hash();
    let head = organization::ActiveModel {
        id: Set(org.id),
        audit_sequence: Set(row.sequence),
        audit_head_hash: Set(row.hash.clone()),
        ..Default::default()
    };
    let row: audit_event::ActiveModel = row.into();
    row.insert(tx).await?;
    head.update(tx).await.map(|_| ())
}
