//! Watches a stream on its way to the caller: forwards its bytes, keeps the usage, withholds the report nobody asked for.
//!
//! # Behaviour
//!
//! - [`UsageEvents::Forward`]: every chunk is forwarded at once as it is; a partial event is copied aside only to be read when it
//!   is complete.
//! - [`UsageEvents::ForwardWhole`]: the same, but bytes of a partial event are held back until it is complete. A stream that is
//!   cut then stops between events, and an error event of ours can be read after it; in the mode above the half event before it
//!   can't, whatever follows.
//! - [`UsageEvents::Delay`]: as `ForwardWhole`, but an event that has a usage report and no choices is held back until the terminator, so that
//!   what it says is known before it is said, and something may go out in front of it.
//! - [`UsageEvents::Withhold`]: an event that has a usage report and no choices is left out. To know, an event must be seen
//!   whole, so bytes of a partial event are held back until it is; everything else is forwarded as slices of the chunk.
//! - An event that outgrows the limit is passed on unread and counted; nothing is held for it any more.
//! - The last usage report counts; a dialect that reports in parts (Anthropic) has them put together. It is *the provider's word* unless
//!   more output has passed since (a server that reports in every chunk, cut off in between) or it was not the last by its own
//!   meaning (Anthropic's at the beginning, Gemini's before `finishReason`); then, and when there is none, the outcome is an estimate and says so.
//! - What stands behind the last event's end when the bytes stop is read like an event: a report is not lost for want of a
//!   line break, and half of one is not JSON.
//! - A stream is whole ([`StreamOutcome::is_whole`]) if its dialect's terminator has passed, however its connection ended. Servers that speak
//!   OpenAI's chat and leave `[DONE]` out have said all when the last choice that passed says why it ended.
//!
//! Invariant: what is forwarded, with what is delayed and held at the end, is byte for byte what came; with `Withhold`, that without whole
//! events; with `Delay`, a usage report may stand behind events that came after it.

use bytes::Bytes;

use super::{
    EventReading,
    sse::{Boundary, Event},
};
use crate::{
    dialect::Dialect,
    error::ErrorReply,
    operation,
    tokens::{TokenEstimate, output_from_bytes},
    usage::{ReadUsageError, Usage, UsageSource, report::Report},
};

/// Bytes of one event that are held at most.
pub const EVENT_LIMIT: usize = 4 << 20;
/// The same of an operation that is passed through: a picture is one event.
const OPERATION_EVENT_LIMIT: usize = 32 << 20;

/// What to do with events that report usage and nothing else. Only chat has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageEvents {
    /// The caller asked for them: everything goes on at once.
    Forward,
    /// The caller asked for them: everything goes on, in whole events.
    ForwardWhole,
    /// The caller asked for them, and gets something else before: the last one goes on with the terminator.
    Delay,
    /// The caller did not; we did.
    Withhold,
}

/// The watcher of one stream.
#[derive(Debug)]
pub struct StreamMeter {
    /// Absent for what is of no dialect: an operation that is passed through.
    dialect: Option<Dialect>,
    usage_events: UsageEvents,
    limit: usize,
    boundary: Boundary,
    /// The current event so far, if it began in an earlier chunk.
    partial: Vec<u8>,
    /// The current event outgrew the limit and is passed on unread.
    outgrown: bool,
    /// A usage report that goes on with the terminator.
    delayed: Vec<u8>,
    /// The last event was left out: so is what is left of the line break at its end.
    withheld: bool,
    seen: Seen,
}

/// What has passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    report: Option<Report>,
    usage_error: Option<ReadUsageError>,
    /// Pieces of output since the last usage report.
    pieces_since_usage: u64,
    output_bytes: u64,
    output_pieces: u64,
    events: u64,
    unread_events: u64,
    done: bool,
    failed: bool,
    /// The last choice that passed has come to its end.
    ended: bool,
    /// The last event was too long to be read: nobody knows whether it was the terminator.
    blind: bool,
}

/// What a stream came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOutcome {
    /// The last usage report; what was reported in parts, put together.
    pub reported: Option<Usage>,
    /// The last report that could not be read; to be counted and shown.
    pub usage_error: Option<ReadUsageError>,
    /// Whether the report is the provider's last word: it was meant to be, and no output has passed since.
    pub report_stands: bool,
    /// Bytes of generated text, as written in JSON.
    pub output_bytes: u64,
    /// Pieces of generated text.
    pub output_pieces: u64,
    /// Events with data.
    pub events: u64,
    /// Events that were malformed or too long to be read.
    pub unread_events: u64,
    /// Whether the dialect's terminator has passed.
    pub done: bool,
    /// Whether an error of the provider's has passed.
    pub failed: bool,
    /// Whether the last choice that passed has said why it ended.
    pub ended: bool,
    /// Whether the last event was whole and too long to be read.
    pub blind: bool,
    /// Whether it stopped inside an event that can't be read without its rest.
    pub torn: bool,
    /// Whether what was forwarded stops inside an event: an event of our own must then begin with an empty line.
    pub mid_event: bool,
    /// A usage report whose terminator never came, before `held`. Forward it if the stream ended by itself.
    pub delayed: Bytes,
    /// Bytes of an unfinished event that were not forwarded. Forward them if the stream ended by itself, not if it was cut.
    pub held: Bytes,
}

/// The one usage of a stream, whatever became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageVerdict {
    /// Who says so.
    pub source: UsageSource,
    /// What was consumed.
    pub usage: Usage,
}

impl StreamMeter {
    /// A meter for one stream.
    #[must_use]
    pub fn new(dialect: Dialect, usage_events: UsageEvents) -> Self {
        Self::with_limit(dialect, usage_events, EVENT_LIMIT)
    }

    /// A meter for the stream of an operation that is passed through.
    #[must_use]
    pub fn of_operation(usage_events: UsageEvents) -> Self {
        Self::of(None, usage_events, OPERATION_EVENT_LIMIT)
    }

    /// A meter that holds at most `limit` bytes of an event.
    #[must_use]
    pub fn with_limit(dialect: Dialect, usage_events: UsageEvents, limit: usize) -> Self {
        Self::of(Some(dialect), usage_events, limit)
    }

    fn of(dialect: Option<Dialect>, usage_events: UsageEvents, limit: usize) -> Self {
        let (boundary, seen) = (Boundary::default(), Seen::default());
        Self { dialect, usage_events, limit, boundary, partial: Vec::new(), outgrown: false, delayed: Vec::new(), withheld: false, seen }
    }

    /// Takes a chunk as it came and adds to `forward` what is to go to the caller now.
    pub fn push(&mut self, chunk: Bytes, forward: &mut Vec<Bytes>) {
        let between_events = self.partial.is_empty() && !self.outgrown;
        let left_over = if between_events { self.boundary.rest_of_break(&chunk) } else { 0 };
        // `run` is where the bytes begin that are to be forwarded together, `at` where the current event does.
        let (mut run, mut at) = (if self.withheld { left_over } else { 0 }, left_over);
        while let Some(length) = self.boundary.next_end(chunk.get(at..).unwrap_or_default()) {
            let end = at.saturating_add(length);
            let event = chunk.get(at..end).unwrap_or_default();
            let withhold = self.finish_event(event);
            self.withheld = withhold;
            if withhold {
                forward_slice(&chunk, run, at, forward);
                self.delay(event, forward);
                self.partial.clear();
                run = end;
            } else {
                if self.seen.done && !self.delayed.is_empty() {
                    forward_slice(&chunk, std::mem::replace(&mut run, at), at, forward);
                    forward.push(Bytes::from(std::mem::take(&mut self.delayed)));
                }
                self.release_partial(forward);
            }
            at = end;
        }
        self.keep_partial(chunk.get(at..).unwrap_or_default());
        if !self.holds() {
            forward_slice(&chunk, run, chunk.len(), forward);
        } else if self.outgrown {
            self.release_partial(forward);
            forward_slice(&chunk, run, chunk.len(), forward);
        } else {
            forward_slice(&chunk, run, at, forward);
        }
    }

    /// Ends the stream, whether it ended by itself or was cut.
    #[must_use]
    pub fn finish(mut self) -> StreamOutcome {
        let outgrown = self.outgrown;
        let mut torn = outgrown;
        self.seen.unread_events = self.seen.unread_events.saturating_add(u64::from(outgrown));
        if !self.partial.is_empty() {
            let partial = std::mem::take(&mut self.partial);
            // Half an event is no fault of the provider's.
            let unread_events = self.seen.unread_events;
            let withhold = self.judge(&partial);
            torn |= self.seen.unread_events > unread_events;
            self.seen.unread_events = unread_events;
            self.partial = if withhold && self.usage_events == UsageEvents::Withhold { Vec::new() } else { partial };
        }
        let (holds, partial) = (self.holds(), self.partial);
        let mid_event = outgrown || (!holds && !partial.is_empty());
        let held = if holds { Bytes::from(partial) } else { Bytes::new() };
        let seen = self.seen;
        StreamOutcome {
            reported: seen.report.map(|report| report.usage()),
            usage_error: seen.usage_error,
            report_stands: seen.report.is_some_and(|report| report.last) && seen.pieces_since_usage == 0,
            output_bytes: seen.output_bytes,
            output_pieces: seen.output_pieces,
            events: seen.events,
            unread_events: seen.unread_events,
            done: seen.done,
            failed: seen.failed,
            ended: seen.ended,
            blind: seen.blind,
            torn,
            mid_event,
            delayed: Bytes::from(self.delayed),
            held,
        }
    }

    /// Whether the dialect's terminator has passed.
    #[must_use]
    pub fn done(&self) -> bool {
        self.seen.done
    }

    fn holds(&self) -> bool {
        self.usage_events != UsageEvents::Forward
    }

    /// The event ends with these bytes of the current chunk. Says whether it is to be left out.
    fn finish_event(&mut self, last: &[u8]) -> bool {
        if self.outgrown {
            self.outgrown = false;
            self.seen.blind = true;
            self.seen.unread_events = self.seen.unread_events.saturating_add(1);
            return false;
        }
        if self.partial.is_empty() {
            return self.judge(last);
        }
        let held = self.partial.len();
        self.partial.extend_from_slice(last);
        let event = std::mem::take(&mut self.partial);
        let withhold = self.judge(&event);
        self.partial = event;
        self.partial.truncate(held);
        withhold
    }

    /// Reads one whole event and says whether it is to be left out.
    fn judge(&mut self, bytes: &[u8]) -> bool {
        let event = Event::read(bytes);
        let Some(data) = event.data else { return false };
        let reading = match self.dialect {
            Some(dialect) => dialect.read_event(&data),
            None => operation::usage::read_event(&data),
        };
        let withhold = reading.usage_only && matches!(self.usage_events, UsageEvents::Withhold | UsageEvents::Delay);
        self.seen.take(reading, event.name == Some(b"error"));
        withhold
    }

    /// Keeps a usage report that ends with these bytes of the current chunk; one from before goes on.
    fn delay(&mut self, last: &[u8], forward: &mut Vec<Bytes>) {
        if self.usage_events != UsageEvents::Delay {
            return;
        }
        let event = [&self.partial, last].concat();
        let before = std::mem::replace(&mut self.delayed, event);
        if !before.is_empty() {
            forward.push(Bytes::from(before));
        }
    }

    /// The bytes held of an event that is to be forwarded go out before the rest of it.
    fn release_partial(&mut self, forward: &mut Vec<Bytes>) {
        if self.partial.is_empty() {
            return;
        }
        if self.holds() {
            forward.push(Bytes::from(std::mem::take(&mut self.partial)));
        } else {
            self.partial.clear();
        }
    }

    /// Puts aside what belongs to an event that is not complete.
    fn keep_partial(&mut self, bytes: &[u8]) {
        if self.outgrown || bytes.is_empty() {
            return;
        }
        if self.partial.len().saturating_add(bytes.len()) > self.limit {
            self.outgrown = true;
            if !self.holds() {
                self.partial = Vec::new();
            }
            return;
        }
        self.partial.extend_from_slice(bytes);
    }
}

impl Seen {
    fn take(&mut self, reading: EventReading, named_error: bool) {
        self.events = self.events.saturating_add(1);
        self.unread_events = self.unread_events.saturating_add(u64::from(reading.malformed));
        self.done |= reading.done;
        self.failed |= reading.failed || named_error;
        self.ended = reading.ended.unwrap_or(self.ended);
        self.blind = false;
        self.output_bytes = self.output_bytes.saturating_add(reading.output_bytes);
        self.output_pieces = self.output_pieces.saturating_add(reading.output_pieces);
        self.pieces_since_usage = self.pieces_since_usage.saturating_add(reading.output_pieces);
        match reading.usage {
            Some(Ok(report)) => {
                self.report = Some(self.report.map_or(report, |before| before.then(report)));
                self.pieces_since_usage = 0;
            }
            Some(Err(error)) => self.usage_error = Some(error),
            None => {}
        }
    }
}

impl StreamOutcome {
    /// Whether all of an answer has passed: its dialect's terminator, or where that was left out its end. One whose last event nobody could
    /// read has the benefit of the doubt.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.failed && !self.torn && (self.done || self.ended || self.blind)
    }

    /// Writes an error to end the stream with. `held` must not have been forwarded then, and no terminator may follow.
    #[must_use]
    pub fn error_event(&self, dialect: Dialect, error: &ErrorReply<'_>) -> Bytes {
        let event = dialect.write_error_event(error, self.events);
        if self.mid_event { Bytes::from([&b"\n\n"[..], &event].concat()) } else { event }
    }

    /// The usage to settle: the provider's if it stands, else an estimate from the prompt's bound and the output that passed,
    /// never below what the provider had reported by then.
    #[must_use]
    pub fn verdict(&self, prompt: TokenEstimate) -> UsageVerdict {
        match self.reported {
            Some(usage) if self.report_stands && usage.is_complete() => UsageVerdict { source: UsageSource::Provider, usage },
            reported => UsageVerdict { source: UsageSource::PartialEstimate, usage: self.estimated(reported, prompt) },
        }
    }

    fn estimated(&self, reported: Option<Usage>, prompt: TokenEstimate) -> Usage {
        let reported = reported.unwrap_or_default();
        let seen = output_from_bytes(self.output_bytes, self.output_pieces);
        let said = match reported.buckets() {
            Ok(buckets) => buckets.output.saturating_add(buckets.reasoning),
            Err(_) => reported.output_tokens.unwrap_or(0).max(reported.reasoning_tokens.unwrap_or(0)),
        };
        Usage {
            // Some servers say 0 until they know.
            input_tokens: reported.input_tokens.filter(|input| *input > 0).or(Some(prompt.bound)),
            output_tokens: Some(seen.max(said)),
            total_tokens: None,
            ..reported
        }
    }
}

fn forward_slice(chunk: &Bytes, from: usize, to: usize, forward: &mut Vec<Bytes>) {
    if from >= to || to > chunk.len() {
        return;
    }
    forward.push(if from == 0 && to == chunk.len() { chunk.clone() } else { chunk.slice(from..to) });
}

#[cfg(test)]
mod tests;
