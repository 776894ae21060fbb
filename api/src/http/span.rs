//! A span around each request, below the one that the caller's `traceparent` names. A mutation's has the mutation's name.
//!
//! Promises: nothing of a document but the name of a mutation; no variable.

use async_graphql::parser::types::{OperationType, Selection};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt as _;
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
        http.request.method = %method,
        http.route = route,
        http.response.status_code = field::Empty,
        modelux.request_id = id,
        modelux.org = field::Empty,
        modelux.action = field::Empty,
        "error.type" = field::Empty,
    );
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request.headers())));
    // Where no spans are sent there is nothing to set it on.
    drop(span.set_parent(parent));
    span
}

/// Says in which organization the caller acts.
pub(super) fn name_organization(org_id: &str) {
    Span::current().record("modelux.org", org_id);
}

/// Names the span after the mutation, if it is one. What is parsed here is not parsed again when the request is executed.
pub(super) fn name_mutation(request: &mut async_graphql::Request) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let wanted = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else { return };
    let mut operations = document.operations.iter();
    let operation = operations.find(|(name, _)| wanted.is_none() || name.map(async_graphql::Name::as_str) == wanted.as_deref());
    let Some((_, operation)) = operation.filter(|(_, operation)| operation.node.ty == OperationType::Mutation) else { return };
    let first = operation.node.selection_set.node.items.iter().find_map(|selection| match &selection.node {
        Selection::Field(field) => Some(field.node.name.node.as_str()),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
    });
    if let Some(action) = first {
        // A span that has begun takes no other name through a field.
        span.context().span().update_name(action.to_owned());
        span.record("modelux.action", action);
    }
}

/// Says why a request failed, by the first code among its errors.
pub(super) fn name_failure(code: &str) {
    Span::current().record("error.type", code);
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
