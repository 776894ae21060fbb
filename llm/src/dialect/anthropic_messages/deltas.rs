//! Streamed answers: `read` and `write`, with `blocks` for which of them are open.

pub(in crate::dialect) mod blocks;
mod event;
mod read;
mod write;

pub(crate) use read::DeltaReader;
pub(crate) use write::DeltaWriter;
