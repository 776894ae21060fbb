//! Anthropic's messages: `POST /v1/messages` and `/v1/messages/count_tokens`.
//!
//! `block` reads and writes content blocks, which requests, answers and results of tools have in common; `conversation`, `answer` and
//! `deltas` read and write the three forms that they stand in; `failure` reads errors. `usage` and `event`
//! read what passes, `error` and `write` make replies of our own. A stream's terminator is `message_stop`.
//!
//! What no other dialect has is kept: signatures of thoughts and their redacted form go through the middle as
//! [`crate::convert::Signature`], blocks and tools of unknown types as opaque JSON. A foreign signature of a thought stands in the
//! `signature` of a thinking block on its way through a caller who speaks this dialect; that of a call, for which there is no
//! field, in a thinking block of its own behind the call.

pub(super) mod answer;
pub(in crate::dialect) mod block;
pub(super) mod conversation;
pub(super) mod deltas;
mod error;
mod event;
pub(super) mod failure;
#[cfg(test)]
pub(super) mod gathered;
mod hosted;
#[cfg(test)]
mod tests;
mod usage;
mod write;

pub(crate) use answer::{read_answer, write_answer};
pub(crate) use conversation::{read_conversation, write_conversation, write_counted};
pub(crate) use deltas::{DeltaReader, DeltaWriter};
pub(super) use error::{write_error, write_error_event};
pub(super) use event::read_event;
pub(crate) use failure::read_error;
pub use hosted::{Hosting, host};
pub(super) use usage::read_usage;
pub(super) use write::{write_completion, write_completion_events};

/// What leads a redacted thought in [`crate::convert::Signature::value`], to tell it from the signature of a thought whose text is
/// left out. Signatures are base64, which has no full stop.
const REDACTED: &str = "redacted_thinking.";

/// What leads the signature of a call where it stands in a thinking block behind it.
const OF_CALL: &str = "call.";

/// Our own plain structures can always be written; should one not, an empty object is still JSON.
pub(in crate::dialect) fn to_json(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_else(|_| b"{}".to_vec())
}
