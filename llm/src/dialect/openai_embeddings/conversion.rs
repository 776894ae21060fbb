//! Embeddings to and from the form in the middle.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    convert::{
        Dropped, Members, ReadAnswerError, Stamp,
        embeddings::{EmbeddingAnswer, EmbeddingRequest, Shape, Vector, VectorError},
        text_of, writing,
    },
    request::{PREFIX, ReadRequestError},
    usage::Usage,
};

/// Reads a request; the model and our extensions are the worker's.
pub(crate) fn read_request(body: &[u8]) -> Result<EmbeddingRequest<'_>, ReadRequestError> {
    let mut members = Members::read("", body)?;
    members.take("model");
    let inputs = members.take("input").and_then(read_inputs);
    let inputs = inputs.ok_or_else(|| members.wrong("input", "a text or a list of texts; ids of tokens can't be converted"))?;
    let shape = match members.text("encoding_format")?.as_deref() {
        None | Some("float") => Shape::Numbers,
        Some("base64") => Shape::Base64,
        Some(_) => return Err(members.wrong("encoding_format", "`float` or `base64`")),
    };
    let dimensions = members.count("dimensions")?;
    let end_user = members.text("user")?;
    let rest = members.rest().filter(|(name, _)| !name.as_bytes().starts_with(PREFIX));
    let others = rest.map(|(name, value)| (name, Cow::Borrowed(value))).collect();
    Ok(EmbeddingRequest { inputs, dimensions, end_user, shape, others })
}

fn read_inputs(input: &RawValue) -> Option<Vec<Cow<'_, str>>> {
    if let Some(text) = text_of(input) {
        return Some(vec![text]);
    }
    let texts: Vec<&RawValue> = serde_json::from_str(input.get()).ok()?;
    texts.into_iter().map(text_of).collect()
}

/// Writes the request body for `model`. Vectors are asked for as numbers, which any caller can have.
pub(crate) fn write_request(request: &EmbeddingRequest<'_>, model: &str, _dropped: &mut Dropped) -> Vec<u8> {
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member("model", model).member("input", &request.inputs);
        body.optional("dimensions", request.dimensions).optional("user", request.end_user.as_deref());
    });
    out
}

/// Reads an answer.
pub(crate) fn read_answer(body: &[u8]) -> Result<EmbeddingAnswer<'_>, ReadAnswerError> {
    let mut members = Members::read("", body)?;
    let elements = members.array("data")?.ok_or_else(|| members.wrong("data", "an array"))?;
    let mut vectors = Vec::with_capacity(elements.len());
    for (number, element) in elements.into_iter().enumerate() {
        let mut element = Members::read(&format!("data[{number}]"), element.get().as_bytes())?;
        let index = element.count("index")?.unwrap_or(u32::try_from(number).unwrap_or(u32::MAX));
        let vector = element.take("embedding").and_then(Vector::read);
        vectors.push((index, vector.ok_or_else(|| element.wrong("embedding", VectorError::EXPECTED))?));
    }
    vectors.sort_by_key(|(index, _)| *index);
    let usage = members.object("usage")?.map(|mut report| {
        let mut count = |name: &str| report.take(name)?.get().parse().ok();
        Usage { input_tokens: count("prompt_tokens"), total_tokens: count("total_tokens"), ..Usage::default() }
    });
    Ok(EmbeddingAnswer { vectors: vectors.into_iter().map(|(_, vector)| vector).collect(), usage })
}

/// Writes an answer.
pub(crate) fn write_answer(answer: &EmbeddingAnswer<'_>, shape: Shape, stamp: &Stamp<'_>) -> Result<Vec<u8>, VectorError> {
    let mut out = Vec::new();
    let mut failed = None;
    writing::object(&mut out, |body| {
        body.member("object", "list").array("data", |data| {
            for (index, vector) in answer.vectors.iter().enumerate() {
                data.object(|item| {
                    item.member("object", "embedding").member("index", index);
                    let written = match shape {
                        Shape::Base64 => vector.base64().map(|text| {
                            item.member("embedding", text);
                        }),
                        Shape::Numbers | Shape::Single => vector.numbers().map(|list| {
                            item.member("embedding", list);
                        }),
                    };
                    failed = failed.or(written.err());
                });
            }
        });
        body.member("model", stamp.model);
        if let Some(usage) = &answer.usage {
            body.object("usage", |report| {
                report.optional("prompt_tokens", usage.input_tokens);
                report.optional("total_tokens", usage.total_tokens.or(usage.input_tokens));
            });
        }
    });
    failed.map_or(Ok(out), Err)
}
