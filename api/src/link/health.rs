//! How providers stand with a worker, as its heartbeats tell: kept until the next time it tells, for whoever asks.
//!
//! Promises: what is told of an organization is kept as that organization's, and of no other. Losing a report costs a few seconds.

use entity::worker_health;
use policy::link::Heartbeat;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait};

use super::LinkState;

/// Keeps what a heartbeat of an enrolled worker tells; that it can't be kept is no reason to refuse the heartbeat.
pub(super) async fn record(state: &LinkState, beat: &Heartbeat) {
    if let Err(error) = try_record(state, beat).await {
        // The organization or the worker may have gone meanwhile.
        tracing::warn!(worker.id = %beat.worker_id, error = %error, "a worker's report of its providers is not kept");
    }
}

async fn try_record(state: &LinkState, beat: &Heartbeat) -> Result<(), DbErr> {
    let Some(reports) = beat.health.as_ref().filter(|reports| !reports.is_empty()) else { return Ok(()) };
    let known = state.publisher.revisions().borrow().clone();
    let now = state.clock.now();
    let rows = reports.iter().filter(|(org_id, _)| known.contains_key(*org_id)).filter_map(|(org_id, report)| {
        Some(worker_health::ActiveModel {
            worker_id: Set(beat.worker_id.clone()),
            org_id: Set(org_id.clone()),
            reported_at: Set(now),
            report: Set(serde_json::to_value(report).ok()?),
        })
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut on_conflict = OnConflict::columns([worker_health::Column::WorkerId, worker_health::Column::OrgId]);
    on_conflict.update_columns([worker_health::Column::ReportedAt, worker_health::Column::Report]);
    let transaction = state.database.begin().await?;
    worker_health::Entity::insert_many(rows).on_conflict(on_conflict).exec_without_returning(&transaction).await?;
    transaction.commit().await
}
