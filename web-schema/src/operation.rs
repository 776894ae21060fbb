//! What goes over the wire around every operation.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One operation: a document, what it takes, what it answers. The value is its variables.
pub trait Operation: Serialize {
    /// In GraphQL.
    const DOCUMENT: &'static str;
    /// Its `data`.
    type Answer: DeserializeOwned;
}

/// The body of a call.
#[derive(Debug, Serialize)]
pub struct Request<'a, O> {
    query: &'static str,
    variables: &'a O,
}

impl<'a, O: Operation> Request<'a, O> {
    /// A call of `operation`.
    pub const fn new(operation: &'a O) -> Self {
        Self { query: O::DOCUMENT, variables: operation }
    }
}

/// The body of an answer.
#[derive(Debug, Deserialize)]
pub struct Response<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<WireError>,
}

impl<T> Response<T> {
    /// What was asked for, or the first reason why not.
    ///
    /// # Errors
    /// When the control plane refused.
    pub fn into_result(self) -> Result<T, Refusal> {
        match (self.data, self.errors.into_iter().next()) {
            (_, Some(error)) => Err(error.into()),
            (Some(data), None) => Ok(data),
            (None, None) => Err(Refusal {
                message: "the answer has neither data nor errors".to_owned(),
                code: None,
                field: None,
                rejections: Vec::new(),
            }),
        }
    }
}

/// The control plane's no.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For people.
    pub message: String,
    /// `UNAUTHENTICATED`, `FORBIDDEN`, `NOT_FOUND`, `CONFLICT`, `INVALID`, `RATE_LIMITED` or `INTERNAL`.
    pub code: Option<String>,
    /// The input field that is to blame.
    pub field: Option<String>,
    /// What does not compile: `resource`, `name`, `field` and `message` each.
    pub rejections: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct WireError {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Extensions {
    code: Option<String>,
    field: Option<String>,
    rejections: Vec<Value>,
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        let WireError { message, extensions: Extensions { code, field, rejections } } = error;
        Self { message, code, field, rejections }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code_and_field() {
        let body = r#"{"data":null,"errors":[{"message":"no","extensions":{"code":"INVALID","field":"name"}}]}"#;
        let refusal = serde_json::from_str::<Response<Value>>(body).unwrap().into_result().unwrap_err();
        assert_eq!((refusal.code.as_deref(), refusal.field.as_deref()), (Some("INVALID"), Some("name")));
    }
}
