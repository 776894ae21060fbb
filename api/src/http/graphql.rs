//! `/graphql`: requests over POST, subscriptions over SSE and `graphql-transport-ws`, GraphiQL over GET.
//!
//! Who has no good key is told so before anything of the request is looked at. Multipart requests and batches are not taken.

mod keys;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::http::GraphiQLSource;
use async_graphql::{Data, Response as GraphQlResponse, ServerError, Value};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::Json;
use axum::extract::{Extension, FromRequestParts, Request, State, WebSocketUpgrade};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{AppendHeaders, Html, IntoResponse, Response};
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, StatusCode, header, request::Parts};

use super::body::{self, BodyRefused};
use super::{HttpState, span};
use crate::app::OperationError;
use crate::authn::{AuthnError, authenticate};
use crate::context::Arrival;
use crate::error::{ErrorCode, Refusal, chain};
use crate::graphql::{Caller, Counted};

/// A quiet stream says something this often, so that nothing between takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One request, or one subscription as server-sent events.
pub(super) async fn post(
    State(state): State<HttpState>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let request_id = arrival.request_id.clone().unwrap_or_default();
    let body = match body::read(request, state.config.body_timeout).await {
        Ok(body) => body,
        Err(BodyRefused { status, refusal }) => {
            return (status, [(header::CONNECTION, "close")], refused(refusal, &request_id)).into_response();
        }
    };
    let caller = match recognise(&state, bearer(&headers), arrival).await {
        Ok(caller) => caller,
        Err(refusal) => return refused(refusal, &request_id),
    };
    let request = match read(&headers, &body) {
        Ok(mut request) => {
            span::name_mutation(&mut request);
            request.data(caller)
        }
        Err(refusal) => return refused(refusal, &request_id),
    };
    if accepts_events(&headers) {
        return events(state.schema.execute_stream(request).map(move |response| tidy(response, &request_id))).into_response();
    }
    match tokio::time::timeout(state.config.request_timeout, state.schema.execute(request)).await {
        Ok(response) => Json(tidy(response, &request_id)).into_response(),
        Err(_) => refused(Refusal::new(ErrorCode::Internal, "the request took too long and was given up"), &request_id),
    }
}

/// One request in JSON: no list of them, no form.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<async_graphql::Request, Refusal> {
    if !is_json(headers) {
        return Err(Refusal::invalid("content-type", "send `application/json`"));
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::invalid("body", "not a GraphQL request: send one JSON object"));
    }
    if let Some(path) = keys::find_repeated(body) {
        let message = format!("`{path}` stands twice in one object: which of the two is meant?");
        return Err(Refusal::invalid(path, message));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::invalid("body", format!("not a GraphQL request: {error}")))
}

/// GraphiQL for a browser, a socket for subscriptions.
pub(super) async fn get(State(state): State<HttpState>, Extension(arrival): Extension<Arrival>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if let Ok(protocol) = GraphQLProtocol::from_request_parts(&mut parts, &()).await {
        return socket(state, arrival, protocol, parts).await;
    }
    if state.config.graphiql {
        return Html(GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql").title("modelux").finish())
            .into_response();
    }
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")], "POST a request").into_response()
}

/// A key comes with the upgrade, or (from browsers, which can't set headers there) with the first message.
async fn socket(state: HttpState, arrival: Arrival, protocol: GraphQLProtocol, mut parts: Parts) -> Response {
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let from_header = bearer(&parts.headers).map(str::to_owned);
    let schema = state.schema.clone();
    upgrade.protocols(["graphql-transport-ws"]).on_upgrade(move |stream| {
        let begin = move |payload: serde_json::Value| async move {
            let from_payload = token_in(&payload);
            let caller = recognise(&state, from_payload.or(from_header.as_deref()), arrival).await?;
            let mut data = Data::default();
            data.insert(Counted::new(Arc::clone(&state.rate), &caller));
            data.insert(caller);
            Ok(data)
        };
        GraphQLWebSocket::new(stream, schema, protocol).on_connection_init(begin).keepalive_timeout(Some(KEEP_ALIVE * 3)).serve()
    })
}

/// Who calls, if it does not call too often.
async fn recognise(state: &HttpState, token: Option<&str>, arrival: Arrival) -> Result<Caller, Refusal> {
    let address = arrival.ip;
    let recognised = authenticate(&state.app, token, arrival).await;
    state.metrics.authentication(recognised.is_ok());
    if recognised.as_ref().is_err_and(AuthnError::is_guess) {
        state.rate.failed(address)?;
    }
    let context = recognised?;
    state.rate.take(&context.actor().id)?;
    span::name_organization(context.scope().org_id());
    Ok(Caller::new(context))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    token_of(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

fn token_of(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The key in the payload of `connection_init`.
fn token_in(payload: &serde_json::Value) -> Option<&str> {
    let named = |name: &str| payload.get(name).and_then(serde_json::Value::as_str);
    token_of(named("Authorization").or_else(|| named("authorization"))?)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.eq_ignore_ascii_case("application/graphql-response+json")
}

fn accepts_events(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/event-stream"))
}

/// One event a response, then the word that it was the last: the distinct-connections mode of GraphQL over SSE.
fn events(responses: impl Stream<Item = GraphQlResponse> + Send + 'static) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let next = responses.map(|response| {
        let data = serde_json::to_string(&response).unwrap_or_default();
        Ok(Event::default().event("next").data(data))
    });
    let complete = futures::stream::once(std::future::ready(Ok(Event::default().event("complete").data(""))));
    Sse::new(next.chain(complete)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// An answer that is nothing but an error.
fn refused(refusal: Refusal, request_id: &str) -> Response {
    let status = refusal.code.status();
    let retry_after = refusal.retry_after.map(|wait| AppendHeaders([(header::RETRY_AFTER, wait.as_secs().to_string())]));
    let error = async_graphql::Error::from(refusal).into_server_error(async_graphql::Pos::default());
    let error = ServerError { locations: Vec::new(), ..error };
    (status, retry_after, Json(tidy(GraphQlResponse::from_errors(vec![error]), request_id))).into_response()
}

/// Gives every error a code, and writes what is ours into the log. What has none was refused before any resolver: the request itself is
/// not right.
fn tidy(mut response: GraphQlResponse, request_id: &str) -> GraphQlResponse {
    for error in &mut response.errors {
        if let Some(cause) = error.source::<OperationError>() {
            tracing::error!(request.id = request_id, error = chain(cause), path = ?error.path, "a request failed");
        }
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", Value::from(ErrorCode::Invalid.as_str()));
        }
        if let Some(Value::String(code)) = extensions.get("code") {
            span::name_failure(code);
        }
    }
    response
}
