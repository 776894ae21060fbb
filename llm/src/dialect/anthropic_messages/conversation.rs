//! Requests.
//!
//! `read` reads one, `write` writes one, with `messages` for its turns, `tools` for what may be called, `thinking` for how much to
//! think, and `generation` for what a model takes, told from its name.

pub(in crate::dialect) mod generation;
pub(in crate::dialect) mod ids;
pub(in crate::dialect) mod messages;
mod read;
pub(in crate::dialect) mod sampling;
pub(in crate::dialect) mod thinking;
pub(in crate::dialect) mod tools;
mod write;

pub(crate) use read::read_conversation;
pub(crate) use write::{write_conversation, write_counted};
