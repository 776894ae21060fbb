#![expect(clippy::disallowed_methods, reason = "workers belong to the deployment, not to a tenant; rows written carry their organization")]
//! The thin handlers: acknowledgements, money, events.

use std::collections::HashMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use entity::{worker, worker_revision};
use policy::link::{Ack, Booked, Heartbeat, HeartbeatReply, LeaseCall, LeaseReply};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter};

use super::failure::LinkFailure;
use super::{LinkState, health};
use crate::ledger::LeaseError;

/// Characters of a worker's reason that are kept.
const ERROR_LIMIT: usize = 1000;

pub(super) async fn acknowledge(State(state): State<LinkState>, Json(ack): Json<Ack>) -> Result<StatusCode, LinkFailure> {
    record_revisions(&state, vec![ack]).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn leases(State(state): State<LinkState>, Json(call): Json<LeaseCall>) -> Result<Json<LeaseReply>, LinkFailure> {
    Ok(Json(state.ledger.lease(&call).await?))
}

pub(super) async fn events(State(state): State<LinkState>, batch: Bytes) -> Result<Json<Booked>, LinkFailure> {
    let booked = state.ledger.book(&batch).await?;
    if !booked.refused.is_empty() {
        let reason = booked.refused.first().map_or("", |refused| refused.reason.as_str());
        tracing::warn!(events.refused = booked.refused.len(), first.reason = reason, "usage events were refused");
    }
    Ok(Json(booked))
}

pub(super) async fn heartbeat(State(state): State<LinkState>, Json(beat): Json<Heartbeat>) -> Result<Json<HeartbeatReply>, LinkFailure> {
    let outcome = match state.ledger.heartbeat(&beat).await {
        Ok(outcome) => outcome,
        Err(LeaseError::NotEnrolled { .. }) => {
            let reply =
                HeartbeatReply { enrol_again: true, revisions: std::collections::BTreeMap::new(), accounts: Vec::new(), workers: 0 };
            return Ok(Json(reply));
        }
        Err(error) => return Err(error.into()),
    };
    record_unacknowledged(&state, &beat).await?;
    health::record(&state, &beat).await;
    let revisions = (**state.publisher.revisions().borrow()).clone();
    Ok(Json(HeartbeatReply { enrol_again: false, revisions, accounts: outcome.accounts, workers: outcome.workers }))
}

/// An acknowledgement may have been lost; the heartbeat says the same later, without digest and lag.
async fn record_unacknowledged(state: &LinkState, beat: &Heartbeat) -> Result<(), LinkFailure> {
    let found = worker_revision::Entity::find()
        .filter(worker_revision::Column::WorkerId.eq(beat.worker_id.as_str()))
        .all(state.database.read())
        .await?;
    let known: HashMap<&str, i64> = found.iter().map(|row| (row.org_id.as_str(), row.revision)).collect();
    let newest = state.publisher.revisions().borrow().clone();
    let newer = beat.revisions.iter().filter(|(org_id, revision)| {
        let known = known.get(org_id.as_str()).copied().unwrap_or(0);
        newest.contains_key(*org_id) && known < i64::try_from(**revision).unwrap_or(0)
    });
    let acks = newer.map(|(org_id, revision)| Ack {
        worker_id: beat.worker_id.clone(),
        org_id: org_id.clone(),
        revision: *revision,
        digest: String::new(),
        lag_ms: 0,
        error: None,
    });
    record_revisions(state, acks.collect()).await
}

async fn record_revisions(state: &LinkState, acks: Vec<Ack>) -> Result<(), LinkFailure> {
    if acks.is_empty() {
        return Ok(());
    }
    let newest = state.publisher.revisions().borrow().clone();
    let transaction = state.database.begin().await?;
    for ack in acks {
        // The organization may have been deleted, or the worker belong to a database that is no more.
        let known = worker::Entity::find_by_id(ack.worker_id.as_str()).one(&transaction).await?.is_some();
        if known && newest.contains_key(&ack.org_id) {
            record_revision(state, &transaction, ack).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// Never goes back: acknowledgements may overtake each other.
async fn record_revision(state: &LinkState, transaction: &sea_orm::DatabaseTransaction, ack: Ack) -> Result<(), DbErr> {
    let error = ack.error.map(|error| error.chars().take(ERROR_LIMIT).collect::<String>());
    let failed = error.is_some();
    let row = worker_revision::ActiveModel {
        worker_id: Set(ack.worker_id),
        org_id: Set(ack.org_id),
        // A revision that was not applied leaves the one before in force; for a worker without any, that is none.
        revision: Set(if failed { 0 } else { i64::try_from(ack.revision).unwrap_or(i64::MAX) }),
        digest: Set(if failed { String::new() } else { ack.digest }),
        applied_at: Set(state.clock.now()),
        lag_ms: Set(i64::try_from(ack.lag_ms).unwrap_or(i64::MAX)),
        error: Set(error),
    };
    let mut on_conflict = OnConflict::columns([worker_revision::Column::WorkerId, worker_revision::Column::OrgId]);
    if failed {
        on_conflict.update_column(worker_revision::Column::Error);
    } else {
        use worker_revision::Column;
        on_conflict.update_columns([Column::Revision, Column::Digest, Column::AppliedAt, Column::LagMs, Column::Error]);
        let present = Expr::col((worker_revision::Entity, worker_revision::Column::Revision));
        let offered = Expr::col(("excluded", worker_revision::Column::Revision));
        on_conflict.action_and_where(present.lte(offered));
    }
    worker_revision::Entity::insert(row).on_conflict(on_conflict).exec_without_returning(transaction).await?;
    Ok(())
}
