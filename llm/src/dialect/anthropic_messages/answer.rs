//! Whole answers: `read` and `write`, with `consumption` for usage and `finish` for why an answer ended.

pub(in crate::dialect) mod consumption;
pub(in crate::dialect) mod finish;
mod read;
mod write;

pub(crate) use read::read_answer;
pub(crate) use write::write_answer;
pub(super) use write::{message_id, signature_of_call};
