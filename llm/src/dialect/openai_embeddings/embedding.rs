//! Embeddings of our own, for the simulated provider.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::to_json;
use crate::{
    json::{Cursor, Kind},
    request::{Field, ReadRequestError},
    response::{EmbeddingRequest, Embeddings},
};

pub(in crate::dialect) fn read_embedding_request(body: &[u8]) -> Result<EmbeddingRequest<'_>, ReadRequestError> {
    let mut request = EmbeddingRequest { inputs: Vec::new(), dimensions: None, base64: false, batched: true };
    let mut cursor = Cursor::new(body);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        match &*key.key_bytes() {
            b"input" => request.inputs = inputs(value.raw())?,
            b"dimensions" => request.dimensions = Field::top("dimensions", value).count(1, "a whole number from 1 to 4294967295")?,
            b"encoding_format" => request.base64 = value.is_text("base64"),
            _ => {}
        }
    }
    Ok(request)
}

/// One text, several, one list of tokens, or several.
fn inputs(input: &[u8]) -> Result<Vec<&[u8]>, ReadRequestError> {
    let mut cursor = Cursor::new(input);
    if cursor.kind()? != Kind::Array {
        return Ok(vec![input]);
    }
    let mut inputs = Vec::new();
    let mut walk = cursor.begin_array()?;
    while cursor.next_element(&mut walk)? {
        let element = cursor.value()?;
        if element.kind() == Kind::Number {
            return Ok(vec![input]);
        }
        if inputs.len() >= EmbeddingRequest::MOST_INPUTS {
            return Err(ReadRequestError::WrongType { field: "input".to_owned(), expected: "an array of at most 2048 inputs" });
        }
        inputs.push(element.raw());
    }
    Ok(inputs)
}

pub(in crate::dialect) fn write_embeddings(embeddings: &Embeddings<'_>) -> Bytes {
    let items: Vec<Value> = (0_u64..)
        .zip(&embeddings.vectors)
        .map(|(index, vector)| {
            let embedding = if embeddings.base64 { json!(in_base64(vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens = embeddings.usage.input_tokens.unwrap_or(0);
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    to_json(&json!({"object": "list", "data": items, "model": embeddings.model, "usage": usage}))
}

fn in_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}
