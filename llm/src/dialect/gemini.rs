//! Gemini: `generateContent`, `streamGenerateContent` and their kin, as the Gemini API and Vertex speak them.
//!
//! `conversation` converts requests, `answer` buffered replies, `deltas` streams; `content` is what the three share, `generation` the
//! settings of a request, `schema` Gemini's own way to write schemas. `usage` and `event` read what passes; `error`, `embedding` and `write` make
//! replies of our own.
//!
//! Known differences that are taken as they come: members in camel case and in snake case, one object where a list may stand, calls with
//! and without ids, schemas in both forms.

mod answer;
mod content;
mod conversation;
mod deltas;
mod embedding;
pub(crate) mod embeddings;
mod error;
mod event;
mod fields;
mod generation;
mod schema;
mod tools;
mod usage;
mod write;

pub(crate) use answer::{read_answer, read_error, write_answer};
pub(crate) use conversation::{counted_part, read_conversation, write_conversation};
pub(crate) use deltas::{DeltaReader, DeltaWriter};
pub(super) use embedding::{read_embedding_request, write_embeddings};
pub(super) use error::{write_error, write_error_event};
pub(super) use event::read_event;
pub(super) use usage::read_usage;
pub(super) use write::{write_completion, write_completion_events};
