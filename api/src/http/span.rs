//! A span around each request, below the one that the caller's `traceparent` names.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use tracing::{Instrument as _, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::request_id::RequestId;

/// What is asked for all the time and tells nothing.
const QUIET: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/internal/v1/feed", "/internal/v1/heartbeat"];

pub(super) async fn around(request: Request, next: Next) -> Response {
    let span = span_of(&request);
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

fn span_of(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    if QUIET.contains(&route) {
        return Span::none();
    }
    let id = request.extensions().get::<RequestId>().map_or("", |id| id.0.as_str());
    let method = request.method();
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        request.id = id,
        http.request.method = %method,
        http.route = route,
        http.response.status_code = field::Empty,
    );
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request.headers())));
    // Where no spans are sent there is nothing to set it on.
    drop(span.set_parent(parent));
    span
}

/// Headers as a propagator reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
