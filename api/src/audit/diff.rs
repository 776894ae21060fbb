//! RFC 6902 with old values.

use json_patch::PatchOperation;
use serde_json::{Value, json};

/// What changes `before` into `after`: RFC 6902, where `replace` and `remove` also carry the old value as `was`. Nothing before is an `add`
/// of the whole document, nothing after a `remove` of it.
#[must_use]
pub fn diff(before: Option<&Value>, after: Option<&Value>) -> Value {
    match (before, after) {
        (None, None) => json!([]),
        (None, Some(after)) => json!([{"op": "add", "path": "", "value": after}]),
        (Some(before), None) => json!([{"op": "remove", "path": "", "was": before}]),
        (Some(before), Some(after)) => changes(before, after),
    }
}

fn changes(before: &Value, after: &Value) -> Value {
    let patch = json_patch::diff(before, after);
    // A path means the document as the operations before it have left it, so the old value is read from there.
    let mut document = before.clone();
    let mut operations = Vec::with_capacity(patch.0.len());
    for operation in patch.0 {
        operations.push(with_old_value(&operation, &document));
        // A patch made of these two documents applies to the first of them.
        if json_patch::patch(&mut document, &[operation]).is_err() {
            break;
        }
    }
    Value::Array(operations)
}

fn with_old_value(operation: &PatchOperation, document: &Value) -> Value {
    let was = |path: &str| document.pointer(path).cloned().unwrap_or_default();
    match operation {
        PatchOperation::Add(add) => json!({"op": "add", "path": add.path.as_str(), "value": add.value}),
        PatchOperation::Remove(remove) => json!({"op": "remove", "path": remove.path.as_str(), "was": was(remove.path.as_str())}),
        PatchOperation::Replace(replace) => {
            json!({"op": "replace", "path": replace.path.as_str(), "value": replace.value, "was": was(replace.path.as_str())})
        }
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_value_comes_with_the_old_one() {
        let diff = diff(Some(&json!({"cap_usd": "10", "name": "a"})), Some(&json!({"cap_usd": "20", "name": "a"})));
        assert_eq!(diff, json!([{"op": "replace", "path": "/cap_usd", "value": "20", "was": "10"}]));
    }

    #[test]
    fn elements_removed_from_a_list_come_with_their_own_old_values() {
        let diff = diff(Some(&json!({"l": [1, 2, 3]})), Some(&json!({"l": [3]})));
        let mut document = json!({"l": [1, 2, 3]});
        let patch: json_patch::Patch = serde_json::from_value(diff.clone()).unwrap();
        json_patch::patch(&mut document, &patch).unwrap();
        assert_eq!(document, json!({"l": [3]}));
        assert!(diff.as_array().unwrap().iter().all(|op| op["op"] == "add" || op.get("was").is_some()), "{diff}");
    }

    #[test]
    fn making_and_removing_say_the_whole_document() {
        assert_eq!(diff(None, Some(&json!({"a": 1})))[0]["op"], "add");
        assert_eq!(diff(Some(&json!({"a": 1})), None)[0]["was"], json!({"a": 1}));
    }
}
