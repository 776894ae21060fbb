//! OpenAI responses: `POST /v1/responses`.
//!
//! `usage` and `event` read what comes back, `write` makes replies of our own. A stream's terminator is the event that has the whole
//! response (`response.completed`, or `response.incomplete` where a limit ended it), which also has its usage.

mod error;
mod event;
mod usage;
mod write;

pub(super) use error::write_error_event;
pub(super) use event::read_event;
pub(super) use usage::read_usage;
pub(super) use write::{write_completion, write_completion_events};
