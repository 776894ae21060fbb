//! JSON → manifest, with the place of what can't be read.

use policy::source::Manifest;
use serde_json::Value;

use super::super::{Misread, OperationError, read_value};

/// Reads a manifest. Secrets are already in it: references to the environment or to files were resolved by who sent it.
///
/// # Errors
/// The first member that can't be read, named by its place.
pub(crate) fn read_manifest(value: Value) -> Result<Manifest, OperationError> {
    let invalid = |Misread { path, problem }| OperationError::invalid(path.unwrap_or_else(|| "manifest".to_owned()), problem);
    read_value(value).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_read_is_named_by_its_place() {
        for (manifest, place, word) in [
            (
                json!({"org": "default", "projects": [{"name": "a"}, {"name": "b", "keys": [{"name": "ci", "rmp": 3}]}]}),
                "projects[1].keys[0].rmp",
                "rmp",
            ),
            (
                json!({"org": "default", "routing_configs": [{"slug": "a", "strategy": "fallback", "attempts": [{"model": "a/b", "timeout_ms": -1}]}]}),
                "routing_configs[0].attempts[0].timeout_ms",
                "expected u64",
            ),
            (
                json!({"org": "default", "routing_configs": [{"slug": "a", "strategy": "single"}]}),
                "routing_configs[0]",
                "routing config `a`: strategy `single` needs `model`",
            ),
            (json!({"org": "default", "provider": []}), "provider", "unknown field"),
            (json!([]), "manifest", "expected struct Manifest"),
        ] {
            match read_manifest(manifest).unwrap_err() {
                OperationError::Invalid { field, message } => {
                    assert_eq!(field, place, "{message}");
                    assert!(message.contains(word), "{message}");
                }
                other => panic!("{other}"),
            }
        }
    }
}
