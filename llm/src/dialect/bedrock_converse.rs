//! Amazon Bedrock's `Converse` and `ConverseStream`, and what its models that embed take instead: providers only, nobody speaks it to us.
//!
//! `conversation` writes requests, `answer` and `deltas` read what comes back, `embeddings` does both for vectors, `failure` reads errors. The model stands in the path. The
//! binary framing of streams is the worker's: here an event is its type and its payload.
//!
//! What Converse has no members for goes in `additionalModelRequestFields` where the model is a Claude, whose fields are known
//! ([`super::anthropic_messages`]).

mod answer;
mod conversation;
mod deltas;
pub(crate) mod embeddings;
mod failure;
#[cfg(test)]
mod tests;
mod usage;

pub(crate) use answer::read_answer;
pub(crate) use conversation::write_conversation;
pub(crate) use deltas::DeltaReader;
pub use embeddings::embeds;
pub(crate) use failure::read_error;
pub(super) use usage::{read_event, read_usage};

/// What leads a redacted thought in [`crate::convert::Signature::value`]. Signatures are base64, which has no full stop.
const REDACTED: &str = "redactedContent.";
