//! Projects and keys.

use std::sync::Arc;

use super::guardrails::compile_guardrails;
use super::{Index, Rejections, references};
use crate::bundle::v1;
use crate::facts::Tags;
use crate::source::{KeyRecord, Organization};

/// Tags are compared and logged on every request, so they stay short.
const MAX_TAG_LENGTH: usize = 256;
const MAX_TAGS: usize = 64;

pub(super) fn compile_projects(
    organization: &Organization,
    index: &Index<'_>,
    configs: &[v1::Config],
    rejections: &mut Rejections,
) -> (Vec<v1::Project>, Vec<v1::Key>) {
    let mut projects = Vec::with_capacity(organization.projects.len());
    let mut keys = Vec::new();
    for (position, record) in (0_u32..).zip(&organization.projects) {
        let project = &record.project;
        let entry_policy = project.settings.entry_policy.as_deref().and_then(|reference| {
            references::entry_policy(reference, Some(position), index, configs)
                .map_err(|message| rejections.add("project", &project.name, "settings.entry_policy", message))
                .ok()
        });
        projects.push(v1::Project {
            id: Arc::from(record.id.as_str()),
            name: Arc::from(project.name.as_str()),
            tags: compile_tags("project", &project.name, &project.tags, rejections),
            entry_policy,
            auto_resolve_bare_model: project.settings.auto_resolve_bare_model,
            strict_capabilities: project.settings.strict_capabilities,
            guardrails: compile_guardrails(record, organization.settings.deny_private_upstreams, rejections),
        });
        keys.extend(record.keys.iter().map(|key| compile_key(position, key, rejections)));
    }
    (projects, keys)
}

fn compile_key(project: u32, record: &KeyRecord, rejections: &mut Rejections) -> v1::Key {
    let key = &record.key;
    if key.rpm == Some(0) {
        rejections.add("key", &key.name, "rpm", "must be more than 0; leave it out for no limit");
    }
    if key.allowed_models.is_empty() {
        rejections.add("key", &key.name, "allowed_models", "an empty list allows nothing; write `[\"*\"]` to allow every model");
    }
    v1::Key {
        id: Arc::from(record.id.as_str()),
        hash: record.hash.clone(),
        project,
        name: Arc::from(key.name.as_str()),
        owner: Arc::from(key.owner.as_deref().unwrap_or_default()),
        tags: compile_tags("key", &key.name, &key.tags, rejections),
        rpm: key.rpm,
        expires: key.expires.map(|expiry| expiry.0),
        allowed_models: key.allowed_models.clone(),
        ip_allowlist: key.ip_allowlist.clone(),
    }
}

fn compile_tags(resource: &'static str, name: &str, tags: &indexmap::IndexMap<String, String>, rejections: &mut Rejections) -> Tags {
    if tags.len() > MAX_TAGS {
        rejections.add(resource, name, "tags", format!("at most {MAX_TAGS} tags"));
    }
    for (tag, value) in tags {
        if tag.is_empty() || tag.len() > MAX_TAG_LENGTH || value.len() > MAX_TAG_LENGTH {
            rejections.add(
                resource,
                name,
                format!("tags.{tag}"),
                format!("a tag has a name, and name and value have at most {MAX_TAG_LENGTH} bytes"),
            );
        }
    }
    tags.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect()
}
