//! Health, readiness, metrics, and the answer to what does not exist.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::HttpState;

/// The process lives.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// The process can do its work: the database answers.
pub(super) async fn readyz(State(state): State<HttpState>) -> Response {
    match state.app.database.ping().await {
        Ok(()) => "ready".into_response(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready: the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer").into_response()
        }
    }
}

/// Numbers, in the text form of Prometheus.
pub(super) async fn metrics(State(state): State<HttpState>) -> Response {
    match state.metrics.to_text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "metrics can't be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Nothing is here.
pub(super) async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "nothing is here").into_response()
}

/// Counts and times what comes in, by route.
pub(super) async fn count(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let begun = tokio::time::Instant::now();
    let response = next.run(request).await;
    state.metrics.request(&route, response.status(), begun.elapsed());
    response
}
