//! OpenAI embeddings: `POST /v1/embeddings`. Its errors and its usage report are chat's.
//!
//! `embedding` writes embeddings of our own, `conversion` reads and writes for conversion.

mod conversion;
mod embedding;

pub(crate) use conversion::{read_answer, read_request, write_answer, write_request};
pub(super) use embedding::{read_embedding_request, write_embeddings};
