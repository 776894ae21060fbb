//! Embeddings of our own, one (`embedContent`) or a batch (`batchEmbedContents`).

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    dialect::to_json,
    json::{Cursor, Value as Member},
    request::{Field, ReadRequestError},
    response::{EmbeddingRequest, Embeddings},
};

pub(in crate::dialect) fn read_embedding_request(body: &[u8]) -> Result<EmbeddingRequest<'_>, ReadRequestError> {
    let mut request = EmbeddingRequest { inputs: Vec::new(), dimensions: None, base64: false, batched: false };
    let mut cursor = Cursor::new(body);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        if key.is_text("requests") {
            request.batched = true;
            let mut elements = cursor.begin_array()?;
            while cursor.next_element(&mut elements)? {
                take_one(&mut cursor, &mut request)?;
            }
        } else {
            let value = cursor.value()?;
            take(&key.key_bytes(), value, &mut request)?;
        }
    }
    Ok(request)
}

fn take_one<'a>(cursor: &mut Cursor<'a>, request: &mut EmbeddingRequest<'a>) -> Result<(), ReadRequestError> {
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        take(&key.key_bytes(), value, request)?;
    }
    Ok(())
}

/// In a batch the last number of dimensions counts for all.
fn take<'a>(name: &[u8], value: Member<'a>, request: &mut EmbeddingRequest<'a>) -> Result<(), ReadRequestError> {
    match name {
        b"content" if request.inputs.len() >= EmbeddingRequest::MOST_INPUTS => {
            return Err(ReadRequestError::WrongType { field: "requests".to_owned(), expected: "an array of at most 2048 requests" });
        }
        b"content" => request.inputs.push(value.raw()),
        b"outputDimensionality" | b"output_dimensionality" => {
            request.dimensions = Field::top("outputDimensionality", value).count(1, "a whole number from 1 to 4294967295")?;
        }
        _ => {}
    }
    Ok(())
}

pub(in crate::dialect) fn write_embeddings(embeddings: &Embeddings<'_>) -> Bytes {
    let values = |vector: &Vec<f32>| json!({"values": vector});
    let usage = json!({"promptTokenCount": embeddings.usage.input_tokens.unwrap_or(0)});
    let all: Vec<Value> = embeddings.vectors.iter().map(values).collect();
    let body = match (embeddings.batched, all.first()) {
        (false, Some(one)) => json!({"embedding": one, "usageMetadata": usage}),
        _ => json!({"embeddings": all, "usageMetadata": usage}),
    };
    to_json(&body)
}
