//! A provider's answer on its way to the caller: passed on as it came, measured as it passes.
//!
//! Promises: no byte is decoded and written again; a slow caller slows the provider down, not this process; a caller that leaves ends the
//! provider's work; a stream that dies after its first byte ends with an error event and without `[DONE]`.

mod stream;

use bytes::Bytes;
use http::HeaderValue;
use llm::dialect::Dialect;
use llm::response::add_member;
use llm::stream::meter::UsageVerdict;
use llm::tokens::output_from_bytes;
use llm::usage::{Usage, UsageSource};
use pingora_core::protocols::http::ServerSession;

use crate::enforce::{action_word, most_constraining};
use crate::exchange::RefusedReply;
use crate::exchange::attempts::{Answer, First, Flight};
use crate::metering::{AttemptEnd, consumption};
use crate::respond::head::{CallerGone, Head, Sent};
use crate::upstream::Reply;

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
    flight: Flight<'_, '_>,
    session: &mut ServerSession,
    request_id: &str,
    answer: Answer,
    rate: Option<(u32, u64)>,
) -> Sent {
    let mut head = Head::new(answer.reply.status, request_id);
    describe(&mut head, &flight, &answer.reply);
    if let Some((limit, remaining)) = rate {
        head.rate(limit, remaining);
    }
    let Answer { reply, first } = answer;
    match first {
        First::Whole(body) => pass_whole(flight, session, head, reply, body).await,
        First::Piece(piece) => Box::pin(stream::pass(flight, session, head, reply, piece)).await,
    }
}

/// What the head says of an answer, whole or streamed.
fn describe(head: &mut Head, flight: &Flight<'_, '_>, reply: &Reply) {
    for (name, value) in &reply.passed {
        head.value(name.clone(), value.clone());
    }
    head.dropped(&reply.dropped);
    let Some(current) = &flight.current else { return };
    let target = current.admission.target();
    head.served_by(&target.provider_name, &target.model);
    if let Some(tokens) = current.admission.clamped_to() {
        head.clamped(tokens);
    }
    let (budgets, policy) = (&flight.context.budgets, &flight.caller.policy);
    if let Some(view) = most_constraining(budgets, policy, flight.permit, Some(target), flight.facts.time) {
        head.budget(&view.name, view.remaining(), action_word(&view), view.resets_at);
    }
}

async fn pass_whole(mut flight: Flight<'_, '_>, session: &mut ServerSession, mut head: Head, reply: Reply, body: Bytes) -> Sent {
    let Reply { status, content_type, body: connection, .. } = reply;
    connection.finish().await;
    let verdict = whole_verdict(&flight, &body);
    let consumed = Some(consumption(flight.context, &verdict));
    let took = flight.took();
    flight.end(AttemptEnd { outcome: "ok", status, took, consumed });
    head.cost(flight.booking.cost());
    let Flight { outgoing, trace, mut booking, .. } = flight;
    let trace = trace.to_json();
    let body = match outgoing.chat.extensions.trace {
        true => add_member(&body, "mlx:trace", trace.get().as_bytes()).unwrap_or(body),
        false => body,
    };
    booking.first_byte();
    let sent = head.send(session, content_type.unwrap_or_else(json), body).await;
    let gone = sent.is_err().then_some("client_closed_request");
    booking.close(sent.unwrap_or(499), gone, trace);
    sent
}

/// The usage of a whole answer: the provider's, or what its length suggests.
fn whole_verdict(flight: &Flight<'_, '_>, body: &[u8]) -> UsageVerdict {
    match Dialect::OpenAiChat.read_usage(body) {
        Ok(Some(usage)) if usage.input_tokens.is_some() && usage.output_tokens.is_some() => {
            UsageVerdict { source: UsageSource::Provider, usage }
        }
        reported => {
            if let Err(error) = reported {
                tracing::warn!(%error, "a provider's usage report can't be read; estimated");
            }
            let output = output_from_bytes(u64::try_from(body.len()).unwrap_or(u64::MAX), 1);
            let usage =
                Usage { input_tokens: Some(flight.outgoing.chat.estimate().bound), output_tokens: Some(output), ..Usage::default() };
            UsageVerdict { source: UsageSource::PartialEstimate, usage }
        }
    }
}

/// Passes a provider's refusal of the request on, as it came where it is JSON.
pub(crate) async fn pass_refusal(
    flight: Flight<'_, '_>,
    session: &mut ServerSession,
    request_id: &str,
    status: u16,
    refused: RefusedReply,
) -> Sent {
    let RefusedReply { content_type, passed, body } = refused;
    let Flight { mut booking, trace, .. } = flight;
    let mut head = Head::new(status, request_id);
    for (name, value) in passed {
        head.value(name, value);
    }
    head.cost(booking.cost());
    let is_json = content_type.as_ref().is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let body = if is_json { body } else { foreign_refusal(status) };
    booking.first_byte();
    let sent = head.send(session, json(), body).await;
    booking.close(if sent.is_ok() { status } else { 499 }, Some("upstream_refused"), trace.to_json());
    sent
}

fn foreign_refusal(status: u16) -> Bytes {
    let message = format!("the provider refused the request with status {status}");
    let code = Some(llm::error::ErrorCode::Name("upstream_refused"));
    Dialect::OpenAiChat.write_error(&llm::error::ErrorReply { message: &message, kind: "upstream_error", code, param: None, budget: None })
}

pub(crate) fn json() -> HeaderValue {
    HeaderValue::from_static("application/json")
}

/// A write that failed is a caller that is gone.
pub(crate) async fn write(session: &mut ServerSession, bytes: Bytes) -> Result<(), CallerGone> {
    session.write_response_body(bytes, false).await.map_err(|_| CallerGone)
}
