//! The workers' side of the control plane: `/internal/v1/…`, the messages of [`policy::link`] over HTTP.
//!
//! Promises: nothing is answered without a worker token that is known and not revoked, enrolment included. A worker that another life of it
//! has replaced is told to enrol again and can't touch money. Long-polls end when the process is told to stop.
//!
//! A worker token opens the bundles of all organizations and the pool key: it is a credential of the deployment, not of a tenant.
//!
//! Leaves out: what is done with money and events ([`crate::ledger`]), and making bundles ([`crate::publish`]).

mod enrol;
mod failure;
mod feed;
mod handlers;
mod health;
mod token;

pub use token::create_worker_token;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::database::Database;
use crate::ledger::Ledger;
use crate::publish::Publisher;
use crate::secrets::Secrets;

/// A batch of events is at most this large.
const EVENTS_LIMIT: usize = 64 << 20;
/// Any other message; a heartbeat with tens of thousands of accounts fits.
const MESSAGE_LIMIT: usize = 16 << 20;

/// What the link needs.
#[derive(Debug, Clone)]
pub struct LinkState {
    /// Rows.
    pub database: Database,
    /// Time.
    pub clock: Clock,
    /// Keys handed out on enrolment.
    pub secrets: Arc<Secrets>,
    /// Knows the newest revisions.
    pub publisher: Publisher,
    /// Money and events.
    pub ledger: Arc<Ledger>,
    /// Ends long-polls.
    pub stopping: CancellationToken,
}

/// The routes below `/internal/v1`.
pub fn router(state: LinkState) -> Router {
    let events = post(handlers::events).layer(DefaultBodyLimit::max(EVENTS_LIMIT));
    let routes = Router::new()
        .route("/enrol", post(enrol::enrol))
        .route("/feed", post(feed::feed))
        .route("/bundles/{org_id}", get(feed::bundle))
        .route("/acks", post(handlers::acknowledge))
        .route("/leases", post(handlers::leases))
        .route("/heartbeat", post(handlers::heartbeat))
        .layer(DefaultBodyLimit::max(MESSAGE_LIMIT))
        .route("/events", events)
        .route_layer(axum::middleware::from_fn_with_state(state.clone(), token::require_worker_token));
    Router::new().nest("/internal/v1", routes).with_state(state)
}

#[cfg(test)]
mod tests;
