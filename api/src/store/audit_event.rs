//! The audit chain, newest first, and whole.

use chrono::{DateTime, Utc};
use entity::audit_event::{Column, Entity, Model, Origin};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, QueryFilter, QueryOrder, QuerySelect};

use super::page::{CursorError, Page, PageRequest};
use super::select;
use crate::authz::TenantScope;

/// Which events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) action: Option<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) actor_id: Option<String>,
    pub(crate) actor_name: Option<String>,
    pub(crate) target_kind: Option<String>,
    pub(crate) target_id: Option<String>,
    pub(crate) target_name: Option<String>,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
}

/// One page, newest first. The cursor is the event's number.
pub(crate) async fn page(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    wanted: &Wanted,
    page: &PageRequest,
) -> Result<Result<Page<Model>, CursorError>, DbErr> {
    let mut rows = select::<Entity>(scope);
    if let Some(after) = &page.after {
        let Ok(sequence) = after.parse::<i64>() else { return Ok(Err(CursorError)) };
        rows = rows.filter(Column::Sequence.lt(sequence));
    }
    let texts = [
        (Column::Action, &wanted.action),
        (Column::ActorId, &wanted.actor_id),
        (Column::ActorName, &wanted.actor_name),
        (Column::TargetKind, &wanted.target_kind),
        (Column::TargetId, &wanted.target_id),
        (Column::TargetName, &wanted.target_name),
    ];
    for (column, value) in texts {
        if let Some(value) = value {
            rows = rows.filter(column.eq(value.as_str()));
        }
    }
    if let Some(origin) = wanted.origin {
        rows = rows.filter(Column::Origin.eq(origin));
    }
    if let Some(from) = wanted.from {
        rows = rows.filter(Column::Time.gte(from));
    }
    if let Some(to) = wanted.to {
        rows = rows.filter(Column::Time.lt(to));
    }
    let rows = rows.order_by_desc(Column::Sequence).limit(page.limit()).all(connection).await?;
    Ok(Ok(page.page(rows)))
}

/// The events with numbers behind `sequence`, in order, for whoever walks the whole chain.
pub(crate) async fn following(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    sequence: i64,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    select::<Entity>(scope).filter(Column::Sequence.gt(sequence)).order_by_asc(Column::Sequence).limit(limit).all(connection).await
}
