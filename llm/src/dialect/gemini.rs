//! Gemini: `generateContent`, `streamGenerateContent` and their kin, as the Gemini API and Vertex speak them.
//!
//! `conversation` converts requests, `answer` buffered replies, `deltas` streams; `content` is what the three share, `generation` the
//! settings of a request, `schema` Gemini's own way to write schemas.
//!
//! Known differences that are taken as they come: members in camel case and in snake case, one object where a list may stand, calls with
//! and without ids, schemas in both forms.

mod answer;
mod content;
mod conversation;
mod deltas;
pub(crate) mod embeddings;
mod fields;
mod generation;
mod schema;
mod tools;

pub(crate) use answer::{read_answer, read_error, write_answer};
pub(crate) use conversation::{read_conversation, read_counted, write_conversation};
pub(crate) use deltas::{DeltaReader, DeltaWriter, Framing};
