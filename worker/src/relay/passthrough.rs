//! Answers to what is passed through, on their way to the caller: status, body and what the head says of it, as they came.
//!
//! Promises: a file is never here as a whole, and a slow caller slows the provider down; an answer that says what it consumed is metered, and
//! its cost is in the head where it is known before the first byte; one that breaks off is not ended as if it were whole.
//!
//! Leaves out: the provider's account. Of its head goes on what is about this answer, not what is about who pays.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use llm::error::{ErrorCode, ErrorReply};
use llm::operation::{Operation, usage};
use llm::stream::StreamMeter;
use llm::stream::meter::UsageVerdict;
use llm::usage::{Usage, UsageSource};
use pingora_core::protocols::http::ServerSession;
use policy::facts::Spends;

use super::closing::join;
use super::standby::keep_alive;
use super::{budget, caller_gone, is_json, json, refusal_words, refused_in, write};
use crate::clock;
use crate::exchange::attempts::{REPLY_LIMIT, idle, next_within};
use crate::exchange::passthrough::{Crossing, Spent};
use crate::exchange::{Failure, RefusedReply};
use crate::identity::ticket;
use crate::ingress::headers::{TICKET, passed_query};
use crate::metering::consumption;
use crate::respond::Refusal;
use crate::respond::head::{CallerGone, Head, Sent};
use crate::upstream::passthrough::Passed;
use crate::upstream::{Reply, ReplyBody};

/// What of a provider's head says something of the body, or of the file that it is.
const OF_THE_BODY: [HeaderName; 5] =
    [header::CONTENT_DISPOSITION, header::CONTENT_LANGUAGE, header::ETAG, header::LAST_MODIFIED, header::CACHE_CONTROL];
/// How an upload stands.
const OF_AN_UPLOAD: [HeaderName; 3] = [
    HeaderName::from_static("x-goog-upload-status"),
    HeaderName::from_static("x-goog-upload-chunk-granularity"),
    HeaderName::from_static("x-goog-upload-size-received"),
];
/// Where it goes on.
const UPLOAD_URL: HeaderName = HeaderName::from_static("x-goog-upload-url");

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Complete,
    Cut,
    Stalled,
    Gone,
}

/// What there is of a body that is gathered.
enum Gathered {
    Whole(Bytes),
    /// It is too large to be kept; this is its beginning.
    Begun(Vec<Bytes>),
}

/// Passes an answer on.
pub(crate) async fn pass(
    mut crossing: Crossing<'_, '_>,
    session: &mut ServerSession,
    passed: &Passed<'_>,
    mut reply: Reply,
    rate: Option<(u32, u64)>,
) -> Sent {
    let mut head = head_of(&crossing, passed, &reply, rate);
    let (operation, metered) = (passed.found.operation, crossing.spends() == Spends::Tokens);
    let length = reply.body.length();
    let mut beginning = Vec::new();
    if metered && !reply.streams() && reply.content_type.as_ref().is_some_and(json_like) {
        match gather(&crossing, session, &mut reply.body).await {
            Ok(Gathered::Whole(body)) => return pass_whole(crossing, session, operation, head, (reply, body)).await,
            Ok(Gathered::Begun(pieces)) => beginning = pieces,
            Err(ending) => return broken(crossing, session, reply.status, ending).await,
        }
    }
    if crossing.spends() == Spends::Nothing {
        head.cost(policy::money::NanoUsd::ZERO);
    }
    crossing.booking.first_byte();
    let streams = reply.streams();
    let meter = (metered && streams).then(|| StreamMeter::of_operation(passed.asked.usage_events()));
    let mut passage = Passage { session, meter, streams, between_events: true, wrote: clock::instant() };
    let length = length.filter(|_| passage.meter.is_none());
    let ending = passage.run(&crossing, head, length, beginning, &mut reply.body).await;
    let ending = passage.finish(&mut crossing, operation, (ending, reply.status)).await;
    if ending == Ending::Complete {
        reply.body.finish().await;
    }
    let (status, code) = match ending {
        Ending::Complete => (reply.status, None),
        Ending::Cut => (reply.status, Some("upstream_cut")),
        Ending::Stalled => (reply.status, Some("deadline_exceeded")),
        Ending::Gone => (499, Some("client_closed_request")),
    };
    crossing.booking.close(status, code, &crossing.trace);
    match ending {
        Ending::Complete => Ok(status),
        Ending::Cut | Ending::Stalled if streams => Ok(status),
        // Nothing but the end of the connection says that a body is not whole.
        Ending::Cut | Ending::Stalled | Ending::Gone => Err(CallerGone),
    }
}

/// What the caller's head says: ours, and of the provider's what is about the body.
fn head_of(crossing: &Crossing<'_, '_>, passed: &Passed<'_>, reply: &Reply, rate: Option<(u32, u64)>) -> Head {
    let mut head = Head::new(reply.status, &crossing.exchange.arrival.request_id);
    for (name, value) in reply.body.headers().into_iter().flatten() {
        if OF_THE_BODY.contains(name) || OF_AN_UPLOAD.contains(name) {
            head.value(name.clone(), value.clone());
        } else if *name == UPLOAD_URL
            && let Some(url) = value.to_str().ok().and_then(|url| own_upload_url(crossing, passed, url))
        {
            head.text(UPLOAD_URL, &url);
        }
    }
    for (name, value) in &reply.passed {
        head.value(name.clone(), value.clone());
    }
    if let Some(content_type) = &reply.content_type {
        head.value(header::CONTENT_TYPE, content_type.clone());
    }
    head.served_by(&crossing.target.provider_name, &crossing.target.model);
    head.cache(crossing.booking.cache_word());
    if let Some((limit, remaining)) = rate {
        head.rate(limit, remaining);
    }
    let (context, policy) = (crossing.exchange.context, &crossing.exchange.caller.policy);
    budget(&mut head, &context.budgets, policy, (crossing.permit, Some(crossing.target)), crossing.facts.time);
    head
}

/// An upload goes on through us, at an address with a ticket in it: the provider's own would lead past us.
fn own_upload_url(crossing: &Crossing<'_, '_>, passed: &Passed<'_>, url: &str) -> Option<String> {
    let (reached_at, path) = (passed.reached_at?, passed.found.operation.path);
    let (address, query) = url.split_once('?')?;
    address.ends_with(path).then_some(())?;
    let query = passed_query(query)?;
    let caller = crossing.exchange.caller;
    let key = caller.policy.engine.key(caller.subject.key)?;
    let ticket = ticket::issue(key, &crossing.target.provider_name, &query, clock::now());
    Some(format!("{reached_at}{path}?{query}&{TICKET}={ticket}"))
}

/// An answer that is here as a whole: what it consumed is known before anything goes out.
async fn pass_whole(
    mut crossing: Crossing<'_, '_>,
    session: &mut ServerSession,
    operation: &Operation,
    mut head: Head,
    (reply, body): (Reply, Bytes),
) -> Sent {
    let reported = usage::read(&body).unwrap_or_else(|error| {
        tracing::warn!(%error, "a provider's usage report can't be read");
        None
    });
    let spent = reported.map_or(Spent::Untold, |usage| told(&crossing, operation, usage));
    crossing.end("ok", reply.status, spent);
    let Reply { content_type, body: connection, status, .. } = reply;
    connection.finish().await;
    if crossing.booking.is_priced() {
        head.cost(crossing.booking.cost());
    }
    crossing.booking.first_byte();
    let sent = head.send(session, content_type.unwrap_or_else(json), body).await;
    let gone = sent.is_err().then_some("client_closed_request");
    crossing.booking.close(if sent.is_ok() { status } else { 499 }, gone, &crossing.trace);
    sent
}

/// What a report comes to. What draws has nothing but pictures to give, unless it says otherwise.
fn told(crossing: &Crossing<'_, '_>, operation: &Operation, usage: Usage) -> Spent {
    let pictures = if operation.draws() { usage.output_tokens } else { None };
    let usage = Usage { output_image_tokens: usage.output_image_tokens.or(pictures), ..usage };
    Spent::Tokens(consumption(crossing.exchange.context, &UsageVerdict { source: UsageSource::Provider, usage }))
}

async fn gather(crossing: &Crossing<'_, '_>, session: &mut ServerSession, body: &mut ReplyBody) -> Result<Gathered, Ending> {
    let patience = (idle(crossing.exchange.context, crossing.target), crossing.booking.limit());
    let (mut pieces, mut length) = (Vec::new(), 0_usize);
    loop {
        let next = tokio::select! {
            biased;
            next = next_within(body, patience) => next,
            () = caller_gone(session) => return Err(Ending::Gone),
        };
        match next {
            Ok(Ok(Some(piece))) => {
                length = length.saturating_add(piece.len());
                pieces.push(piece);
            }
            Ok(Ok(None)) => return Ok(Gathered::Whole(if pieces.len() == 1 { pieces.swap_remove(0) } else { join(&pieces) })),
            Ok(Err(_)) => return Err(Ending::Cut),
            Err(_) => return Err(Ending::Stalled),
        }
        if length > REPLY_LIMIT {
            return Ok(Gathered::Begun(pieces));
        }
    }
}

/// An answer that broke off before anything of it went out.
async fn broken(mut crossing: Crossing<'_, '_>, session: &mut ServerSession, status: u16, ending: Ending) -> Sent {
    crossing.end(ending.outcome(), status, Spent::Untold);
    let failure = match ending {
        Ending::Gone => return crossing.abandon(),
        Ending::Stalled => Failure::Deadline,
        Ending::Cut | Ending::Complete => Failure::Cut { target: crossing.label() },
    };
    crossing.refuse(session, failure).await
}

impl Ending {
    fn outcome(self) -> &'static str {
        match self {
            Self::Complete => "ok",
            Self::Cut => "cut",
            Self::Stalled => "timeout",
            Self::Gone => "cancelled",
        }
    }
}

/// A body that passes in pieces.
struct Passage<'s> {
    session: &'s mut ServerSession,
    meter: Option<StreamMeter>,
    /// It is a stream of events.
    streams: bool,
    between_events: bool,
    wrote: Instant,
}

impl Passage<'_> {
    async fn run(
        &mut self,
        crossing: &Crossing<'_, '_>,
        head: Head,
        length: Option<u64>,
        beginning: Vec<Bytes>,
        body: &mut ReplyBody,
    ) -> Ending {
        let content_type = HeaderValue::from_static("text/event-stream");
        let sent = match self.streams {
            true => head.send_stream(self.session, content_type).await,
            false => head.send_open(self.session, length).await,
        };
        if sent.is_err() || self.write_all(beginning).await.is_err() {
            return Ending::Gone;
        }
        let context = crossing.exchange.context;
        let (patience, limit) = (idle(context, crossing.target), crossing.booking.limit());
        let quiet = context.limits.stream_keep_alive;
        let mut heard = clock::instant();
        loop {
            let left = patience.saturating_sub(clock::instant().saturating_duration_since(heard));
            let pause = quiet.saturating_sub(clock::instant().saturating_duration_since(self.wrote)).max(Duration::from_millis(5));
            let next = tokio::select! {
                biased;
                next = next_within(body, (left, limit)) => next,
                () = pingora_timeout::sleep(pause), if self.streams && self.between_events => {
                    self.wrote = clock::instant();
                    if write(self.session, keep_alive(crossing.exchange.dialect)).await.is_err() {
                        return Ending::Gone;
                    }
                    continue;
                }
                () = caller_gone(self.session) => return Ending::Gone,
            };
            heard = clock::instant();
            match next {
                Ok(Ok(Some(piece))) => {
                    if self.take(piece).await.is_err() {
                        return Ending::Gone;
                    }
                }
                Ok(Ok(None)) => return Ending::Complete,
                Ok(Err(_)) => return Ending::Cut,
                Err(_) => return Ending::Stalled,
            }
        }
    }

    async fn take(&mut self, piece: Bytes) -> Result<(), CallerGone> {
        let Some(meter) = &mut self.meter else { return self.write_all(vec![piece]).await };
        let mut forward = Vec::new();
        meter.push(piece, &mut forward);
        self.write_all(forward).await
    }

    async fn write_all(&mut self, pieces: Vec<Bytes>) -> Result<(), CallerGone> {
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            self.between_events = piece.ends_with(b"\n\n") || piece.ends_with(b"\r\n\r\n");
            self.wrote = clock::instant();
            write(self.session, piece).await?;
        }
        Ok(())
    }

    /// Settles, and ends a stream of events that broke off with an event that says so.
    async fn finish(&mut self, crossing: &mut Crossing<'_, '_>, operation: &Operation, (ending, status): (Ending, u16)) -> Ending {
        let outcome = self.meter.take().map(StreamMeter::finish);
        let spent = match &outcome {
            Some(outcome) if operation.completes_text() && !crossing.target_is_unpriced() => {
                Spent::Tokens(consumption(crossing.exchange.context, &outcome.verdict(crossing.estimate())))
            }
            Some(outcome) => {
                let reported = outcome.reported.filter(|_| outcome.report_stands);
                reported.map_or(Spent::Untold, |usage| told(crossing, operation, usage))
            }
            None => Spent::Untold,
        };
        crossing.end(ending.outcome(), status, spent);
        let last = match ending {
            Ending::Complete => outcome.map(|outcome| outcome.held).unwrap_or_default(),
            Ending::Cut | Ending::Stalled if self.streams => {
                let failure = if ending == Ending::Cut { Failure::Cut { target: crossing.label() } } else { Failure::Deadline };
                let event = Refusal::of(&failure, clock::now()).said_in(crossing.exchange.dialect).event(0);
                if self.between_events { event } else { join(&[Bytes::from_static(b"\n\n"), event]) }
            }
            Ending::Cut | Ending::Stalled | Ending::Gone => Bytes::new(),
        };
        match self.write_all(vec![last]).await {
            Err(CallerGone) if ending == Ending::Complete => Ending::Gone,
            _ => ending,
        }
    }
}

fn json_like(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"application/json")
}

/// Passes a provider's refusal on, as it came where it is JSON.
pub(crate) async fn pass_refusal(mut crossing: Crossing<'_, '_>, session: &mut ServerSession, status: u16, refused: RefusedReply) -> Sent {
    let caller = crossing.exchange.dialect;
    let mut head = Head::new(status, &crossing.exchange.arrival.request_id);
    let body = if is_json(&refused) && refused_in(&refused) == caller {
        refused.body
    } else {
        let (kind, message) = refusal_words(&refused, status);
        let code = Some(ErrorCode::Name("upstream_refused"));
        caller.write_error(&ErrorReply { status, message: &message, kind: &kind, code, param: None, budget: None })
    };
    for (name, value) in refused.passed {
        head.value(name, value);
    }
    head.served_by(&crossing.target.provider_name, &crossing.target.model);
    head.cache(crossing.booking.cache_word());
    head.cost(crossing.booking.cost());
    crossing.booking.first_byte();
    let sent = head.send(session, json(), body).await;
    crossing.booking.close(if sent.is_ok() { status } else { 499 }, Some("upstream_refused"), &crossing.trace);
    sent
}
