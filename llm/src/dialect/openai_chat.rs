//! OpenAI chat completions: `POST /v1/chat/completions`, as OpenAI and the many compatible servers speak it.
//!
//! `adapt` makes a body for servers that are only nearly like it, `usage` and `event` read what comes back, `write` makes replies of our own; `conversation`, `answer`, `deltas` and `failure` read and
//! write for conversion. Requests are read by [`crate::request::Head`].
//!
//! Known differences between servers that are taken as they come: usage in the chunk that also has choices, in a chunk
//! of its own, in every chunk (the last one counts); cached tokens by all the names in use;
//! `[DONE]` left out; errors as an event in a stream that answered 200.

mod adapt;
mod answer;
mod conversation;
mod deltas;
mod event;
mod failure;
mod usage;
mod write;

pub use adapt::{Adaptation, Adapted, adapt, mentions_developer};
pub(crate) use answer::{read_answer, write_answer};
pub(crate) use conversation::{read_conversation, shared_with_responses, write_conversation};
pub(crate) use deltas::{DeltaReader, DeltaWriter};
pub(super) use event::read_event;
pub(crate) use failure::read_error;
pub(super) use usage::read_usage;
use write::DONE;
pub(super) use write::{write_completion, write_completion_events, write_error, write_error_event};
