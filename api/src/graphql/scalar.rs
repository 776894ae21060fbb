//! Scalars of our own, and shapes that several resources share.

use async_graphql::{InputObject, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value};
use indexmap::IndexMap;
use policy::money::{NanoUsd, Usd};
use serde::Serialize;

use crate::app::OperationError;

/// US dollars as an exact decimal string, such as "12.50". Accepts a number too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct UsdAmount(String);

#[Scalar(name = "Usd")]
impl ScalarType for UsdAmount {
    /// Takes any text, so that what is no amount is refused with the name of its field ([`UsdAmount::read`]).
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

impl UsdAmount {
    pub(super) fn from_nanos(nanos: i64) -> Self {
        NanoUsd::from_nanos(nanos).into()
    }

    /// The amount that a caller wrote into `field`.
    pub(super) fn read(&self, field: &str) -> Result<Usd, OperationError> {
        self.0.parse().map(Usd).map_err(|error: policy::money::MoneyError| OperationError::invalid(field, error.to_string()))
    }
}

impl From<NanoUsd> for UsdAmount {
    fn from(amount: NanoUsd) -> Self {
        Self(amount.to_string())
    }
}

/// A tag and its value.
#[derive(Debug, Clone, SimpleObject)]
pub(super) struct Tag {
    /// The tag.
    pub(super) name: String,
    /// Its value.
    pub(super) value: String,
}

/// A tag and its value.
#[derive(Debug, Clone, InputObject, Serialize)]
pub(super) struct TagInput {
    /// The tag.
    pub(super) name: String,
    /// Its value.
    pub(super) value: String,
}

/// Tags as they are stored: an object of strings.
pub(super) fn tags_of(stored: &serde_json::Value) -> Vec<Tag> {
    let fields = stored.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some(Tag { name: name.clone(), value: value.as_str()?.to_owned() })).collect()
}

/// Tags as they are declared.
pub(super) fn tags_from(tags: Vec<TagInput>) -> IndexMap<String, String> {
    tags.into_iter().map(|tag| (tag.name, tag.value)).collect()
}

/// Texts of a stored array.
pub(super) fn texts_of(stored: &serde_json::Value) -> Vec<String> {
    stored.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A project or key as a request saw it.
#[derive(Debug, Clone, SimpleObject)]
pub(super) struct NamedReference {
    /// Prefixed id.
    pub(super) id: String,
    /// What it was called then.
    pub(super) name: String,
}
