//! OpenAI responses: `POST /v1/responses`, as OpenAI, Codex and the agent libraries speak it.
//!
//! `usage` and `event` read what comes back, `error` and `write` make replies of our own; `conversation`, `answer` and `deltas` read and write
//! for conversion, `item` is the form that requests and answers share. A stream's terminator is the event that has the whole response
//! (`response.completed`, or `response.incomplete` where a limit ended it), which also has its usage.
//!
//! Opaque here and so fit to carry others' state: `encrypted_content` of a reasoning item. The signature of a thought goes into the item
//! of that thought; the signature of a call (Gemini's) into a reasoning item of its own right behind the call, marked as such.

mod answer;
mod conversation;
mod deltas;
mod error;
mod event;
mod item;
mod output;
mod report;
mod usage;
mod write;

pub(crate) use answer::{read_answer, write_answer};
pub(crate) use conversation::{read_conversation, write_conversation};
pub(crate) use deltas::{DeltaReader, DeltaWriter};
pub(super) use error::write_error_event;
pub(super) use event::read_event;
pub(super) use usage::read_usage;
pub(super) use write::{write_completion, write_completion_events};
