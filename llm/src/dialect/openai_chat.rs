//! OpenAI chat completions: `POST /v1/chat/completions`, as OpenAI and the many compatible servers speak it.
//!
//! `head` reads a request in one pass, `rewrite` makes the upstream's body out of it, `adapt` one for
//! servers that are only nearly like it, `usage` and `event` read what comes back,
//! `write` makes replies of our own.
//!
//! Known differences between servers that are taken as they come: usage in the chunk that also has choices, in a chunk
//! of its own, in every chunk (the last one counts); cached tokens by all the names in use;
//! `[DONE]` left out; errors as an event in a stream that answered 200.

mod adapt;
mod event;
mod head;
mod rewrite;
mod usage;
mod write;

pub use adapt::{Adaptation, Adapted, adapt};
pub(crate) use event::read_event;
pub use head::{ChatHead, Layout};
pub use rewrite::{OutputField, OutputLimit, Rewrite};
pub use usage::read_usage;
pub(super) use write::to_json;
pub use write::{Chunk, DONE, Delta, write_chunk, write_completion, write_usage_chunk};
pub(crate) use write::{write_error, write_error_event};
