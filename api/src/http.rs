//! What is reachable, and in which order a request passes what. The order is [`router`]; read it from the bottom up.
//!
//! Deny by default: without a key only `/healthz`, `/readyz`, `/metrics` and the page of GraphiQL answer; `/graphql` answers nothing but
//! "no key", and `/internal/v1` has a credential of its own.

mod arrival;
mod body;
mod connections;
mod graphql;
mod operations;
mod rate;
mod request_id;
mod span;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use crate::config::HttpConfig;
use crate::graphql::ApiSchema;
use crate::link::{self, LinkState};
use crate::state::AppState;
use crate::telemetry::Metrics;

pub(crate) use connections::serve;
pub(crate) use rate::{FORGET, RateLimited, RateLimits};

/// What handlers share.
#[derive(Clone)]
pub(crate) struct HttpState {
    pub(crate) app: AppState,
    pub(crate) schema: ApiSchema,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) config: Arc<HttpConfig>,
    pub(crate) rate: Arc<RateLimits>,
}

/// Every route of the control plane.
pub(crate) fn router(state: HttpState, link: LinkState) -> Router {
    let body_limit = state.config.body_bytes;
    let (timeout, body_timeout) = (state.config.request_timeout, state.config.body_timeout);
    let graphql = Router::new()
        .route("/graphql", get(graphql::get).post(graphql::post))
        .layer(DefaultBodyLimit::max(body_limit))
        .with_state(state.clone());
    let operations = Router::new()
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .layer(TimeoutLayer::with_status_code(http::StatusCode::SERVICE_UNAVAILABLE, timeout.min(Duration::from_secs(10))))
        .with_state(state.clone());
    Router::new()
        .merge(graphql)
        .merge(operations)
        .merge(link::router(link).layer(RequestBodyTimeoutLayer::new(body_timeout)))
        .fallback(operations::unknown)
        // 5. answers that are not streams are compressed
        .layer(CompressionLayer::new().gzip(true))
        // 4. who is heard of from where: address and trace, for the audit event and the log
        .layer(axum::middleware::from_fn_with_state(state.clone(), arrival::note))
        // 3. a span around it, below the caller's
        .layer(axum::middleware::from_fn(span::around))
        // 2. what came in is counted and timed
        .layer(axum::middleware::from_fn_with_state(state, operations::count))
        // 1. every request has an id, and the answer says it
        .layer(axum::middleware::from_fn(request_id::give))
}
