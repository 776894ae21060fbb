//! Gemini: `POST /v1beta/models/{model}:generateContent` and its kin. Model and method stand in the path.
//!
//! `usage` and `event` read what comes back, `write` makes replies of our own.

mod embedding;
mod error;
mod event;
mod usage;
mod write;

pub(super) use embedding::{read_embedding_request, write_embeddings};
pub(super) use error::{write_error, write_error_event};
pub(super) use event::read_event;
pub(super) use usage::read_usage;
pub(super) use write::{write_completion, write_completion_events};
