//! An answer that was judged before it is sent: whole, or replayed as a stream where the caller asked for one.

use bytes::Bytes;
use http::HeaderValue;
use llm::convert::{self, ConvertError};
use llm::stream::{Elements, Framing};
use pingora_core::protocols::http::ServerSession;

use super::{closing, describe, json, keep, send_said};
use crate::cache::Given;
use crate::exchange::attempts::{Flight, Whole};
use crate::respond::head::{Head, Sent};
use crate::upstream::Outgoing;

/// Passes on what was decided; everything is settled already.
pub(crate) async fn pass_decided(
    mut flight: Box<Flight<'_, '_>>,
    session: &mut ServerSession,
    whole: Whole<'_>,
    rate: Option<(u32, u64)>,
) -> Sent {
    let outgoing = flight.outgoing;
    let mut head = Head::new(whole.status, outgoing.request_id);
    describe(&mut head, &mut flight, given(&whole));
    if let Some((limit, remaining)) = rate {
        head.rate(limit, remaining);
    }
    flight.booking.served_by(whole.target);
    let mut said = said(&flight, &whole);
    keep(&mut flight, said.as_ref(), &json());
    if outgoing.head.stream {
        said = said.map(|said| closing::tell(said, outgoing.head, outgoing.named(), flight.booking.cost(), &flight.trace));
    }
    said = said.map(|said| framed(outgoing, said));
    let (content_type, with_trace) = match outgoing.head.stream {
        true if outgoing.framing == Framing::Array => (json(), false),
        true => (HeaderValue::from_static("text/event-stream"), false),
        false => (json(), outgoing.head.extensions.trace),
    };
    send_said(flight, session, head, said, content_type, with_trace).await
}

/// What is told beside such an answer.
pub(super) fn given<'w>(whole: &'w Whole<'_>) -> Given<'w> {
    let Whole { status, passed, dropped, target, clamped, .. } = whole;
    Given { status: *status, passed, dropped, served: Some((target, *clamped)) }
}

/// A whole stream as the caller wants its events.
pub(super) fn framed(outgoing: &Outgoing<'_>, said: Bytes) -> Bytes {
    match (outgoing.head.stream, outgoing.framing) {
        (true, Framing::Array) => Bytes::from(Elements::of(&said)),
        (true, Framing::Events) | (false, _) => said,
    }
}

/// What the caller gets, a stream as its events; `None` where the answer can't be said in the caller's dialect.
pub(super) fn said(flight: &Flight<'_, '_>, whole: &Whole<'_>) -> Option<Bytes> {
    if whole.text.is_none() && !flight.outgoing.head.stream {
        return Some(whole.said.clone());
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
