//! Requests: `GenerateContentRequest`.
//!
//! The model and whether the answer is streamed stand in the path, not in the body; whoever reads sets `stream`.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use read::{counted_part, read_conversation};
pub(crate) use write::write_conversation;
