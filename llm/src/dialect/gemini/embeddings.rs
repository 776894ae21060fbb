//! Embeddings: `embedContent` and `batchEmbedContents`, to and from the form in the middle.
//!
//! Leaves out: contents that are no text, and Vertex's `predict`, which is another API.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    content::{Piece, PieceReader},
    fields::Fields,
};
use crate::{
    convert::{
        Dropped, Feature, Json, ReadAnswerError, Stamp,
        embeddings::{EmbeddingAnswer, EmbeddingRequest, Shape, Vector, VectorError},
        writing,
    },
    request::{PREFIX, ReadRequestError},
    usage::Usage,
};

/// Reads a request, for one content or for many; the model and our extensions are the worker's.
pub(crate) fn read_request(body: &[u8]) -> Result<EmbeddingRequest<'_>, ReadRequestError> {
    let mut fields = Fields::read_body(body)?;
    let mut request = EmbeddingRequest { inputs: Vec::new(), dimensions: None, end_user: None, shape: Shape::Single, others: Vec::new() };
    let requests = fields.list("requests")?;
    if requests.is_empty() {
        read_one(fields, &mut request)?;
        return Ok(request);
    }
    request.shape = Shape::Numbers;
    for (number, one) in requests.into_iter().enumerate() {
        read_one(Fields::read(&format!("requests[{number}]"), one)?, &mut request)?;
    }
    keep_rest(fields, &mut request);
    Ok(request)
}

fn read_one<'a>(mut one: Fields<'a>, request: &mut EmbeddingRequest<'a>) -> Result<(), ReadRequestError> {
    one.take("model")?;
    let mut content = one.object("content")?.ok_or_else(|| one.wrong("content", "an object"))?;
    let text = read_text(&mut content)?;
    let dimensions = one.count("outputDimensionality")?;
    if !request.inputs.is_empty() && request.dimensions != dimensions {
        return Err(one.wrong("outputDimensionality", "the same in all requests"));
    }
    request.inputs.push(text);
    request.dimensions = dimensions;
    keep_rest(one, request);
    Ok(())
}

/// The text of a content; the parts of one are one text.
fn read_text<'a>(content: &mut Fields<'a>) -> Result<Cow<'a, str>, ReadRequestError> {
    let mut text = Cow::Borrowed("");
    for piece in PieceReader::default().read_parts(content)? {
        match piece {
            Piece::Text(more) if text.is_empty() => text = more,
            Piece::Text(more) => {
                let joined = text.to_mut();
                joined.push('\n');
                joined.push_str(&more);
            }
            _ => return Err(content.wrong("parts", "texts; nothing else can be embedded by another provider")),
        }
    }
    Ok(text)
}

/// Members of each request are named without its number.
fn keep_rest<'a>(fields: Fields<'a>, request: &mut EmbeddingRequest<'a>) {
    for (path, value) in fields.rest().filter(|(name, _)| !name.as_bytes().starts_with(PREFIX)) {
        let name = path.rsplit('.').next().unwrap_or_default().to_owned();
        request.others.push((Cow::Owned(name), Json::Borrowed(value)));
    }
}

/// Writes the request body of `batchEmbedContents` for `model`.
pub(crate) fn write_request(request: &EmbeddingRequest<'_>, model: &str, dropped: &mut Dropped) -> Vec<u8> {
    if request.end_user.is_some() {
        dropped.note(Feature::EndUser);
    }
    let model = if model.contains('/') { Cow::Borrowed(model) } else { Cow::Owned(format!("models/{model}")) };
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.array("requests", |requests| {
            for input in &request.inputs {
                requests.object(|one| {
                    one.member("model", &*model).object("content", |content| {
                        content.array("parts", |parts| {
                            parts.object(|part| {
                                part.member("text", input);
                            });
                        });
                    });
                    one.optional("outputDimensionality", request.dimensions);
                });
            }
        });
    });
    out
}

/// Reads an answer, of one content or of many.
pub(crate) fn read_answer(body: &[u8]) -> Result<EmbeddingAnswer<'_>, ReadAnswerError> {
    let mut fields = Fields::read_body(body)?;
    let mut elements = fields.list("embedding")?;
    elements.extend(fields.list("embeddings")?);
    if elements.is_empty() {
        return Err(fields.wrong("embeddings", "an array").into());
    }
    let vectors = elements.into_iter().enumerate().map(|(number, element)| read_vector(number, element)).collect::<Result<_, _>>()?;
    let usage = fields.object("usageMetadata")?.map(|mut report| {
        let input_tokens = report.take("promptTokenCount").ok().flatten().and_then(|count| count.get().parse().ok());
        Usage { input_tokens, total_tokens: input_tokens, ..Usage::default() }
    });
    Ok(EmbeddingAnswer { vectors, usage })
}

fn read_vector(number: usize, element: &RawValue) -> Result<Vector<'_>, ReadAnswerError> {
    let mut element = Fields::read(&format!("embeddings[{number}]"), element)?;
    let values = element.take("values")?.and_then(Vector::read);
    values.ok_or_else(|| element.wrong("values", "an array of numbers").into())
}

/// Writes an answer: the vector alone to who asked for one, else a list.
pub(crate) fn write_answer(answer: &EmbeddingAnswer<'_>, shape: Shape, _stamp: &Stamp<'_>) -> Result<Vec<u8>, VectorError> {
    let vectors = answer.vectors.iter().map(Vector::numbers).collect::<Result<Vec<_>, _>>()?;
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        match (shape, vectors.as_slice()) {
            (Shape::Single, [only]) => {
                body.object("embedding", |embedding| {
                    embedding.member("values", only);
                });
            }
            (_, all) => {
                body.array("embeddings", |list| {
                    for vector in all {
                        list.object(|embedding| {
                            embedding.member("values", vector);
                        });
                    }
                });
            }
        }
        if let Some(input) = answer.usage.and_then(|usage| usage.input_tokens) {
            body.object("usageMetadata", |report| {
                report.member("promptTokenCount", input);
            });
        }
    });
    Ok(out)
}
