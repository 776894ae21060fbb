//! Documents that audit events compare: a resource as it is declared, with its id, and secrets as digests.

use serde::Serialize;
use serde_json::Value;

use super::OperationError;

/// The declared form of a resource as an object, with more members.
pub(super) fn document<S: Serialize>(source: &S, more: &[(&str, Value)]) -> Result<Value, OperationError> {
    let mut value = serde_json::to_value(source)?;
    if let Value::Object(fields) = &mut value {
        for (name, member) in more {
            fields.insert((*name).to_owned(), member.clone());
        }
    }
    Ok(value)
}

/// What stands for a hashed key: enough to see that it changed, too little to be of use.
pub(super) fn hash_digest(hash: &str) -> Value {
    Value::String(format!("sha256:{}", hash.get(..16).unwrap_or(hash)))
}
