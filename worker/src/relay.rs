//! A provider's answer on its way to the caller: passed on as it came, measured as it passes.
//!
//! Promises: where provider and caller speak one dialect, no byte is decoded and written again; a slow caller slows the provider down, not this process; a caller that leaves ends the
//! provider's work; a stream that dies after its first byte, or ends before its
//! terminator, ends with an error event and without `[DONE]`.

mod closing;
mod decided;
mod drain;
mod kept;
pub(crate) mod passthrough;
mod standby;
mod stream;

pub(crate) use decided::pass_decided;
pub(crate) use drain::drain;
pub(crate) use kept::{Again, pass_kept};
pub(crate) use standby::{Attended, Standby, pass_begun};

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::HeaderValue;
use llm::convert;
use llm::dialect::Dialect;
use llm::response::{add_member, is_finished};
use pingora_core::protocols::http::ServerSession;
use policy::decision::{Permit, ResolvedTarget};

use crate::budget::Budgets;
use crate::cache::Given;
use crate::enforce::{action_word, most_constraining};
use crate::exchange::attempts::{Answer, First, Flight, WholeAnswer};
use crate::exchange::{Failure, RefusedReply};
use crate::metering::{AttemptEnd, Consumption};
use crate::policy_feed::OrgPolicy;
use crate::respond::Refusal;
use crate::respond::head::{CallerGone, Head, Sent, refuse};
use crate::upstream::bedrock::error_class;
use crate::upstream::{Reply, WayBack, vertex};

/// Ends when the caller closes the connection; never otherwise.
pub(crate) async fn caller_gone(session: &mut ServerSession) {
    loop {
        match session.read_body_or_idle(true).await {
            Err(_) => return,
            Ok(_) => tokio::task::yield_now().await,
        }
    }
}

/// Passes an answer on.
pub(crate) async fn pass_on(
    mut flight: Box<Flight<'_, '_>>,
    session: &mut ServerSession,
    request_id: &str,
    answer: Answer,
    rate: Option<(u32, u64)>,
) -> Sent {
    let mut head = Head::new(answer.reply.status, request_id);
    let served = flight.current.as_ref().map(|current| (current.admission.target(), current.admission.clamped_to()));
    let Reply { status, passed, dropped, .. } = &answer.reply;
    describe(&mut head, &mut flight, Given { status: *status, passed, dropped, served });
    if let Some((limit, remaining)) = rate {
        head.rate(limit, remaining);
    }
    let Answer { reply, first } = answer;
    match first {
        First::Whole(whole) => pass_whole(flight, session, head, reply, whole).await,
        First::Piece(piece) => Box::pin(stream::pass(flight, session, Some(head), reply, piece)).await,
    }
}

/// What the head says of an answer, whole or streamed.
fn describe(head: &mut Head, flight: &mut Flight<'_, '_>, given: Given<'_>) {
    record(flight, given);
    head.cache(flight.booking.cache_word());
    let Given { status: _, passed, dropped, served } = given;
    for (name, value) in passed {
        head.value(name.clone(), value.clone());
    }
    let Some((target, clamped)) = served else { return };
    head.served_by(&target.provider_name, &target.model);
    if !dropped.is_empty() {
        head.dropped(&dropped.header());
    }
    if let Some(variant) = &target.variant {
        head.variant(variant);
    }
    if let Some(tokens) = clamped {
        head.clamped(tokens);
    }
    budget(head, &flight.context.budgets, &flight.caller.policy, (flight.permit, Some(target)), flight.facts.time);
}

/// An answer begins that may have to be kept.
fn record(flight: &mut Flight<'_, '_>, given: Given<'_>) {
    if let Some(recording) = flight.recording.take() {
        flight.recording = recording.given(given);
    }
}

/// Keeps an answer that is here as a whole and settled, where it is one to be kept.
fn keep(flight: &mut Flight<'_, '_>, said: Option<&Bytes>, content_type: &HeaderValue) {
    let (Some(recording), Some(said)) = (flight.recording.take(), said) else { return };
    let head = flight.outgoing.head;
    if head.stream || is_finished(head.dialect, said) {
        recording.keep(&flight.context.cache, flight.booking.spent(), said.clone(), content_type.clone());
    }
}

/// The most constraining budget of a request, where one applies.
fn budget(
    head: &mut Head,
    budgets: &Budgets,
    policy: &Arc<OrgPolicy>,
    (permit, target): (&Permit, Option<&ResolvedTarget>),
    now: DateTime<Utc>,
) {
    if let Some(view) = most_constraining(budgets, policy, permit, target, now) {
        head.budget(&view.name, view.remaining(), action_word(&view), view.resets_at);
    }
}

async fn pass_whole(mut flight: Box<Flight<'_, '_>>, session: &mut ServerSession, head: Head, reply: Reply, answer: WholeAnswer) -> Sent {
    settle_whole(&mut flight, "ok", (reply.status, answer.consumed));
    let Reply { back, content_type, body: connection, .. } = reply;
    connection.finish().await;
    let said = Some(answer.said);
    let content_type = content_type.filter(|_| back == WayBack::Same).unwrap_or_else(json);
    keep(&mut flight, said.as_ref(), &content_type);
    let with_trace = flight.outgoing.head.extensions.trace;
    send_said(flight, session, head, said, content_type, with_trace).await
}

/// The attempt whose answer is here as a whole has ended.
fn settle_whole(flight: &mut Flight<'_, '_>, outcome: &'static str, (status, consumed): (u16, Consumption)) {
    let took = flight.took();
    flight.end(AttemptEnd { outcome, status, took, consumed: Some(consumed) });
}

/// Sends a whole answer whose attempts are settled, and closes the books.
async fn send_said(
    flight: Box<Flight<'_, '_>>,
    session: &mut ServerSession,
    mut head: Head,
    said: Option<Bytes>,
    content_type: HeaderValue,
    with_trace: bool,
) -> Sent {
    let Flight { outgoing, trace, mut booking, last, .. } = *flight;
    let Some(body) = said else {
        // It was generated and is paid for; the caller gets to know why it is not there.
        let refusal = Refusal::of(&Failure::Unreadable { target: last }, crate::clock::now()).said_in(outgoing.head.dialect);
        let sent = refuse(session, outgoing.request_id, &refusal).await;
        booking.close(sent.unwrap_or(499), Some(refusal.code()), &trace);
        return sent;
    };
    head.cost(booking.cost());
    let body = match with_trace {
        true => add_member(&body, "mlx:trace", trace.to_json().get().as_bytes()).unwrap_or(body),
        false => body,
    };
    booking.first_byte();
    let sent = head.send(session, content_type, body).await;
    let gone = sent.is_err().then_some("client_closed_request");
    booking.close(sent.unwrap_or(499), gone, &trace);
    sent
}

/// Passes a provider's refusal of the request on, as it came where it is JSON.
pub(crate) async fn pass_refusal(
    flight: Box<Flight<'_, '_>>,
    session: &mut ServerSession,
    request_id: &str,
    status: u16,
    refused: RefusedReply,
) -> Sent {
    let Flight { mut booking, trace, outgoing, .. } = *flight;
    let mut head = Head::new(status, request_id);
    let caller = outgoing.head.dialect;
    let body = if is_json(&refused) && refused_in(&refused) == caller {
        refused.body
    } else {
        let (kind, message) = refusal_words(&refused, status);
        let code = Some(llm::error::ErrorCode::Name("upstream_refused"));
        caller.write_error(&llm::error::ErrorReply { status, message: &message, kind: &kind, code, param: None, budget: None })
    };
    for (name, value) in refused.passed {
        head.value(name, value);
    }
    head.cost(booking.cost());
    booking.first_byte();
    let sent = head.send(session, json(), body).await;
    booking.close(if sent.is_ok() { status } else { 499 }, Some("upstream_refused"), &trace);
    sent
}

fn is_json(refused: &RefusedReply) -> bool {
    refused.content_type.as_ref().is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

/// The dialect of a refusal. Where Google serves Anthropic's models, some refusals are Google's own.
fn refused_in(refused: &RefusedReply) -> Dialect {
    let googles = refused.spoken == Dialect::AnthropicMessages && vertex::refuses_itself(&refused.body);
    if googles { Dialect::Gemini } else { refused.spoken }
}

/// Class and words of a provider's refusal; ours, where it has none that can be read.
fn refusal_words(refused: &RefusedReply, status: u16) -> (Cow<'_, str>, Cow<'_, str>) {
    let read = if is_json(refused) { convert::error(refused_in(refused), &refused.body) } else { None };
    let Some((kind, message)) = read else {
        return (Cow::Borrowed("upstream_error"), Cow::Owned(format!("the provider refused the request with status {status}")));
    };
    (error_class(&refused.passed).map_or(kind, Cow::Owned), message)
}

pub(crate) fn json() -> HeaderValue {
    HeaderValue::from_static("application/json")
}

/// A write that failed is a caller that is gone.
pub(crate) async fn write(session: &mut ServerSession, bytes: Bytes) -> Result<(), CallerGone> {
    session.write_response_body(bytes, false).await.map_err(|_| CallerGone)
}
