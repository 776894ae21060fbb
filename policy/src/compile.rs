//! From what operators meant to what workers enforce.
//!
//! [`compile`] resolves names to indices, checks every field and every expression, and either gives a whole bundle or every reason why
//! not: it never stops at the first mistake and never gives half a bundle. Each [`Rejection`] names resource and field, because it is
//! what a person sees beside the line they wrote.

mod budgets;
mod cascade;
mod ensemble;
mod guardrails;
mod health_check;
mod models;
mod names;
mod projects;
mod references;
mod routing;
mod selection;

pub use models::{check_base_url, upstream_address_refusal};
pub(crate) use routing::kind_of as rule_kind;

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::bundle::v1;
use crate::catalogue::{CEILING, undated};
use crate::source::{Organization, Settings, UnpricedModels};

/// One reason why a source can't be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Kind of resource: `provider`, `routing_config`, `budget`, …
    pub resource: &'static str,
    /// Its name; empty for the organization itself.
    pub name: String,
    /// The field, with a path into lists: `rules[2].if`.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "{}, field `{}`: {}", self.resource, self.field, self.message)
        } else {
            write!(f, "{} `{}`, field `{}`: {}", self.resource, self.name, self.field, self.message)
        }
    }
}

/// Collects rejections while compilation goes on.
#[derive(Debug, Default)]
struct Rejections(Vec<Rejection>);

impl Rejections {
    fn add(&mut self, resource: &'static str, name: &str, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Rejection { resource, name: name.to_owned(), field: field.into(), message: message.into() });
    }
}

/// Names already resolved, which later parts refer to.
#[derive(Debug, Default)]
struct Index<'a> {
    providers: HashMap<&'a str, u32>,
    projects: HashMap<&'a str, u32>,
    /// By `project/key`.
    keys: HashMap<String, u32>,
    /// By project (none for the organization's) and slug.
    configs: HashMap<(Option<u32>, &'a str), u32>,
    budgets: HashMap<&'a str, u32>,
    /// Providers that are known to serve a bare model name, in order.
    bare_models: HashMap<String, Vec<u32>>,
    /// What stands under `models`, by provider and name.
    declared_models: HashSet<(u32, &'a str)>,
}

impl Index<'_> {
    /// Providers of a bare model name, or of the model that a dated name is a version of.
    fn providers_of(&self, model: &str) -> Option<&[u32]> {
        let named = |name: &str| self.bare_models.get(name).map(Vec::as_slice);
        named(model).or_else(|| named(undated(model)?))
    }
}

/// Compiles `organization` to the current bundle format.
///
/// # Errors
/// Every rejection found, in the order of the source.
pub fn compile(organization: &Organization) -> Result<v1::Bundle, Vec<Rejection>> {
    let mut rejections = Rejections::default();
    let providers = models::compile_providers(organization, &mut rejections);
    let mut index = Index::default();
    let models = models::compile_models(organization, &mut index, &mut rejections);
    names::index_names(organization, &mut index, &mut rejections);
    let offers = routing::Offers { providers: &providers, models: &models };
    let configs = routing::compile_configs(organization, &index, offers, &mut rejections);
    references::refuse_cycles(&configs, &mut rejections);
    let (projects, keys) = projects::compile_projects(organization, &index, &configs, &mut rejections);
    let budgets = budgets::compile_budgets(organization, &index, &mut rejections);
    let entry_policy = compile_settings(&organization.settings, &index, &configs, &mut rejections);
    if !rejections.0.is_empty() {
        return Err(rejections.0);
    }
    let (unpriced_models, unpriced_rates) = match organization.settings.unpriced_models {
        UnpricedModels::Ceiling => (UnpricedModels::Deny, Some(CEILING)),
        as_told => (as_told, None),
    };
    Ok(v1::Bundle {
        format: 1,
        org: v1::Org { id: organization.id.as_str().into(), slug: organization.slug.clone() },
        revision: organization.revision,
        created_at: organization.time,
        time_zone: organization.settings.time_zone.clone(),
        entry_policy,
        ip_allowlist: organization.settings.ip_allowlist.proxy.clone(),
        deny_private_upstreams: organization.settings.deny_private_upstreams,
        unpriced_models,
        unpriced_rates,
        providers,
        models,
        configs,
        projects,
        keys,
        budgets,
    })
}

fn compile_settings(settings: &Settings, index: &Index<'_>, configs: &[v1::Config], rejections: &mut Rejections) -> Option<u32> {
    if settings.time_zone.parse::<chrono_tz::Tz>().is_err() {
        rejections.add("settings", "", "time_zone", format!("`{}` is not an IANA time zone such as `Europe/Berlin`", settings.time_zone));
    }
    if !(1..=3_650).contains(&settings.retention_days) {
        rejections.add("settings", "", "retention_days", "must be between 1 and 3650");
    }
    let entry_policy = settings.entry_policy.as_deref()?;
    references::entry_policy(entry_policy, None, index, configs)
        .map_err(|message| rejections.add("settings", "", "entry_policy", message))
        .ok()
}

#[cfg(test)]
mod tests;
