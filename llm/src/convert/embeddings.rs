//! Embeddings from one dialect to another: OpenAI's `/v1/embeddings`, Gemini's `embedContent` and `batchEmbedContents`, and, for providers, how
//! Bedrock's models that embed are invoked.
//!
//! Promises: numbers come out as the provider wrote them. Only where a caller wants base64 and the provider gives numbers, or the other
//! way round, they go through 32-bit floats, which is what base64 holds. What has no place is named in [`Dropped`].
//!
//! Leaves out: inputs that are no text. Ids of tokens mean something to one provider only and are refused.

mod vector;

use std::borrow::Cow;

pub use vector::{Vector, VectorError};

use super::{Dropped, Json, ReadAnswerError, Stamp};
use crate::{
    dialect::{Dialect, bedrock_converse, gemini, openai_embeddings},
    request::ReadRequestError,
    usage::Usage,
};

/// Texts to be embedded.
#[derive(Debug, Clone)]
pub struct EmbeddingRequest<'a> {
    /// The texts; each gets a vector.
    pub inputs: Vec<Cow<'a, str>>,
    /// How many numbers a vector shall have.
    pub dimensions: Option<u32>,
    /// The provider's name for the end user.
    pub end_user: Option<Cow<'a, str>>,
    /// How the caller wants the vectors.
    pub shape: Shape,
    /// Members that have no place here, in order, by their dotted names.
    pub others: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// How a caller wants the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A list of numbers each.
    Numbers,
    /// Base64 of the numbers each (OpenAI's `encoding_format`).
    Base64,
    /// The one vector of the one text, not in a list (Gemini's `embedContent`).
    Single,
}

/// Embedded texts.
#[derive(Debug, Clone)]
pub struct EmbeddingAnswer<'a> {
    /// The vectors, in the order of the texts.
    pub vectors: Vec<Vector<'a>>,
    /// What was consumed, where the provider says.
    pub usage: Option<Usage>,
}

/// A request in the provider's dialect, and what the way back needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertedEmbedding {
    /// The body. Gemini's is one for `batchEmbedContents`.
    pub body: Vec<u8>,
    /// How the caller wants the vectors.
    pub shape: Shape,
    /// What could not be said.
    pub dropped: Dropped,
}

/// What is wanted of a request that is said again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'w> {
    /// The model as the provider calls it.
    pub model: &'w str,
    /// How many numbers a vector shall have, where that is not the caller's to say.
    pub dimensions: Option<u32>,
}

/// Says a request in another dialect; `None` if one of the two has no embeddings here, or the model is none that embeds there.
#[must_use]
pub fn request(from: Dialect, body: &[u8], to: Dialect, wanted: Wanted<'_>) -> Option<Result<ConvertedEmbedding, ReadRequestError>> {
    let read = match from {
        Dialect::OpenAiEmbeddings => openai_embeddings::read_request(body),
        Dialect::Gemini => gemini::embeddings::read_request(body),
        _ => return None,
    };
    let mut request = match read {
        Ok(request) => request,
        Err(error) => return Some(Err(error)),
    };
    request.dimensions = wanted.dimensions.or(request.dimensions);
    let mut dropped = Dropped::of(from);
    let written = match to {
        Dialect::OpenAiEmbeddings => Ok(openai_embeddings::write_request(&request, wanted.model, &mut dropped)),
        Dialect::Gemini => Ok(gemini::embeddings::write_request(&request, wanted.model, &mut dropped)),
        Dialect::BedrockConverse => bedrock_converse::embeddings::write_request(&mut request, from, wanted.model, &mut dropped)?,
        _ => return None,
    };
    Some(written.map(|body| {
        dropped.note_members(&request.others);
        ConvertedEmbedding { body, shape: request.shape, dropped }
    }))
}

/// What is known of an answer beside its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    /// How the caller wants the vectors.
    pub shape: Shape,
    /// Input tokens, where the provider says them elsewhere. What the body says counts more.
    pub input_tokens: Option<u64>,
}

/// Says a provider's answer in another dialect; `None` if one of the two has no embeddings here.
#[must_use]
pub fn answer(from: Dialect, body: &[u8], to: Dialect, awaited: Awaited, stamp: &Stamp<'_>) -> Option<Result<Vec<u8>, ReadAnswerError>> {
    let read = match from {
        Dialect::OpenAiEmbeddings => openai_embeddings::read_answer(body),
        Dialect::Gemini => gemini::embeddings::read_answer(body),
        Dialect::BedrockConverse => bedrock_converse::embeddings::read_answer(body),
        _ => return None,
    };
    let write = match to {
        Dialect::OpenAiEmbeddings => openai_embeddings::write_answer,
        Dialect::Gemini => gemini::embeddings::write_answer,
        _ => return None,
    };
    Some(read.and_then(|mut answer| {
        answer.usage = answer.usage.or(awaited.input_tokens.map(Usage::of_input));
        let wrong = |_: VectorError| ReadAnswerError::WrongType { field: "embedding".to_owned(), expected: VectorError::EXPECTED };
        write(&answer, awaited.shape, stamp).map_err(wrong)
    }))
}

#[cfg(test)]
mod tests;
