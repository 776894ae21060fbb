//! Anthropic messages: `POST /v1/messages`.
//!
//! `usage` and `event` read what comes back, `write` makes replies of our own. A stream's terminator is `message_stop`.

mod error;
mod event;
mod usage;
mod write;

pub(super) use error::{write_error, write_error_event};
pub(super) use event::read_event;
pub(super) use usage::read_usage;
pub(super) use write::{write_completion, write_completion_events};
