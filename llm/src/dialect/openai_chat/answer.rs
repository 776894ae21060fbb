//! Buffered answers to and from the typed form in the middle.

mod read;
mod write;

pub(crate) use read::read_answer;
pub(super) use read::read_finish;
pub(crate) use write::write_answer;
pub(super) use write::{chat_id, finish_name, write_thought};
