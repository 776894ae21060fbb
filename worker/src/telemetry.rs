//! What this process says about itself: metrics, log lines, spans.
//!
//! Promises: no prompt, completion, key or secret in any of them; label values come from closed sets or from what operators named, never
//! from callers. Without a collector nothing is done for spans; with one, an exchange costs a push into a bounded channel, and all else
//! happens in a thread of its own (`otlp`).

pub(crate) mod finished;
mod genai;
pub mod logs;
pub(crate) mod metrics;
mod mirror;
mod otlp;
pub(crate) mod trace_context;

pub use metrics::Metrics;
pub(crate) use otlp::Exporting;
pub use otlp::{Otlp, OtlpError};
