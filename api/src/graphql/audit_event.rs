//! The audit chain.

use async_graphql::connection::Connection;
use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::audit_event::Model as Row;
use serde_json::Value;

use super::Result;
use super::caller::{caller, not_found};
use super::connection::{connection, page_request, rows};
use super::vocabulary::OriginName;
use crate::audit::{self, ChainedEvent};
use crate::authz::{Action, Resource};
use crate::store::{self, audit_event::Wanted};

/// Events in one step of checking the chain.
const STEP: u64 = 1_000;

/// Who changed what.
#[derive(SimpleObject)]
#[graphql(name = "AuditEvent")]
struct AuditEventView {
    /// Prefixed id.
    id: String,
    /// Prefixed id of the organization whose chain it is in.
    organization_id: String,
    /// Counts from 1, without gaps.
    sequence: i64,
    /// When.
    time: DateTime<Utc>,
    /// Name of the mutation.
    action: String,
    /// Through what.
    origin: OriginName,
    /// Who.
    actor: Party,
    /// What.
    target: Party,
    /// From where.
    ip: Option<String>,
    /// In which request.
    request_id: Option<String>,
    /// In which W3C trace.
    trace_id: Option<String>,
    /// RFC 6902 with old values as `was`; secrets as digests.
    diff: Value,
    /// SHA-256 over this event and `previousHash`.
    hash: String,
    /// Hash of the event before it; empty for the first.
    previous_hash: String,
}

/// Somebody or something, as it was called then.
#[derive(SimpleObject)]
#[graphql(name = "AuditParty")]
struct Party {
    /// What kind.
    kind: String,
    /// Which one.
    id: String,
    /// What it was called.
    name: String,
}

impl From<Row> for AuditEventView {
    fn from(row: Row) -> Self {
        let Row {
            id,
            org_id,
            sequence,
            time,
            action,
            origin,
            actor_kind,
            actor_id,
            actor_name,
            target_kind,
            target_id,
            target_name,
            ip,
            request_id,
            trace_id,
            diff,
            hash,
            previous_hash,
        } = row;
        Self {
            id,
            organization_id: org_id,
            sequence,
            time,
            action,
            origin: origin.into(),
            actor: Party { kind: actor_kind, id: actor_id, name: actor_name },
            target: Party { kind: target_kind, id: target_id, name: target_name },
            ip,
            request_id,
            trace_id,
            diff,
            hash,
            previous_hash,
        }
    }
}

/// Which events; all that is given must hold.
#[derive(InputObject, Default)]
struct AuditEventFilter {
    /// Name of the mutation.
    action: Option<String>,
    /// Through what it came.
    origin: Option<OriginName>,
    /// Id of who did it.
    actor_id: Option<String>,
    /// Name of who did it.
    actor_name: Option<String>,
    /// Kind of what was changed.
    target_kind: Option<String>,
    /// Id of what was changed.
    target_id: Option<String>,
    /// Name of what was changed.
    target_name: Option<String>,
    /// From this instant on.
    from: Option<DateTime<Utc>>,
    /// Before this instant.
    to: Option<DateTime<Utc>>,
}

impl From<AuditEventFilter> for Wanted {
    fn from(filter: AuditEventFilter) -> Self {
        let AuditEventFilter { action, origin, actor_id, actor_name, target_kind, target_id, target_name, from, to } = filter;
        Self { action, origin: origin.map(Into::into), actor_id, actor_name, target_kind, target_id, target_name, from, to }
    }
}

/// Whether the chain holds.
#[derive(SimpleObject)]
struct AuditVerification {
    /// Whether it does.
    intact: bool,
    /// Events that were checked.
    events: i64,
    /// Hash of the newest event; empty without events.
    head: String,
    /// What is wrong and at which event.
    problem: Option<String>,
}

#[derive(Default)]
pub(super) struct AuditEventQuery;

#[Object]
impl AuditEventQuery {
    /// Who changed what, newest first.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        filter: Option<AuditEventFilter>,
    ) -> Result<Connection<String, AuditEventView>> {
        let caller = caller(ctx)?;
        caller.ctx().authorize(Action::Read, Resource::AuditEvent)?;
        let wanted = filter.unwrap_or_default().into();
        let page =
            store::audit_event::page(caller.database(), caller.ctx().scope(), &wanted, &page_request(first, after.as_deref())?).await??;
        Ok(connection(page, |row| row.sequence.to_string(), AuditEventView::from))
    }

    /// Whether no event was changed or removed.
    #[graphql(complexity = "1000")]
    async fn audit_verification(&self, ctx: &Context<'_>) -> Result<AuditVerification> {
        let caller = caller(ctx)?;
        caller.ctx().authorize(Action::Read, Resource::AuditEvent)?;
        let (connection, scope) = (caller.database(), caller.ctx().scope());
        let org = store::organization::own(connection, scope).await?.ok_or_else(|| not_found("organization"))?;
        let mut events: Vec<ChainedEvent> = Vec::new();
        loop {
            let last = events.last().map_or(0, |event| event.sequence);
            let more = store::audit_event::following(connection, scope, last, STEP).await?;
            if more.is_empty() || last >= org.audit_sequence {
                break;
            }
            events.extend(more.iter().map(ChainedEvent::from));
        }
        events.retain(|event| event.sequence <= org.audit_sequence);
        let outcome = audit::verify(&events, Some((org.audit_sequence, &org.audit_head_hash)));
        Ok(verification(outcome, events.len()))
    }
}

fn verification(outcome: std::result::Result<audit::Verified, audit::Broken>, checked: usize) -> AuditVerification {
    match outcome {
        Ok(verified) => AuditVerification { intact: true, events: verified.events, head: verified.head, problem: None },
        Err(broken) => AuditVerification {
            intact: false,
            events: i64::try_from(checked).unwrap_or(i64::MAX),
            head: String::new(),
            problem: Some(broken.to_string()),
        },
    }
}
