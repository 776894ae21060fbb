#![expect(clippy::disallowed_methods, reason = "workers belong to the deployment, not to a tenant")]
//! A worker says hello: it gets its id, the number of this life, and the keys of the pool.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use entity::worker;
use policy::id::{IdKind, new_id};
use policy::link::{Enrol, Enrolled};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use super::LinkState;
use super::failure::LinkFailure;
use super::token::Presented;
use crate::ledger::READY;

const NAME_LIMIT: usize = 200;

pub(super) async fn enrol(
    State(state): State<LinkState>,
    Extension(token): Extension<Presented>,
    Json(hello): Json<Enrol>,
) -> Result<Json<Enrolled>, LinkFailure> {
    if hello.name.chars().count() > NAME_LIMIT || hello.version.chars().count() > NAME_LIMIT {
        return Err(LinkFailure::Malformed(format!("name and version have at most {NAME_LIMIT} characters")));
    }
    if hello.worker_id.as_deref().is_some_and(|id| !is_worker_id(id)) {
        return Err(LinkFailure::Malformed("`worker_id` is not the id of a worker".to_owned()));
    }
    let transaction = state.database.begin().await?;
    let now = state.clock.now();
    let row = match raise_incarnation(&transaction, &hello, now).await? {
        Some(row) => row,
        None => insert_worker(&transaction, hello, now).await?,
    };
    transaction.commit().await?;
    tracing::info!(worker.id = row.id, worker.name = row.name, worker.incarnation = row.incarnation, "a worker enrolled");
    let limits = state.ledger.limits();
    let millis = |span: chrono::TimeDelta| u64::try_from(span.num_milliseconds()).unwrap_or(0);
    Ok(Json(Enrolled {
        worker_id: row.id,
        incarnation: u64::try_from(row.incarnation).unwrap_or(0),
        verifying_key: state.secrets.verifying_key(),
        sealed_pool_key: state.secrets.pool_key_for(&token.0)?,
        lease_ttl_ms: millis(limits.ttl),
        exchange_limit_ms: millis(limits.exchange),
    }))
}

/// The next life of a worker that is known.
async fn raise_incarnation(transaction: &DatabaseTransaction, hello: &Enrol, now: DateTime<Utc>) -> Result<Option<worker::Model>, DbErr> {
    let Some(id) = &hello.worker_id else { return Ok(None) };
    let raised = worker::Entity::update_many()
        .col_expr(worker::Column::Incarnation, Expr::col(worker::Column::Incarnation).add(1))
        .col_expr(worker::Column::LinkSequence, Expr::value(0_i64))
        .col_expr(worker::Column::Name, Expr::value(hello.name.as_str()))
        .col_expr(worker::Column::Version, Expr::value(hello.version.as_str()))
        .col_expr(worker::Column::State, Expr::value(READY))
        .col_expr(worker::Column::LastSeenAt, Expr::value(now))
        .filter(worker::Column::Id.eq(id.as_str()))
        .exec_with_returning(transaction)
        .await?;
    Ok(raised.into_iter().next())
}

/// A worker that this database has never seen keeps the id it has, which the events on its disk carry.
async fn insert_worker(transaction: &DatabaseTransaction, hello: Enrol, now: DateTime<Utc>) -> Result<worker::Model, DbErr> {
    let row = worker::Model {
        id: hello.worker_id.unwrap_or_else(|| new_id(IdKind::Worker)),
        name: hello.name,
        version: hello.version,
        incarnation: 1,
        link_sequence: 0,
        state: READY.to_owned(),
        enrolled_at: now,
        last_seen_at: now,
    };
    let worker::Model { id, name, version, incarnation, link_sequence, state, enrolled_at, last_seen_at } = row.clone();
    let active = worker::ActiveModel {
        id: Set(id),
        name: Set(name),
        version: Set(version),
        incarnation: Set(incarnation),
        link_sequence: Set(link_sequence),
        state: Set(state),
        enrolled_at: Set(enrolled_at),
        last_seen_at: Set(last_seen_at),
    };
    worker::Entity::insert(active).exec_without_returning(transaction).await?;
    Ok(row)
}

fn is_worker_id(text: &str) -> bool {
    let tail = text.strip_prefix(IdKind::Worker.prefix()).unwrap_or_default();
    tail.len() == 26 && tail.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
