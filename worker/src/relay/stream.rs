//! Streams: pieces are forwarded as they arrive, those that arrived together in one write.
//!
//! One timer a stream: it fires every `stream_keep_alive` at most, keeps the caller's stream alive when nothing went out since (so that nothing
//! in between takes it for dead) and notices a provider that has been silent for too long. Where the caller asked for usage or for the trace, an event
//! of ours with the final cost goes out before the provider's usage report, which waits for its terminator with that.
//!
//! A stream that ends without its dialect's terminator has broken off, however cleanly its connection was closed.
//!
//! A caller who wants the events as one array gets each as an element, in the last step before the socket: all before it deals in events.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use llm::convert::StreamConverter;
use llm::stream::meter::{StreamMeter, StreamOutcome, UsageEvents};
use llm::stream::{Elements, Framing};
use pingora_core::protocols::http::ServerSession;

use super::closing::{self, join};
use super::drain::hear_out;
use super::standby::keep_alive;
use super::{caller_gone, json, write};
use crate::clock;
use crate::exchange::Failure;
use crate::exchange::attempts::Flight;
use crate::metering::{AttemptEnd, consumption};
use crate::respond::Refusal;
use crate::respond::head::{CallerGone, Head, Sent};
use crate::upstream::{Reply, WayBack};

/// The shortest wait for the next look around.
const LEAST_PAUSE: Duration = Duration::from_millis(5);
/// Bytes that are gathered into one write at most.
const GATHER: usize = 64 << 10;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// In good order.
    Complete,
    /// With an error in the stream, which the caller has.
    Failed,
    /// The provider broke off.
    Cut,
    /// The provider went silent, or the exchange took too long.
    Stalled,
    /// The caller left.
    Gone,
}

/// What is passed, to whom.
struct Passage<'s, 'f, 'c, 'p> {
    session: &'s mut ServerSession,
    flight: &'f mut Flight<'c, 'p>,
    meter: Option<StreamMeter>,
    outcome: Option<StreamOutcome>,
    /// Says the stream again in the caller's dialect.
    converter: Option<StreamConverter>,
    /// Says the events as elements, where the caller wants an array.
    elements: Option<Elements>,
    forward: Vec<Bytes>,
    /// The provider's own bytes, where they are said again.
    unsaid: Vec<Bytes>,
    /// The last write ended between two events.
    between_events: bool,
    wrote: Instant,
    /// The answer was heard to its end for a caller who has left.
    drained: bool,
    /// The caller has our own event.
    told: bool,
}

/// Passes a stream on. Without a head where the caller has one already.
pub(super) async fn pass(
    mut flight: Box<Flight<'_, '_>>,
    session: &mut ServerSession,
    head: Option<Head>,
    reply: Reply,
    first: Bytes,
) -> Sent {
    let Reply { status, spoken, back, content_type, mut body, .. } = reply;
    let elements = (flight.outgoing.framing == Framing::Array).then(Elements::default);
    let content_type = match elements {
        Some(_) => json(),
        None => content_type.unwrap_or(HeaderValue::from_static("text/event-stream")),
    };
    let converter = converter(&flight, back);
    flight.booking.first_byte();
    let usage_events = usage_events(&flight, converter.is_some());
    let sent = match head {
        Some(head) => head.send_stream(session, content_type).await,
        None => Ok(status),
    };
    let mut passage = Passage {
        session,
        flight: &mut flight,
        meter: Some(StreamMeter::new(spoken, usage_events)),
        outcome: None,
        converter,
        elements,
        forward: Vec::with_capacity(8),
        unsaid: Vec::new(),
        between_events: true,
        wrote: clock::instant(),
        drained: false,
        told: false,
    };
    let ending = match sent {
        Ok(_) => passage.run(&mut body, first).await,
        Err(CallerGone) => {
            // Nobody gets it, but it counts.
            passage.push(first);
            Ending::Gone
        }
    };
    if ending == Ending::Gone {
        passage.hear_out(&mut body).await;
    }
    let drained = passage.drained;
    let ending = passage.finish(ending, status).await;
    passage.close_array(ending).await;
    if ending == Ending::Complete {
        passage.keep();
    }
    match ending {
        Ending::Complete | Ending::Failed => body.finish().await,
        Ending::Gone if drained => body.finish().await,
        // Dropping the connection is what cancels the provider's work.
        Ending::Cut | Ending::Stalled | Ending::Gone => drop(body),
    }
    let Flight { booking, trace, .. } = *flight;
    let (status, code) = match ending {
        Ending::Complete => (status, None),
        Ending::Failed => (status, Some("upstream_error")),
        Ending::Cut => (status, Some("upstream_cut")),
        Ending::Stalled => (status, Some("deadline_exceeded")),
        Ending::Gone => (499, Some("client_closed_request")),
    };
    booking.close(status, code, &trace);
    if ending == Ending::Gone { Err(CallerGone) } else { Ok(status) }
}

impl Passage<'_, '_, '_, '_> {
    async fn run(&mut self, body: &mut crate::upstream::ReplyBody, first: Bytes) -> Ending {
        let context = self.flight.context;
        let (idle, limit) = (self.flight.idle(), self.flight.booking.limit());
        let quiet = context.limits.stream_keep_alive;
        let mut heard = self.wrote;
        let mut timer = Box::pin(pingora_timeout::sleep(quiet.min(idle)));
        let mut piece = Some(first);
        loop {
            if let Some(piece) = piece.take() {
                heard = clock::instant();
                match self.take(piece, body).await {
                    Ok(None) => {}
                    Ok(Some(ending)) => return ending,
                    Err(CallerGone) => return Ending::Gone,
                }
            }
            tokio::select! {
                biased;
                next = body.next() => match next {
                    Ok(Some(next)) => piece = Some(next),
                    Ok(None) => return Ending::Complete,
                    Err(_) => return Ending::Cut,
                },
                () = &mut timer => {
                    let now = clock::instant();
                    if now.saturating_duration_since(heard) >= idle || limit.is_some_and(|limit| now >= limit) {
                        return Ending::Stalled;
                    }
                    if self.keep_alive(now, quiet).await.is_err() {
                        return Ending::Gone;
                    }
                    // In the middle of an event nothing of ours can go out.
                    let spent = if self.between_events { now.saturating_duration_since(self.wrote) } else { Duration::ZERO };
                    let left = idle.saturating_sub(now.saturating_duration_since(heard));
                    timer = Box::pin(pingora_timeout::sleep(quiet.saturating_sub(spent).min(left).max(LEAST_PAUSE)));
                }
                () = caller_gone(self.session) => return Ending::Gone,
            }
        }
    }

    /// The rest of the answer, where the policy wants to know what it consumed and not too many are heard out already.
    async fn hear_out(&mut self, body: &mut crate::upstream::ReplyBody) {
        let wanted = self.flight.current.as_ref().is_some_and(|current| current.admission.target().patience.drains());
        let context = self.flight.context;
        let (Some(meter), true) = (&mut self.meter, wanted) else { return };
        if let Ok(_seat) = context.drains.try_acquire() {
            let limit = self.flight.booking.limit();
            self.drained = hear_out(body, meter, self.flight.idle(), limit).await;
        }
    }

    /// Forwards a piece together with what else is there already.
    async fn take(&mut self, piece: Bytes, body: &mut crate::upstream::ReplyBody) -> Result<Option<Ending>, CallerGone> {
        let mut gathered = piece.len();
        self.push(piece);
        let mut ending = None;
        while gathered < GATHER {
            match body.ready() {
                Some(Ok(Some(more))) => {
                    gathered = gathered.saturating_add(more.len());
                    self.push(more);
                }
                Some(Ok(None)) => ending = Some(Ending::Complete),
                Some(Err(_)) => ending = Some(Ending::Cut),
                None => break,
            }
            if ending.is_some() {
                break;
            }
        }
        self.write_forward().await?;
        Ok(ending)
    }

    fn push(&mut self, piece: Bytes) {
        let Some(converter) = &mut self.converter else {
            match &mut self.meter {
                Some(meter) => meter.push(piece, &mut self.forward),
                None => self.forward.push(piece),
            }
            return;
        };
        let mut said = Vec::with_capacity(piece.len());
        converter.push(&piece, &mut said);
        if let Some(meter) = &mut self.meter {
            // What goes out is what the converter says; the meter only looks.
            meter.push(piece, &mut self.unsaid);
            self.unsaid.clear();
        }
        if !said.is_empty() {
            self.forward.push(Bytes::from(said));
        }
    }

    async fn write_forward(&mut self) -> Result<(), CallerGone> {
        let tells = self.is_closing();
        let mut bytes = match (self.forward.len(), tells) {
            (0, _) => return Ok(()),
            (1, false) => self.forward.pop().unwrap_or_default(),
            _ => join(&self.forward),
        };
        self.forward.clear();
        self.record(&bytes);
        if tells {
            bytes = self.tell(bytes);
        }
        match &mut self.elements {
            // Elements go out whole.
            Some(elements) => bytes = Bytes::from(elements.push(&bytes)),
            None => self.between_events = bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n"),
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.wrote = clock::instant();
        write(self.session, bytes).await
    }

    /// Whether the terminator is about to go out as the provider sent it, to a caller who asked to know more: then the attempt is settled here. A
    /// converter writes its own, once the provider has said all.
    fn is_closing(&mut self) -> bool {
        if self.converter.is_some() || !closing::wanted(self.flight.outgoing.head) || !self.meter.as_ref().is_some_and(StreamMeter::done) {
            return false;
        }
        let ending = self.judged(Ending::Complete);
        self.settle(ending, 200);
        self.told = true;
        true
    }

    /// The last of the stream, with what the caller asked to know.
    fn tell(&self, last: Bytes) -> Bytes {
        let Flight { outgoing, booking, trace, .. } = &*self.flight;
        closing::tell(last, outgoing.head, outgoing.named(), booking.cost(), trace)
    }

    /// Ends the metering, once; how the stream has ended by what has passed.
    fn judged(&mut self, ending: Ending) -> Ending {
        if let Some(outcome) = self.meter.take().map(StreamMeter::finish) {
            if let Some(error) = &outcome.usage_error {
                tracing::warn!(%error, "a provider's usage report can't be read");
            }
            self.outcome = Some(outcome);
        }
        match (&self.outcome, ending) {
            (Some(outcome), Ending::Complete) if outcome.failed => Ending::Failed,
            (_, Ending::Complete) if self.converter.as_ref().is_some_and(StreamConverter::failed) => Ending::Failed,
            (Some(outcome), Ending::Complete) if !outcome.is_whole() => Ending::Cut,
            _ => ending,
        }
    }

    /// Ends the attempt; once.
    fn settle(&mut self, ending: Ending, status: u16) {
        let Some(outcome) = self.outcome.as_ref().filter(|_| self.flight.current.is_some()) else { return };
        let verdict = outcome.verdict(self.flight.estimate());
        let consumed = Some(consumption(self.flight.context, &verdict));
        let (word, good) = match ending {
            Ending::Complete => ("ok", true),
            Ending::Failed | Ending::Cut => ("cut", false),
            Ending::Stalled => ("timeout", false),
            Ending::Gone if self.drained => ("drained", outcome.is_whole()),
            // Until then nothing was wrong.
            Ending::Gone => ("cancelled", !outcome.failed),
        };
        self.flight.health.ended(&self.flight.last, good);
        let took = self.flight.took();
        self.flight.end(AttemptEnd { outcome: word, status, took, consumed });
    }

    /// Settles and ends the stream towards the caller. How it has ended, now that all of it is known.
    async fn finish(&mut self, ending: Ending, status: u16) -> Ending {
        let mut said = Vec::new();
        let mut ending = self.judged(ending);
        if let (Some(converter), Ending::Complete) = (&mut self.converter, ending) {
            converter.finish(&mut said);
            ending = if converter.failed() { Ending::Failed } else { ending };
        }
        self.settle(ending, status);
        let Some(outcome) = self.outcome.take() else { return ending };
        let cut = || Failure::Cut { target: std::sync::Arc::clone(&self.flight.last) };
        let last = match ending {
            Ending::Gone => return ending,
            Ending::Complete if self.converter.is_some() => Bytes::from(said),
            Ending::Failed if self.converter.is_some() && !said.is_empty() => Bytes::from(said),
            // The converter says nothing where it has said an error.
            Ending::Failed if self.converter.is_some() => self.error_event(&cut(), &outcome),
            // What stood behind the last whole event.
            Ending::Complete | Ending::Failed => join(&[outcome.delayed, outcome.held]),
            Ending::Cut => self.error_event(&cut(), &outcome),
            Ending::Stalled => self.error_event(&Failure::Deadline, &outcome),
        };
        self.record(&last);
        let tells = ending == Ending::Complete && !self.told;
        self.say(if tells { self.tell(last) } else { last }).await;
        ending
    }

    /// The error that a stream ends with in place of its terminator.
    fn error_event(&mut self, failure: &Failure, outcome: &StreamOutcome) -> Bytes {
        let refusal = Refusal::of(failure, clock::now()).said_in(self.flight.outgoing.head.dialect);
        if let Some(elements) = &mut self.elements {
            elements.forget();
        }
        match &mut self.converter {
            Some(converter) => {
                let mut said = Vec::new();
                converter.fail(refusal.kind(), refusal.message(), &mut said);
                Bytes::from(said)
            }
            None if self.elements.is_none() && (outcome.mid_event || !self.between_events) => {
                join(&[Bytes::from_static(b"\n\n"), refusal.event(outcome.events)])
            }
            None => refusal.event(outcome.events),
        }
    }

    /// Takes down what the caller gets, where it may be kept.
    fn record(&mut self, bytes: &[u8]) {
        if let Some(recording) = &mut self.flight.recording {
            recording.push(bytes);
        }
    }

    /// Keeps what was taken down, which is all of an answer.
    fn keep(&mut self) {
        if let Some(recording) = self.flight.recording.take() {
            recording.keep_stream(&self.flight.context.cache, self.flight.booking.spent());
        }
    }

    /// A write whose failure changes nothing any more.
    async fn say(&mut self, mut bytes: Bytes) {
        if let Some(elements) = &mut self.elements {
            bytes = Bytes::from(elements.push(&bytes));
        }
        if !bytes.is_empty() {
            self.write_out(bytes).await;
        }
    }

    /// An array ends with its bracket, whatever is in it.
    async fn close_array(&mut self, ending: Ending) {
        if let Some(mut elements) = self.elements.take().filter(|_| ending != Ending::Gone) {
            self.write_out(Bytes::from(elements.finish())).await;
        }
    }

    async fn write_out(&mut self, bytes: Bytes) {
        if write(self.session, bytes).await.is_err() {
            tracing::debug!("the caller left before the end of its stream");
        }
    }

    async fn keep_alive(&mut self, now: Instant, quiet: Duration) -> Result<(), CallerGone> {
        if self.between_events && now.saturating_duration_since(self.wrote) >= quiet {
            self.wrote = now;
            return write(self.session, keep_alive(self.flight.outgoing.head.dialect)).await;
        }
        Ok(())
    }
}

/// What becomes of the provider's usage reports.
fn usage_events(flight: &Flight<'_, '_>, said_again: bool) -> UsageEvents {
    match flight.outgoing.head.include_usage {
        true if !said_again && closing::wanted(flight.outgoing.head) => UsageEvents::Delay,
        true => UsageEvents::Forward,
        false => UsageEvents::Withhold,
    }
}

/// What says the stream again, where caller and provider speak two dialects.
fn converter(flight: &Flight<'_, '_>, back: WayBack) -> Option<StreamConverter> {
    let WayBack::Converted(spoken) = back else { return None };
    let (head, outgoing) = (flight.outgoing.head, flight.outgoing);
    let id = head.dialect.reply_id(outgoing.request_id);
    StreamConverter::new(spoken, head.dialect, &outgoing.stamp(&id), head.include_usage).ok()
}
