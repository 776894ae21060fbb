//! An answer that was kept, given again: whole, or as the stream that it was.
//!
//! The head is that of the answer when it was made, with the ids, budgets and limits of this request. A stream goes out in pieces that end with
//! an event, as fast as the caller takes them. Cost and trace, where the caller asked for them, are this request's.

use bytes::Bytes;
use http::HeaderValue;
use llm::request::Head as RequestHead;
use llm::response::add_member;
use llm::stream::{Elements, Framing};
use memchr::memmem;
use pingora_core::protocols::http::ServerSession;
use policy::decision::{Permit, Trace};
use policy::facts::RequestFacts;
use policy::money::NanoUsd;

use super::{budget, closing, json, write};
use crate::cache::Kept;
use crate::exchange::call::Exchange;
use crate::metering::Booking;
use crate::respond::head::{Head, Sent};

/// Bytes of one write at most.
const PIECE: usize = 16 << 10;

/// What is given again, and to what request.
pub(crate) struct Again<'e> {
    pub exchange: Exchange<'e>,
    pub head: &'e RequestHead<'e>,
    pub framing: Framing,
    pub facts: &'e RequestFacts,
    pub permit: &'e Permit,
    /// The key's rate and what is left of it.
    pub rate: Option<(u32, u64)>,
    pub kept: &'e Kept,
}

/// Gives an answer again.
pub(crate) async fn pass_kept(again: Again<'_>, session: &mut ServerSession, mut booking: Booking<'_>, trace: Trace) -> Sent {
    booking.answered_from(again.kept);
    let head = again.response_head(&booking);
    booking.first_byte();
    let sent = if again.head.stream {
        again.stream(session, head, &trace).await
    } else {
        let Kept { body, content_type, .. } = again.kept;
        let with_trace = again.head.extensions.trace.then(|| add_member(body, "mlx:trace", trace.to_json().get().as_bytes())).flatten();
        head.send(session, content_type.clone(), with_trace.unwrap_or_else(|| body.clone())).await
    };
    let gone = sent.is_err().then_some("client_closed_request");
    booking.close(sent.unwrap_or(499), gone, &trace);
    sent
}

impl Again<'_> {
    fn response_head(&self, booking: &Booking<'_>) -> Head {
        let Self { exchange, permit, kept, .. } = self;
        let mut head = Head::new(200, &exchange.arrival.request_id);
        for (name, value) in &kept.passed {
            head.value(name.clone(), value.clone());
        }
        head.cache(booking.cache_word());
        head.served_by(&kept.provider, &kept.model);
        if !kept.dropped.is_empty() {
            head.dropped(&kept.dropped);
        }
        if let Some(variant) = &kept.variant {
            head.variant(variant);
        }
        if let Some((limit, remaining)) = self.rate {
            head.rate(limit, remaining);
        }
        let mut served = None;
        permit.route().each_target(&mut |target| {
            if target.provider_name == kept.provider && target.model == kept.model {
                served.get_or_insert(target);
            }
        });
        budget(&mut head, &exchange.context.budgets, &exchange.caller.policy, (permit, served), self.facts.time);
        head.cost(NanoUsd::ZERO);
        head
    }

    async fn stream(&self, session: &mut ServerSession, head: Head, trace: &Trace) -> Sent {
        let arrival = self.exchange.arrival;
        let created = u64::try_from(arrival.time.timestamp()).unwrap_or(0);
        let mut said = closing::tell(self.kept.body.clone(), self.head, (&arrival.request_id, created), NanoUsd::ZERO, trace);
        let content_type = match self.framing {
            Framing::Events => HeaderValue::from_static("text/event-stream"),
            Framing::Array => json(),
        };
        if self.framing == Framing::Array {
            said = Bytes::from(Elements::of(&said));
        }
        let status = head.send_stream(session, content_type).await?;
        while !said.is_empty() {
            let piece = said.split_to(piece_end(&said));
            write(session, piece).await?;
        }
        Ok(status)
    }
}

/// Where the next write ends: behind the last event that fits into it, or in the middle of one that does not.
fn piece_end(said: &[u8]) -> usize {
    let Some(window) = said.get(..PIECE) else { return said.len() };
    memmem::rfind(window, b"\n\n").map_or(PIECE, |at| at.saturating_add(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_an_event_where_one_fits() {
        assert_eq!(piece_end(b"data: 1\n\ndata: 2"), 16);
        let event = format!("data: {}\n\n", "x".repeat(7_000));
        assert_eq!(piece_end(event.repeat(5).as_bytes()), 2 * event.len());
        assert_eq!(piece_end("x".repeat(40_000).as_bytes()), PIECE);
    }
}
