//! OpenAI responses: `POST /v1/responses`, as OpenAI, Codex and the agent libraries speak it.
//!
//! `conversation`, `answer` and `deltas` read and write for conversion; `item` is the form that requests and answers share.
//!
//! Opaque here and so fit to carry others' state: `encrypted_content` of a reasoning item. The signature of a thought goes into the item
//! of that thought; the signature of a call (Gemini's) into a reasoning item of its own right behind the call, marked as such.

mod answer;
mod conversation;
mod deltas;
mod item;
mod output;
mod report;

pub(crate) use answer::{read_answer, write_answer};
pub(crate) use conversation::{read_conversation, write_conversation};
pub(crate) use deltas::{DeltaReader, DeltaWriter};
