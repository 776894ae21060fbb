//! The table of operations. A line that is not here is a path that nobody answers; nothing is passed through by default.
//!
//! `Free` is what the vendor does not bill, or bills nowhere near any budget (looking, deleting, keeping a file). What makes a model work, now
//! or later, is never free.

use super::{Cost, Family, Names, Operation, Takes, Verb};

const fn line(family: Family, verb: Verb, path: &'static str) -> Operation {
    Operation { family, verb, path, takes: Takes::Nothing, names: Names::Nothing, cost: Cost::Free }
}

impl Operation {
    const fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    const fn model_in(self, names: Names) -> Self {
        Self { names, ..self }
    }

    const fn costs(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }
}

const fn openai(verb: Verb, path: &'static str) -> Operation {
    line(Family::OpenAi, verb, path)
}

const fn anthropic(verb: Verb, path: &'static str) -> Operation {
    line(Family::Anthropic, verb, path)
}

const fn gemini(verb: Verb, path: &'static str) -> Operation {
    line(Family::Gemini, verb, path)
}

use Verb::{Delete, Get, Patch, Post};

/// OpenAI's.
pub(super) const OPENAI: &[Operation] = &[
    // Files and uploads in parts.
    openai(Get, "/v1/files"),
    openai(Post, "/v1/files").takes(Takes::Form),
    openai(Get, "/v1/files/{id}"),
    openai(Delete, "/v1/files/{id}"),
    openai(Get, "/v1/files/{id}/content"),
    openai(Post, "/v1/uploads").takes(Takes::Json),
    openai(Post, "/v1/uploads/{id}/parts").takes(Takes::Form),
    openai(Post, "/v1/uploads/{id}/complete").takes(Takes::Json),
    openai(Post, "/v1/uploads/{id}/cancel").takes(Takes::Json),
    // Batches: their requests, and with them the models, are in a file.
    openai(Get, "/v1/batches"),
    openai(Post, "/v1/batches").takes(Takes::Json).costs(Cost::Unknown),
    openai(Get, "/v1/batches/{id}"),
    openai(Post, "/v1/batches/{id}/cancel").takes(Takes::Json),
    // Pictures.
    openai(Post, "/v1/images/generations").takes(Takes::Json).model_in(Names::Body).costs(Cost::Tokens),
    openai(Post, "/v1/images/edits").takes(Takes::JsonOrForm).model_in(Names::Body).costs(Cost::TokensOfMedia),
    openai(Post, "/v1/images/variations").takes(Takes::Form).model_in(Names::Body).costs(Cost::Unknown),
    // Sound.
    openai(Post, "/v1/audio/speech").takes(Takes::Json).model_in(Names::Body).costs(Cost::Tokens),
    openai(Post, "/v1/audio/transcriptions").takes(Takes::Form).model_in(Names::Body).costs(Cost::TokensOfMedia),
    openai(Post, "/v1/audio/translations").takes(Takes::Form).model_in(Names::Body).costs(Cost::TokensOfMedia),
    // Videos.
    openai(Get, "/v1/videos"),
    openai(Post, "/v1/videos").takes(Takes::JsonOrForm).model_in(Names::Body).costs(Cost::Unknown),
    openai(Get, "/v1/videos/{id}"),
    openai(Delete, "/v1/videos/{id}"),
    openai(Get, "/v1/videos/{id}/content"),
    openai(Post, "/v1/videos/{id}/remix").takes(Takes::Json).costs(Cost::Unknown),
    // Texts as models once took them, and what judges texts.
    openai(Post, "/v1/completions").takes(Takes::Json).model_in(Names::Body).costs(Cost::Tokens),
    openai(Post, "/v1/moderations").takes(Takes::Json).model_in(Names::Body).costs(Cost::FreeAtOpenAi),
    // Answers that were stored.
    openai(Get, "/v1/responses/{id}"),
    openai(Delete, "/v1/responses/{id}"),
    openai(Get, "/v1/responses/{id}/input_items"),
    openai(Post, "/v1/responses/{id}/cancel").takes(Takes::Json),
    openai(Post, "/v1/responses/input_tokens").takes(Takes::Json).model_in(Names::Body),
    openai(Post, "/v1/responses/compact").takes(Takes::Json).model_in(Names::Body).costs(Cost::TokensOfMedia),
    openai(Get, "/v1/chat/completions/{id}"),
    openai(Post, "/v1/chat/completions/{id}").takes(Takes::Json),
    openai(Delete, "/v1/chat/completions/{id}"),
    openai(Get, "/v1/chat/completions/{id}/messages"),
    openai(Post, "/v1/conversations").takes(Takes::Json),
    openai(Get, "/v1/conversations/{id}"),
    openai(Post, "/v1/conversations/{id}").takes(Takes::Json),
    openai(Delete, "/v1/conversations/{id}"),
    openai(Get, "/v1/conversations/{id}/items"),
    openai(Post, "/v1/conversations/{id}/items").takes(Takes::Json),
    openai(Get, "/v1/conversations/{id}/items/{id}"),
    openai(Delete, "/v1/conversations/{id}/items/{id}"),
    // Stores to search in: what is kept there costs by the day.
    openai(Get, "/v1/vector_stores"),
    openai(Post, "/v1/vector_stores").takes(Takes::Json).costs(Cost::Unknown),
    openai(Get, "/v1/vector_stores/{id}"),
    openai(Post, "/v1/vector_stores/{id}").takes(Takes::Json).costs(Cost::Unknown),
    openai(Delete, "/v1/vector_stores/{id}"),
    openai(Post, "/v1/vector_stores/{id}/search").takes(Takes::Json).costs(Cost::Unknown),
    openai(Get, "/v1/vector_stores/{id}/files"),
    openai(Post, "/v1/vector_stores/{id}/files").takes(Takes::Json).costs(Cost::Unknown),
    openai(Get, "/v1/vector_stores/{id}/files/{id}"),
    openai(Post, "/v1/vector_stores/{id}/files/{id}").takes(Takes::Json),
    openai(Delete, "/v1/vector_stores/{id}/files/{id}"),
    openai(Get, "/v1/vector_stores/{id}/files/{id}/content"),
    openai(Post, "/v1/vector_stores/{id}/file_batches").takes(Takes::Json).costs(Cost::Unknown),
    openai(Get, "/v1/vector_stores/{id}/file_batches/{id}"),
    openai(Get, "/v1/vector_stores/{id}/file_batches/{id}/files"),
    openai(Post, "/v1/vector_stores/{id}/file_batches/{id}/cancel").takes(Takes::Json),
    // Where code is run: a fee for each.
    openai(Get, "/v1/containers"),
    openai(Post, "/v1/containers").takes(Takes::Json).costs(Cost::Unknown),
    openai(Get, "/v1/containers/{id}"),
    openai(Delete, "/v1/containers/{id}"),
    openai(Get, "/v1/containers/{id}/files"),
    openai(Post, "/v1/containers/{id}/files").takes(Takes::JsonOrForm),
    openai(Get, "/v1/containers/{id}/files/{id}"),
    openai(Delete, "/v1/containers/{id}/files/{id}"),
    openai(Get, "/v1/containers/{id}/files/{id}/content"),
    // Training.
    openai(Get, "/v1/fine_tuning/jobs"),
    openai(Post, "/v1/fine_tuning/jobs").takes(Takes::Json).model_in(Names::Body).costs(Cost::Unknown),
    openai(Get, "/v1/fine_tuning/jobs/{id}"),
    openai(Get, "/v1/fine_tuning/jobs/{id}/events"),
    openai(Get, "/v1/fine_tuning/jobs/{id}/checkpoints"),
    openai(Post, "/v1/fine_tuning/jobs/{id}/cancel").takes(Takes::Json),
    openai(Post, "/v1/fine_tuning/jobs/{id}/pause").takes(Takes::Json),
    openai(Post, "/v1/fine_tuning/jobs/{id}/resume").takes(Takes::Json).costs(Cost::Unknown),
];

/// Anthropic's.
pub(super) const ANTHROPIC: &[Operation] = &[
    anthropic(Get, "/v1/messages/batches"),
    anthropic(Post, "/v1/messages/batches").takes(Takes::Json).model_in(Names::EachRequest).costs(Cost::Unknown),
    anthropic(Get, "/v1/messages/batches/{id}"),
    anthropic(Delete, "/v1/messages/batches/{id}"),
    anthropic(Get, "/v1/messages/batches/{id}/results"),
    anthropic(Post, "/v1/messages/batches/{id}/cancel").takes(Takes::Json),
    anthropic(Get, "/v1/files"),
    anthropic(Post, "/v1/files").takes(Takes::Form),
    anthropic(Get, "/v1/files/{id}"),
    anthropic(Delete, "/v1/files/{id}"),
    anthropic(Get, "/v1/files/{id}/content"),
];

/// The Gemini API's.
pub(super) const GEMINI: &[Operation] = &[
    gemini(Get, "/v1beta/files"),
    gemini(Post, "/v1beta/files").takes(Takes::Json),
    gemini(Post, "/upload/v1beta/files").takes(Takes::Anything),
    gemini(Get, "/v1beta/files/{id}"),
    gemini(Delete, "/v1beta/files/{id}"),
    gemini(Get, "/v1beta/files/{id}:download"),
    gemini(Get, "/download/v1beta/files/{id}:download"),
    // What is kept there costs by the hour.
    gemini(Get, "/v1beta/cachedContents"),
    gemini(Post, "/v1beta/cachedContents").takes(Takes::Json).model_in(Names::Body).costs(Cost::Unknown),
    gemini(Get, "/v1beta/cachedContents/{id}"),
    gemini(Patch, "/v1beta/cachedContents/{id}").takes(Takes::Json).costs(Cost::Unknown),
    gemini(Delete, "/v1beta/cachedContents/{id}"),
    gemini(Post, "/v1beta/models/{model}:batchGenerateContent").takes(Takes::Json).model_in(Names::Path).costs(Cost::Unknown),
    gemini(Post, "/v1beta/models/{model}:asyncBatchEmbedContent").takes(Takes::Json).model_in(Names::Path).costs(Cost::Unknown),
    gemini(Get, "/v1beta/batches"),
    gemini(Get, "/v1beta/batches/{id}"),
    gemini(Delete, "/v1beta/batches/{id}"),
    gemini(Post, "/v1beta/batches/{id}:cancel").takes(Takes::Json),
    // Pictures and videos, which are charged by the piece and the second.
    gemini(Post, "/v1beta/models/{model}:predict").takes(Takes::Json).model_in(Names::Path).costs(Cost::Unknown),
    gemini(Post, "/v1beta/models/{model}:predictLongRunning").takes(Takes::Json).model_in(Names::Path).costs(Cost::Unknown),
    gemini(Get, "/v1beta/models/{model}/operations/{id}").model_in(Names::Path),
    gemini(Get, "/v1beta/operations/{id}"),
];
