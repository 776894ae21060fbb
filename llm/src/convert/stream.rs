//! A stream of one dialect, said in another, event by event.
//!
//! Promises: every event is written as soon as it is whole; never more than one unfinished event is held, and that only up to a limit.
//! After an error nothing more is written, and no terminator.
//!
//! Leaves out: metering (that is [`crate::stream::StreamMeter`], over the provider's bytes), and whether a stream that ended was
//! cut: the worker knows, and calls [`StreamConverter::finish`] or [`StreamConverter::fail`].

use super::{
    ConvertError, Delta, FinishReason, MALFORMED_CALL, Stamp,
    hub::{Reader, Writer},
};
use crate::{
    dialect::Dialect,
    stream::sse::{Boundary, Event},
};

/// The most of one unfinished event that is held.
const EVENT_LIMIT: usize = 16 << 20;

/// Says a stream in another dialect.
#[derive(Debug)]
pub struct StreamConverter {
    reader: Reader,
    writer: Writer,
    boundary: Boundary,
    held: Vec<u8>,
    failed: bool,
}

impl StreamConverter {
    /// For a provider who speaks `from` and a caller who speaks `to`; `include_usage` as [`super::Converted::include_usage`] has it.
    pub fn new(from: Dialect, to: Dialect, stamp: &Stamp<'_>, include_usage: bool) -> Result<Self, ConvertError> {
        let reader = Reader::new(from).ok_or(ConvertError::Pair { from, to })?;
        let writer = Writer::new(to, stamp, include_usage).ok_or(ConvertError::Pair { from, to })?;
        Ok(Self { reader, writer, boundary: Boundary::default(), held: Vec::new(), failed: false })
    }

    /// Whether the stream has failed, by an event of the provider's or otherwise: nothing more will be written.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Takes what has arrived, cut anywhere, and writes all events that are whole.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(end) = self.boundary.next_end(rest) {
            let (event, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = behind;
            if self.held.is_empty() {
                self.push_event(&Event::read(event), out);
            } else {
                let mut held = std::mem::take(&mut self.held);
                held.extend_from_slice(event);
                self.push_event(&Event::read(&held), out);
                held.clear();
                self.held = held;
            }
        }
        if !self.failed {
            self.held.extend_from_slice(rest);
        }
        if self.held.len() > EVENT_LIMIT {
            self.held.clear();
            self.fail("api_error", "an event of the provider is larger than 16 MiB", out);
        }
    }

    /// Takes one event, for framings other than server-sent events.
    pub fn push_event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        let mut deltas = Vec::new();
        self.reader.read(event, &mut deltas);
        self.write(&deltas, out);
    }

    /// Writes what is still open and the terminator. Nothing, after an error.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.push_event(&Event::read(&held), out);
        }
        let mut deltas = Vec::new();
        self.reader.finish(&mut deltas);
        self.write(&deltas, out);
        if !self.failed {
            self.writer.finish(out);
        }
    }

    /// Writes an error in the caller's dialect. Nothing, after another.
    pub fn fail(&mut self, kind: &str, message: &str, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.failed, true) {
            self.writer.fail(kind, message, out);
        }
    }

    fn write(&mut self, deltas: &[Delta<'_>], out: &mut Vec<u8>) {
        for delta in deltas {
            match delta {
                _ if self.failed => return,
                Delta::Error { kind, message } => self.fail(kind, message, out),
                Delta::Finish { reason: FinishReason::MalformedCall, .. } => {
                    self.fail(MALFORMED_CALL, &ConvertError::MalformedCall.to_string(), out);
                }
                delta => self.writer.write(delta, out),
            }
        }
    }
}
