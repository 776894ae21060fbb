//! The fleet, as far as it serves the caller's organization.

use async_graphql::connection::Connection;
use async_graphql::{Context, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::Result;
use super::caller::caller;
use super::connection::{connection, page_request, rows};
use crate::authz::{Action, Resource};
use crate::store::{self, worker::WorkerRow};

/// A worker and what it enforces for the organization.
#[derive(SimpleObject)]
#[graphql(name = "Worker")]
struct WorkerView {
    /// Prefixed id; kept over restarts.
    id: String,
    /// What it calls itself.
    name: String,
    /// Version of the program.
    version: String,
    /// The organization's bundle it enforces; none before its first.
    revision: Option<i64>,
    /// When it swapped that in.
    applied_at: Option<DateTime<Utc>>,
    /// From the change to the swap.
    lag_ms: Option<i64>,
    /// Why it kept an older one.
    error: Option<String>,
    /// How it is.
    state: String,
    /// When it was last heard of.
    last_seen_at: DateTime<Utc>,
}

impl From<WorkerRow> for WorkerView {
    fn from((worker, revision): WorkerRow) -> Self {
        let entity::worker::Model { id, name, version, incarnation: _, link_sequence: _, state, enrolled_at: _, last_seen_at } = worker;
        Self {
            id,
            name,
            version,
            revision: revision.as_ref().map(|row| row.revision),
            applied_at: revision.as_ref().map(|row| row.applied_at),
            lag_ms: revision.as_ref().map(|row| row.lag_ms),
            error: revision.and_then(|row| row.error),
            state,
            last_seen_at,
        }
    }
}

#[derive(Default)]
pub(super) struct WorkerQuery;

#[Object]
impl WorkerQuery {
    /// All workers.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn workers(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Result<Connection<String, WorkerView>> {
        let caller = caller(ctx)?;
        caller.ctx().authorize(Action::Read, Resource::Worker)?;
        let page = store::worker::page(caller.database(), caller.ctx().scope(), &page_request(first, after.as_deref())?).await?;
        Ok(connection(page, |(worker, _)| worker.id.clone(), WorkerView::from))
    }
}
