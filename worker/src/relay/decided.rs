//! An answer that was judged before it is sent: whole, or replayed as a stream where the caller asked for one.

use bytes::Bytes;
use http::HeaderValue;
use llm::convert::{self, ConvertError};
use llm::response::add_member;
use pingora_core::protocols::http::ServerSession;

use super::{describe, json, say_again};
use crate::exchange::Failure;
use crate::exchange::attempts::{Flight, Whole};
use crate::respond::Refusal;
use crate::respond::head::{Head, Sent, refuse};

/// Passes on what was decided; everything is settled already.
pub(crate) async fn pass_decided(
    mut flight: Box<Flight<'_, '_>>,
    session: &mut ServerSession,
    whole: Whole<'_>,
    rate: Option<(u32, u64)>,
) -> Sent {
    let outgoing = flight.outgoing;
    let mut head = Head::new(whole.status, outgoing.request_id);
    describe(&mut head, &flight, (&whole.passed, &whole.dropped), Some((whole.target, whole.clamped)));
    if let Some((limit, remaining)) = rate {
        head.rate(limit, remaining);
    }
    flight.booking.served_by(whole.target);
    let said = said(&flight, &whole);
    let Flight { trace, mut booking, last, .. } = *flight;
    let Some(body) = said else {
        let refusal = Refusal::of(&Failure::Unreadable { target: last }, crate::clock::now()).said_in(outgoing.head.dialect);
        let sent = refuse(session, outgoing.request_id, &refusal).await;
        booking.close(sent.unwrap_or(499), Some(refusal.code()), &trace);
        return sent;
    };
    head.cost(booking.cost());
    let streamed = outgoing.head.stream;
    let body = match outgoing.head.extensions.trace && !streamed {
        true => add_member(&body, "mlx:trace", trace.to_json().get().as_bytes()).unwrap_or(body),
        false => body,
    };
    booking.first_byte();
    let content_type = if streamed { HeaderValue::from_static("text/event-stream") } else { json() };
    let sent = head.send(session, content_type, body).await;
    let gone = sent.is_err().then_some("client_closed_request");
    booking.close(sent.unwrap_or(499), gone, &trace);
    sent
}

/// What the caller gets; `None` where the answer can't be said in the caller's dialect.
fn said(flight: &Flight<'_, '_>, whole: &Whole<'_>) -> Option<Bytes> {
    if whole.text.is_none() && !flight.outgoing.head.stream {
        return say_again(flight, whole.back, whole.body.clone());
    }
    write(flight, whole).inspect_err(|error| tracing::warn!(target.name = %flight.last, %error, "a decided answer can't be said")).ok()
}

fn write(flight: &Flight<'_, '_>, whole: &Whole<'_>) -> Result<Bytes, ConvertError> {
    let outgoing = flight.outgoing;
    let caller = outgoing.head.dialect;
    let id = caller.reply_id(outgoing.request_id);
    let stamp = outgoing.stamp(&id);
    let answer = convert::read(whole.spoken, &whole.body)?;
    let answer = match &whole.text {
        Some(text) => answer.saying(text),
        None => answer,
    };
    let written = match outgoing.head.stream {
        true => convert::replay(&answer, caller, &stamp, outgoing.head.include_usage),
        false => convert::write(&answer, caller, &stamp),
    };
    written.map(Bytes::from)
}
