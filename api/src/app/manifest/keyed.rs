//! A manifest with its lists turned into objects by name, so that a diff names what changed instead of a place in a list.

use entity::{project, provider};
use policy::source::{Manifest, Organization};
use serde_json::{Map, Value};

use super::super::OperationError;
use super::super::change::Change;
use super::super::document::hash_digest;
use super::super::project::webhook_in;
use crate::store;

/// The manifest by names.
pub(super) fn document(manifest: &Manifest) -> Result<Value, OperationError> {
    let mut value = serde_json::to_value(manifest)?;
    let Some(sections) = value.as_object_mut() else { return Ok(value) };
    for (section, key) in
        [("providers", "name"), ("models", "model"), ("routing_configs", "slug"), ("budgets", "name"), ("members", "email")]
    {
        by_name(sections, section, key);
    }
    by_name(sections, "projects", "name");
    if let Some(projects) = sections.get_mut("projects").and_then(Value::as_object_mut) {
        for project in projects.values_mut().filter_map(Value::as_object_mut) {
            by_name(project, "routing_configs", "slug");
            by_name(project, "keys", "name");
        }
    }
    sections.remove("webhooks");
    sections.remove("exports");
    Ok(value)
}

fn by_name(parent: &mut Map<String, Value>, section: &str, key: &str) {
    let Some(Value::Array(items)) = parent.remove(section) else { return };
    let named = items.into_iter().filter_map(|mut item| {
        let name = item.as_object_mut()?.remove(key)?;
        Some((name.as_str()?.to_owned(), item))
    });
    parent.insert(section.to_owned(), Value::Object(named.collect()));
}

/// Puts the digests of provider credentials where the credentials would be.
pub(super) async fn add_provider_digests(change: &Change<'_>, document: &mut Value) -> Result<(), OperationError> {
    for row in store::select::<provider::Entity>(change.ctx.scope()).all(&change.tx).await? {
        let entry = document.pointer_mut("/providers").and_then(|providers| providers.get_mut(&row.name)).and_then(Value::as_object_mut);
        if let (Some(entry), Some(digest)) = (entry, row.secret_digest) {
            entry.insert("api_key".to_owned(), Value::String(digest));
        }
    }
    Ok(())
}

/// Puts the digests of webhooks' secrets where the secrets would be.
pub(super) async fn add_webhook_digests(change: &Change<'_>, document: &mut Value) -> Result<(), OperationError> {
    for row in store::select::<project::Entity>(change.ctx.scope()).all(&change.tx).await? {
        let settings = document.pointer_mut("/projects").and_then(|projects| projects.get_mut(&row.name)?.get_mut("settings"));
        if let (Some(webhook), Some(digest)) = (settings.and_then(webhook_in), row.webhook_secret_digest) {
            webhook.insert("secret".to_owned(), Value::String(digest));
        }
    }
    Ok(())
}

/// Puts digests of proxy keys beside them, so that a new secret shows.
pub(super) fn add_key_digests(source: &Organization, document: &mut Value) {
    let Some(projects) = document.get_mut("projects") else { return };
    for project in &source.projects {
        let Some(keys) = projects.get_mut(&project.project.name).and_then(|project| project.get_mut("keys")) else { continue };
        for record in &project.keys {
            if let Some(key) = keys.get_mut(&record.key.name).and_then(Value::as_object_mut) {
                key.insert("secret".to_owned(), hash_digest(&record.hash));
            }
        }
    }
}
