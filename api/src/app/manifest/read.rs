//! JSON → manifest, with the place of what can't be read.

use policy::source::{Budget, Manifest, Member, Model, Project, Provider, RoutingConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::OperationError;

/// Reads a manifest. Secrets are already in it: references to the environment or to files were resolved by who sent it.
///
/// # Errors
/// The first section or element that can't be read, named by its place.
pub(crate) fn read_manifest(value: Value) -> Result<Manifest, OperationError> {
    let located = locate(&value);
    serde_json::from_value(value).map_err(|error| match located {
        Some((field, message)) => OperationError::invalid(field, message),
        None => OperationError::invalid("manifest", error.to_string()),
    })
}

/// The first element that can't be read on its own, and why.
fn locate(value: &Value) -> Option<(String, String)> {
    element::<Provider>(value, "providers")
        .or_else(|| element::<Model>(value, "models"))
        .or_else(|| element::<RoutingConfig>(value, "routing_configs"))
        .or_else(|| projects(value))
        .or_else(|| element::<Budget>(value, "budgets"))
        .or_else(|| element::<Member>(value, "members"))
}

fn element<T: DeserializeOwned>(parent: &Value, section: &str) -> Option<(String, String)> {
    let items = parent.get(section)?.as_array()?;
    items.iter().enumerate().find_map(|(index, item)| {
        let error = serde_json::from_value::<T>(item.clone()).err()?;
        Some((format!("{section}[{index}]"), error.to_string()))
    })
}

fn projects(value: &Value) -> Option<(String, String)> {
    let items = value.get("projects")?.as_array()?;
    let inner = items.iter().enumerate().find_map(|(index, project)| {
        let (place, message) =
            element::<RoutingConfig>(project, "routing_configs").or_else(|| element::<policy::source::Key>(project, "keys"))?;
        Some((format!("projects[{index}].{place}"), message))
    });
    inner.or_else(|| element::<Project>(value, "projects"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_read_is_named_by_its_place() {
        let manifest = json!({"org": "default", "projects": [{"name": "a"}, {"name": "b", "keys": [{"name": "ci", "rmp": 3}]}]});
        match read_manifest(manifest).unwrap_err() {
            OperationError::Invalid { field, message } => {
                assert_eq!(field, "projects[1].keys[0]");
                assert!(message.contains("rmp"), "{message}");
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_unknown_section_is_refused() {
        assert!(read_manifest(json!({"org": "default", "provider": []})).is_err());
    }
}
