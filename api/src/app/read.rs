//! JSON → what it declares, with the place of what can't be read.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::OperationError;

/// Why a value can't be read.
pub(crate) struct Misread {
    /// From the outside to what does not fit; none where that is all of it.
    pub(crate) path: Option<String>,
    pub(crate) problem: String,
}

/// Reads a value.
pub(crate) fn read_value<T: DeserializeOwned>(value: Value) -> Result<T, Misread> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let at_root = error.path().iter().len() == 0;
        Misread { path: (!at_root).then(|| error.path().to_string()), problem: error.into_inner().to_string() }
    })
}

/// Reads the value of an input's `field`; what does not fit is named from there on, such as `document.attempts[0].timeout_ms`.
pub(crate) fn read_field<T: DeserializeOwned>(field: &str, value: Value) -> Result<T, OperationError> {
    read_value(value).map_err(|Misread { path, problem }| {
        let place = match path {
            None => field.to_owned(),
            Some(path) if path.starts_with('[') => format!("{field}{path}"),
            Some(path) => format!("{field}.{path}"),
        };
        OperationError::invalid(place, problem)
    })
}

#[cfg(test)]
mod tests {
    use policy::source::{Budget, Fraction, RoutingDocument};
    use serde_json::json;

    use super::*;

    fn place<T: DeserializeOwned>(field: &str, value: Value) -> String {
        match read_field::<T>(field, value) {
            Err(OperationError::Invalid { field, .. }) => field,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("read"),
        }
    }

    #[test]
    fn what_does_not_fit_is_named_from_the_field_on() {
        let attempt = json!({"strategy": "fallback", "attempts": [{"model": "a/b", "timeout_ms": -1}]});
        assert_eq!(place::<RoutingDocument>("document", attempt), "document.attempts[0].timeout_ms");
        let rule = json!({"strategy": "custom_rules", "rules": [{"if": "true", "then": "pass"}, {"if": 7, "then": "pass"}]});
        assert_eq!(place::<RoutingDocument>("document", rule), "document.rules[1].if");
        assert_eq!(place::<RoutingDocument>("document", json!({"strategy": "single"})), "document");
        assert_eq!(place::<Vec<Fraction>>("thresholds", json!([0.5, "x"])), "thresholds[1]");
        assert_eq!(place::<Budget>("budget", json!(7)), "budget");
    }
}
