//! Event streams as they pass: framing in [`sse`], what the events mean for metering in [`meter`].
//!
//! Promises: bytes are forwarded as they came, as slices of what came; never more than one event is held, and that only up to
//! a limit. Leaves out: sockets, keep-alives and deadlines, which are the worker's.

pub mod meter;
pub mod sse;

pub use meter::{StreamMeter, StreamOutcome, UsageEvents};

use crate::usage::{ReadUsageError, Usage};

/// What one event says, as a dialect reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventReading {
    /// The terminator of the dialect.
    pub(crate) done: bool,
    /// An error.
    pub(crate) failed: bool,
    /// Nothing that can be read.
    pub(crate) malformed: bool,
    /// A usage report.
    pub(crate) usage: Option<Result<Usage, ReadUsageError>>,
    /// A usage report and nothing besides.
    pub(crate) usage_only: bool,
    /// Bytes of generated text, as written in JSON.
    pub(crate) output_bytes: u64,
    /// How many pieces of generated text.
    pub(crate) output_pieces: u64,
}
