//! Names: what they may look like, and that nothing is named twice.

use super::{Index, Rejections};
use crate::source::Organization;

/// Names are used in `provider/model`, `project/key` and `@slug`, in headers and in URLs: short, and without characters that mean something there.
fn check_name(resource: &'static str, name: &str, rejections: &mut Rejections) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !starts_well || name.len() > 64 || !name.bytes().all(plain) {
        let message = "a name is 1 to 64 letters, digits, `-`, `_` or `.`, starting with a letter or digit";
        let shown: String = name.chars().take(70).collect();
        rejections.add(resource, &shown, "name", message);
    }
}

/// Indexes projects, keys, configs and budgets by name and refuses doubles. Positions are those of the compiled lists.
pub(super) fn index_names<'a>(organization: &'a Organization, index: &mut Index<'a>, rejections: &mut Rejections) {
    let mut next_config = 0_u32;
    let mut index_config = |index: &mut Index<'a>, rejections: &mut Rejections, project: Option<u32>, slug: &'a str| {
        check_name("routing_config", slug, rejections);
        if index.configs.insert((project, slug), next_config).is_some() {
            rejections.add("routing_config", slug, "slug", "this slug is there twice");
        }
        next_config = next_config.saturating_add(1);
    };
    for record in &organization.routing_configs {
        index_config(index, rejections, None, &record.config.slug);
    }
    let mut next_key = 0_u32;
    for (position, record) in (0_u32..).zip(&organization.projects) {
        let name = record.project.name.as_str();
        check_name("project", name, rejections);
        if index.projects.insert(name, position).is_some() {
            rejections.add("project", name, "name", "this project is there twice");
        }
        for config in &record.routing_configs {
            index_config(index, rejections, Some(position), &config.config.slug);
        }
        for key in &record.keys {
            let full = format!("{name}/{}", key.key.name);
            check_name("key", &key.key.name, rejections);
            if index.keys.insert(full, next_key).is_some() {
                rejections.add("key", &key.key.name, "name", format!("project `{name}` has this key twice"));
            }
            next_key = next_key.saturating_add(1);
        }
    }
    for (position, record) in (0_u32..).zip(&organization.budgets) {
        check_name("budget", &record.budget.name, rejections);
        if index.budgets.insert(&record.budget.name, position).is_some() {
            rejections.add("budget", &record.budget.name, "name", "this budget is there twice");
        }
    }
}

/// Checks a provider's name; called where providers are compiled, which is before the other names are known.
pub(super) fn check_provider_name(name: &str, rejections: &mut Rejections) {
    check_name("provider", name, rejections);
}
