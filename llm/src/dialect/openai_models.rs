//! OpenAI's list of models: `GET /v1/models` and `/v1/models/{id}`.

use bytes::Bytes;
use serde::Serialize;

/// One model as the list shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelEntry<'a> {
    /// What to put into `model`.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// Who provides it.
    pub owned_by: &'a str,
}

#[derive(Serialize)]
struct ModelBody<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
}

#[derive(Serialize)]
struct ModelListBody<'a> {
    object: &'static str,
    data: Vec<ModelBody<'a>>,
}

/// Writes one model.
#[must_use]
pub fn write_model(model: &ModelEntry<'_>) -> Bytes {
    super::to_json(&body(model))
}

/// Writes the list, in the order given.
#[must_use]
pub fn write_models(models: &[ModelEntry<'_>]) -> Bytes {
    super::to_json(&ModelListBody { object: "list", data: models.iter().map(body).collect() })
}

fn body<'a>(model: &ModelEntry<'a>) -> ModelBody<'a> {
    ModelBody { id: model.id, object: "model", created: model.created, owned_by: model.owned_by }
}
