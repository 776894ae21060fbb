//! What a vendor has beside the answers of its models, on its way through: the same stages as for an answer, in the same order.
//!
//! There is one provider and one attempt: what writes or spends is not sent twice, and an id that one provider gave means nothing to another.
//! It says nothing of how well a model answers, so no breaker is asked and none is told.
//!
//! Leaves out: what the answer consumed and how it is passed on (`relay::passthrough`).

mod crossing;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use llm::operation::{self, Family, Found, Takes};
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;
use policy::decision::{Permit, Route, Trace};
use policy::facts::{RequestFacts, Surface};

use super::call::{Errand, Exchange, fingerprint, turn_away};
use super::permitted::{Content, Readable, permit};
use super::{Arrival, Context, Failure, dry_run};
use crate::identity::{self, Caller, Unidentified, ticket};
use crate::ingress::endpoint::dialect_of_family;
use crate::ingress::headers::{CallerHeaders, key_in_query, passed_query, presented_key, ticket_in_query};
use crate::ingress::{ReadFailure, body, percent_decoded};
use crate::metering::Booking;
use crate::respond::head::Sent;
use crate::upstream::passthrough::Passed;
pub(crate) use crossing::{Crossing, Spent};

/// What the head of a request says, kept while its body is read.
struct Line<'p> {
    found: Found<'p>,
    /// The model in the path, without its escapes.
    model: Option<String>,
    query: String,
    content_type: Option<HeaderValue>,
    accept: Option<HeaderValue>,
    /// The address at which the caller has reached us, where it has to come again.
    reached_at: Option<String>,
}

/// A request that was read.
struct Asked<'r> {
    line: &'r Line<'r>,
    body: &'r Bytes,
    said: operation::Asked<'r>,
    headers: CallerHeaders,
    facts: RequestFacts,
    /// The key's rate and what is left of it.
    rate: Option<(u32, u64)>,
}

/// Answers one request; the status that went out.
pub(crate) async fn serve(context: &Context, session: &mut ServerSession, arrival: &Arrival, found: Found<'_>) -> Sent {
    let dialect = dialect_of_family(found.operation.family);
    let (caller, begun_at) = match who(context, session, arrival, found) {
        Ok(known) => known,
        Err(unidentified) => return turn_away(session, arrival, dialect, unidentified).await,
    };
    let exchange = Exchange { context, caller: &caller, arrival, dialect, errand: Errand::Answer };
    let mut booking = Booking::begin(context, &caller, arrival, Surface::Passthrough);
    booking.continue_trace(&session.req_header().headers);
    let body = match body::read(session, &context.limits).await {
        Ok(body) => body,
        Err(failure) => return exchange.refuse(session, booking, failure.into(), Trace::default()).await,
    };
    let read = Line::of(session, found).and_then(|line| {
        let mut headers = CallerHeaders::read(&session.req_header().headers)?;
        // What was begun at one provider goes on there.
        headers.provider = begun_at.or(headers.provider);
        Ok((line, headers))
    });
    let (line, headers) = match read {
        Ok(read) => read,
        Err(failure) => return exchange.refuse(session, booking, failure.into(), Trace::default()).await,
    };
    let redacted = OnceLock::new();
    let (mut asked, trace) = match line.read(exchange, &body, headers) {
        Ok(asked) => asked,
        Err(failure) => return exchange.refuse(session, booking, failure, Trace::default()).await,
    };
    let (booking, permit, trace) = match permit(exchange, session, booking, &mut asked, &redacted, trace).await {
        Ok(permitted) => permitted,
        Err(sent) => return sent,
    };
    if asked.headers.dry_run {
        return dry_run::answer_permit(exchange, session, &asked.facts, &permit, &trace).await;
    }
    cross(exchange, session, booking, (&asked, &permit), trace).await
}

impl<'r> Readable<'r> for Asked<'r> {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }

    fn headers(&self) -> &CallerHeaders {
        &self.headers
    }

    fn content(&self) -> Content<'r> {
        match self.said.is_json && self.line.found.operation.takes != Takes::Anything {
            _ if self.body.is_empty() => Content::Nothing,
            true => Content::Json(self.body),
            false => Content::Opaque,
        }
    }

    fn go_on_with(&mut self, body: &'r Bytes) -> Result<(), Failure> {
        let said = self.line.said(body)?;
        let estimate = said.estimate();
        (self.facts.input_tokens, self.facts.input_tokens_bound) = (estimate.likely, estimate.bound);
        (self.body, self.said) = (body, said);
        Ok(())
    }
}

/// Who calls: whose key it is, or who began the upload that goes on, and where.
fn who(
    context: &Context,
    session: &ServerSession,
    arrival: &Arrival,
    found: Found<'_>,
) -> Result<(Caller, Option<Arc<str>>), Unidentified> {
    let head = session.req_header();
    let query = head.uri.query().unwrap_or_default();
    let in_query = Some(query).filter(|_| found.operation.family == Family::Gemini).and_then(key_in_query);
    let presented = presented_key(&head.headers).or(in_query);
    let ticket = ticket_in_query(query).filter(|_| presented.is_none() && found.operation.uploads());
    if let Some(ticket) = ticket {
        let query = passed_query(query).ok_or(Unidentified::UnknownKey)?;
        let redeemed = ticket::redeem(&context.policies, ticket, &query, arrival.time).ok_or(Unidentified::UnknownKey)?;
        return Ok((redeemed.0, Some(redeemed.1)));
    }
    identity::identify(&context.policies, presented).map(|caller| (caller, None))
}

async fn cross<'c>(
    exchange: Exchange<'c>,
    session: &mut ServerSession,
    booking: Booking<'c>,
    (asked, permit): (&Asked<'_>, &Permit),
    trace: Trace,
) -> Sent {
    // The engine leaves one target, or refuses.
    let Route::Target(target) = permit.route() else { return exchange.refuse(session, booking, Failure::Bug, trace).await };
    if let Some(key) = &asked.headers.provider_key {
        let fingerprint = fingerprint(key);
        tracing::info!(request.id = %exchange.arrival.request_id, provider_key.fingerprint = %fingerprint, "the caller brought its own provider key");
    }
    let line = asked.line;
    let passed = Passed {
        found: line.found,
        query: &line.query,
        body: asked.body,
        asked: &asked.said,
        content_type: line.content_type.as_ref(),
        accept: line.accept.as_ref(),
        forwarded: &asked.headers.forwarded,
        caller_key: asked.headers.provider_key.as_ref(),
        reached_at: line.reached_at.as_deref(),
    };
    let crossing = Crossing::new(exchange, (permit, target), &asked.facts, booking, trace);
    Box::pin(crossing.run(session, &passed, asked.rate)).await
}

impl<'p> Line<'p> {
    fn of(session: &ServerSession, found: Found<'p>) -> Result<Self, ReadFailure> {
        let head = session.req_header();
        let query = passed_query(head.uri.query().unwrap_or_default());
        let query = query.ok_or(ReadFailure::Query)?;
        let value = |name: header::HeaderName| one(&head.headers, &name);
        let model = found.model.map(|model| percent_decoded(model).unwrap_or_else(|| model.to_owned()));
        let reached_at = found.operation.uploads().then(|| reached_at(head));
        Ok(Self { found, model, query, content_type: value(header::CONTENT_TYPE)?, accept: value(header::ACCEPT)?, reached_at })
    }

    fn read<'r>(&'r self, exchange: Exchange<'_>, body: &'r Bytes, headers: CallerHeaders) -> Result<(Asked<'r>, Trace), Failure> {
        let said = self.said(body)?;
        let (origin, operation) = (exchange.arrival.origin(), self.found.operation);
        let (facts, trace) = identity::passthrough_facts(exchange.caller, origin, operation, &said, &headers)?;
        let rate = if headers.dry_run { None } else { exchange.count()? };
        Ok((Asked { line: self, body, said, headers, facts, rate }, trace))
    }

    fn said<'r>(&'r self, body: &'r Bytes) -> Result<operation::Asked<'r>, ReadFailure> {
        let content_type = match &self.content_type {
            None => None,
            Some(value) => Some(value.to_str().map_err(|_| ReadFailure::Header { name: "Content-Type", problem: "is not plain ASCII" })?),
        };
        Ok(operation::Asked::read(&self.found, self.model.as_deref(), content_type, body)?)
    }
}

/// Scheme, host and prefix by which a caller has come. Whoever ends TLS before us says so, as proxies do.
fn reached_at(head: &RequestHeader) -> String {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if text("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) { "https" } else { "http" };
    let host = text("host").or(head.uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
    let prefix = Family::Gemini.prefix();
    let prefix = if head.uri.path().starts_with(&format!("{prefix}/")) { prefix } else { "" };
    format!("{scheme}://{host}{prefix}")
}

/// The one value of a header; two could be read in two ways.
fn one(headers: &HeaderMap, name: &header::HeaderName) -> Result<Option<HeaderValue>, ReadFailure> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() && *name == header::CONTENT_TYPE {
        return Err(ReadFailure::Header { name: "Content-Type", problem: "is given more than once" });
    }
    Ok(first.cloned())
}
