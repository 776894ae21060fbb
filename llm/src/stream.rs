//! Event streams as they pass: framing in [`sse`], what the events mean for metering in [`meter`], what a stream begins with in [`Opening`].
//!
//! Promises: bytes are forwarded as they came, as slices of what came; never more than one event is held, and that only up to
//! a limit. Leaves out: sockets, keep-alives and deadlines, which are the worker's.

mod closing;
mod elements;
pub mod meter;
mod opening;
pub mod sse;

pub use closing::closing_at;
pub use elements::Elements;
pub use meter::{StreamMeter, StreamOutcome, UsageEvents};
pub use opening::{Opening, StreamError};

use crate::{
    json::{Cursor, Kind, SyntaxError},
    usage::{ReadUsageError, Usage, report::Report},
};

/// How the events of a stream stand in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As server-sent events.
    Events,
    /// As the elements of one JSON array.
    Array,
}

/// What one event says, as a dialect reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventReading {
    /// The terminator of the dialect.
    pub(crate) done: bool,
    /// Whether what there is of the choices in it has come to its end; none where it has no choice. For servers that leave the terminator out.
    pub(crate) ended: Option<bool>,
    /// An error.
    pub(crate) failed: bool,
    /// Nothing that can be read.
    pub(crate) malformed: bool,
    /// A usage report.
    pub(crate) usage: Option<Result<Report, ReadUsageError>>,
    /// A usage report and nothing besides.
    pub(crate) usage_only: bool,
    /// Bytes of generated text, as written in JSON.
    pub(crate) output_bytes: u64,
    /// How many pieces of generated text.
    pub(crate) output_pieces: u64,
}

impl EventReading {
    /// What `read` finds in the data. Data that can't be read is only counted: it is the caller's and passes on.
    pub(crate) fn of(data: &[u8], read: fn(&[u8], &mut Self) -> Result<(), SyntaxError>) -> Self {
        let mut reading = Self::default();
        match read(data, &mut reading) {
            Ok(()) => reading,
            Err(_) => Self { malformed: true, ..Self::default() },
        }
    }

    /// Notes a report, if there is one.
    pub(crate) fn report(&mut self, read: Result<Option<Usage>, ReadUsageError>, as_report: impl FnOnce(Usage) -> Report) {
        self.usage = read.transpose().map(|usage| usage.map(as_report));
    }

    /// Counts the text of a value as output, but for members that are labels and not generated.
    pub(crate) fn count_text(&mut self, cursor: &mut Cursor<'_>, labels: Labels) -> Result<(), SyntaxError> {
        let bytes = text_bytes(cursor, labels, NESTED_TEXT)?;
        self.output_bytes = self.output_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.output_pieces = self.output_pieces.saturating_add(u64::from(bytes > 0));
        Ok(())
    }
}

/// Says of a member's name whether its value is a label.
pub(crate) type Labels = fn(&[u8]) -> bool;

/// How deep text stands in a piece of output: chat's `tool_calls[].function.arguments` is the deepest known that is no free form.
const NESTED_TEXT: u32 = 5;

/// Bytes of the strings in a value, by whatever names they go.
fn text_bytes(cursor: &mut Cursor<'_>, labels: Labels, levels: u32) -> Result<usize, SyntaxError> {
    let mut bytes = 0_usize;
    match cursor.kind()? {
        Kind::Object if levels > 0 => {
            let mut walk = cursor.begin_object()?;
            while let Some(key) = cursor.next_key(&mut walk)? {
                let inside = text_bytes(cursor, labels, levels.saturating_sub(1))?;
                bytes = bytes.saturating_add(if labels(&key.key_bytes()) { 0 } else { inside });
            }
        }
        Kind::Array if levels > 0 => {
            let mut walk = cursor.begin_array()?;
            while cursor.next_element(&mut walk)? {
                bytes = bytes.saturating_add(text_bytes(cursor, labels, levels.saturating_sub(1))?);
            }
        }
        Kind::Object | Kind::Array => bytes = cursor.value()?.raw().len(),
        _ => bytes = cursor.value()?.inner().unwrap_or_default().len(),
    }
    Ok(bytes)
}
