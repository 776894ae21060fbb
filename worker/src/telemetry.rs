//! What this process says about itself: metrics, log lines, spans.
//!
//! Promises: no prompt, completion, key or secret in any of them; label values come from closed sets or from what operators named, never
//! from callers.

pub mod logs;
pub(crate) mod metrics;
pub(crate) mod trace_context;

pub use metrics::Metrics;
