#![expect(clippy::disallowed_methods, reason = "workers belong to the deployment; what they enforce is read for one organization")]
//! The fleet, as far as it concerns one organization.

use chrono::{DateTime, Utc};
use entity::{worker, worker_health, worker_revision};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::page::{Page, PageRequest};
use crate::authz::TenantScope;

/// A worker, and what it enforces for the organization; none before it has its first bundle.
pub(crate) type WorkerRow = (worker::Model, Option<worker_revision::Model>);

/// What workers told of the organization's providers at `since` or later.
pub(crate) async fn health(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    since: DateTime<Utc>,
) -> Result<Vec<worker_health::Model>, DbErr> {
    let told = worker_health::Entity::find().filter(worker_health::Column::OrgId.eq(scope.org_id()));
    told.filter(worker_health::Column::ReportedAt.gte(since)).all(connection).await
}

/// One page of workers in the order they enrolled.
pub(crate) async fn page(connection: &impl ConnectionTrait, scope: &TenantScope, page: &PageRequest) -> Result<Page<WorkerRow>, DbErr> {
    let mut workers = worker::Entity::find();
    if let Some(after) = &page.after {
        workers = workers.filter(worker::Column::Id.gt(after.as_str()));
    }
    let workers = workers.order_by_asc(worker::Column::Id).limit(page.limit()).all(connection).await?;
    let ids = workers.iter().map(|row| row.id.as_str());
    let revisions = worker_revision::Entity::find()
        .filter(worker_revision::Column::OrgId.eq(scope.org_id()))
        .filter(worker_revision::Column::WorkerId.is_in(ids))
        .all(connection)
        .await?;
    let mut revisions: std::collections::HashMap<String, worker_revision::Model> =
        revisions.into_iter().map(|row| (row.worker_id.clone(), row)).collect();
    let rows = workers.into_iter().map(|row| {
        let revision = revisions.remove(&row.id);
        (row, revision)
    });
    Ok(page.page(rows.collect()))
}
