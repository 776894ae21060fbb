//! Making what is there equal to what is declared, section by section, and noting what had to be done.

use std::collections::HashMap;

use entity::{project, provider};
use policy::compile::Rejection;
use policy::source::{
    Budget, Expiry, Key, Manifest, Member, Organization, Project, ProjectRecord, Provider, Role, RoutingConfig, RoutingConfigRecord,
    Settings,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::budget::Budgets;
use super::super::change::{Change, Edited};
use super::super::managed::{Managed, existing};
use super::super::member::{Members, role_of};
use super::super::model::Models;
use super::super::project::{Projects, webhook_secret_differs};
use super::super::provider::{Providers, secret_differs};
use super::super::proxy_key::ProxyKeys;
use super::super::routing_config::{RoutingConfigs, Saved};
use super::super::{OperationError, organization};
use crate::audit;
use crate::authz::{Action, Resource};
use crate::store;

/// One step of making it so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedChange {
    /// `create`, `update` or `delete`.
    pub(crate) action: String,
    /// Kind of resource.
    pub(crate) resource: String,
    /// Its name, with the project before it where it is in one.
    pub(crate) name: String,
    /// What differs, for an update.
    pub(crate) fields: Vec<FieldChange>,
}

/// One field of an update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FieldChange {
    /// Path from the resource, with `/`.
    pub(crate) field: String,
    /// Old value; null where there was none, and for secrets.
    pub(crate) before: Value,
    /// New value; null where it is gone, `"changed"` for secrets.
    pub(crate) after: Value,
}

/// What is there of one kind.
struct Have<S> {
    name: String,
    id: String,
    source: S,
}

impl<S> Have<S> {
    fn new(name: &str, id: &str, source: S) -> Self {
        Self { name: name.to_owned(), id: id.to_owned(), source }
    }
}

/// What is wanted of one kind.
struct Want<S> {
    name: String,
    source: S,
}

/// The work in progress.
pub(super) struct Syncing<'c> {
    change: &'c Change<'c>,
    prune: bool,
    /// What was done.
    pub(super) changes: Vec<PlannedChange>,
    /// Keys that were made.
    pub(super) secrets: Vec<(String, String)>,
}

impl<'c> Syncing<'c> {
    pub(super) const fn new(change: &'c Change<'c>, prune: bool) -> Self {
        Self { change, prune, changes: Vec::new(), secrets: Vec::new() }
    }

    /// Makes it so. Nothing is compiled until the end, so the order only has to suit the rows.
    pub(super) async fn sync(&mut self, have: &Organization, want: Manifest) -> Result<(), OperationError> {
        let Manifest { org: _, settings, providers, models, routing_configs, projects, budgets, members, webhooks: _, exports: _ } = want;
        let zone = settings.as_ref().unwrap_or(&have.settings).time_zone.clone();
        self.settings(&have.settings, settings).await?;
        // Before projects: a key's owner may be a member who is new in the same manifest.
        self.members(members).await?;
        self.providers(have, providers).await?;
        let there = have.models.iter().map(|record| Have::new(&record.model.model, &record.id, record.model.clone())).collect();
        let wanted = models.into_iter().map(|model| Want { name: model.model.clone(), source: model }).collect();
        self.section::<Models>(&(), "", there, wanted).await?;
        self.configs(&None, "", &have.routing_configs, routing_configs).await?;
        self.projects(have, projects).await?;
        let there = have.budgets.iter().map(|record| Have::new(&record.budget.name, &record.id, record.budget.clone())).collect();
        let wanted = budgets.into_iter().map(|budget| Want { name: budget.name.clone(), source: plain_budget(budget, &zone) }).collect();
        self.section::<Budgets>(&(), "", there, wanted).await
    }

    async fn settings(&mut self, have: &Settings, want: Option<Settings>) -> Result<(), OperationError> {
        let Some(settings) = want.filter(|settings| settings != have) else { return Ok(()) };
        let proof = self.change.ctx.authorize(Action::Update, Resource::Organization)?;
        let declared = organization::Declared { settings, ..organization::declared(&self.change.org)? };
        let edited = organization::replace(self.change, &proof, &declared).await?;
        self.note("update", Resource::Organization, self.change.org.slug.clone(), edited);
        Ok(())
    }

    async fn providers(&mut self, have: &Organization, providers: Vec<Provider>) -> Result<(), OperationError> {
        let rows = store::select::<provider::Entity>(self.change.ctx.scope()).all(&self.change.tx).await?;
        let rows: HashMap<&str, &provider::Model> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
        let there = have.providers.iter().map(|record| Have::new(&record.provider.name, &record.id, record.provider.clone())).collect();
        let wanted = providers.into_iter().map(|mut provider| {
            // A credential that is there already is no change.
            if rows.get(provider.name.as_str()).is_some_and(|row| !secret_differs(self.change, row, &provider)) {
                provider.api_key = None;
            }
            Want { name: provider.name.clone(), source: provider }
        });
        let wanted = wanted.collect();
        self.section::<Providers>(&(), "", there, wanted).await
    }

    async fn configs(
        &mut self,
        project_id: &Option<String>,
        prefix: &str,
        have: &[RoutingConfigRecord],
        want: Vec<RoutingConfig>,
    ) -> Result<(), OperationError> {
        let there = have.iter().map(|record| Have::new(&record.config.slug, &record.id, Saved::new(record.config.clone()))).collect();
        let wanted = want.into_iter().map(|config| Want { name: config.slug.clone(), source: Saved::new(config) }).collect();
        self.section::<RoutingConfigs>(project_id, prefix, there, wanted).await
    }

    async fn projects(&mut self, have: &Organization, projects: Vec<Project>) -> Result<(), OperationError> {
        let there = have.projects.iter().map(|record| Have::new(&record.project.name, &record.id, record.project.clone())).collect();
        let rows = store::select::<project::Entity>(self.change.ctx.scope()).all(&self.change.tx).await?;
        let rows: HashMap<&str, &project::Model> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
        let wanted = projects.iter().map(|project| {
            let mut source = bare_project(project);
            // A secret that is there already is no change.
            if rows.get(project.name.as_str()).is_some_and(|row| !webhook_secret_differs(self.change, row, project)) {
                source.settings.guardrails = source.settings.guardrails.without_secret();
            }
            Want { name: project.name.clone(), source }
        });
        let wanted = wanted.collect();
        self.section::<Projects>(&(), "", there, wanted).await?;
        let nothing = (Vec::new(), Vec::new());
        let parts: HashMap<&str, &ProjectRecord> = have.projects.iter().map(|record| (record.project.name.as_str(), record)).collect();
        for project in projects {
            let row = store::named::project(&self.change.tx, self.change.ctx.scope(), &project.name).await?;
            let id = row.ok_or(OperationError::NotFound { kind: "project" })?.id;
            let prefix = format!("{}/", project.name);
            let record = parts.get(project.name.as_str());
            let (configs, keys) = record.map_or((&nothing.0, &nothing.1), |record| (&record.routing_configs, &record.keys));
            self.configs(&Some(id.clone()), &prefix, configs, project.routing_configs).await?;
            let there = keys.iter().map(|record| Have::new(&record.key.name, &record.id, plain_key(record.key.clone()))).collect();
            let wanted = project.keys.into_iter().map(|key| Want { name: key.name.clone(), source: plain_key(key) }).collect();
            self.section::<ProxyKeys>(&id, &prefix, there, wanted).await?;
        }
        Ok(())
    }

    async fn members(&mut self, members: Vec<Member>) -> Result<(), OperationError> {
        let rows = store::member::of_organization(&self.change.tx, self.change.ctx.scope()).await?;
        let named: Vec<String> = members.iter().map(|member| member.email.to_lowercase()).collect();
        // Pruning never removes an owner.
        let rows = rows.into_iter().filter(|(row, email)| role_of(row.role) != Role::Owner || named.contains(email));
        let there = rows.map(|(row, email)| Have::new(&email, &row.id, Member { email: email.clone(), role: role_of(row.role) })).collect();
        let wanted = members.into_iter().map(|member| {
            let email = member.email.to_lowercase();
            Want { name: email.clone(), source: Member { email, ..member } }
        });
        self.section::<Members>(&None, "", there, wanted.collect()).await
    }

    /// Creates, updates and (pruning) removes things of one kind in one place.
    async fn section<K: Managed>(
        &mut self,
        place: &K::Place,
        prefix: &str,
        have: Vec<Have<K::Source>>,
        want: Vec<Want<K::Source>>,
    ) -> Result<(), OperationError> {
        let mut have: HashMap<String, Have<K::Source>> = have.into_iter().map(|have| (have.name.clone(), have)).collect();
        let mut seen = std::collections::HashSet::new();
        for Want { name, source } in want {
            let shown = format!("{prefix}{name}");
            let at = |error| blame::<K>(&shown, error);
            if !seen.insert(name.clone()) {
                return Err(at(OperationError::invalid("name", "is declared twice")));
            }
            match have.remove(&name) {
                Some(have) if have.source == source => {}
                Some(have) => {
                    let edited = self.update::<K>(&have.id, &source).await.map_err(at)?;
                    self.note("update", K::RESOURCE, shown, edited);
                }
                None => {
                    let edited = K::create(self.change, place, &source).await.map_err(at)?;
                    self.note("create", K::RESOURCE, shown, edited);
                }
            }
        }
        if self.prune {
            let mut surplus: Vec<Have<K::Source>> = have.into_values().collect();
            surplus.sort_by(|one, other| one.name.cmp(&other.name));
            for have in surplus {
                let edited = self.delete::<K>(&have.id).await?;
                self.note("delete", K::RESOURCE, format!("{prefix}{}", have.name), edited);
            }
        }
        Ok(())
    }

    async fn update<K: Managed>(&self, id: &str, source: &K::Source) -> Result<Edited, OperationError> {
        let row = existing::<K>(self.change, id).await?;
        let proof = self.change.ctx.authorize_in(Action::Update, K::RESOURCE, K::project_of(&row))?;
        K::replace(self.change, &proof, row, source).await
    }

    async fn delete<K: Managed>(&self, id: &str) -> Result<Edited, OperationError> {
        let row = existing::<K>(self.change, id).await?;
        let proof = self.change.ctx.authorize_in(Action::Delete, K::RESOURCE, K::project_of(&row))?;
        K::delete(self.change, &proof, row).await
    }

    fn note(&mut self, action: &str, resource: Resource, name: String, edited: Edited) {
        let fields = if action == "update" { field_changes(&edited) } else { Vec::new() };
        self.secrets.extend(edited.secrets);
        self.changes.push(PlannedChange { action: action.to_owned(), resource: resource.as_str().to_owned(), name, fields });
    }
}

/// Says which element of the manifest can't be used.
fn blame<K: Managed>(name: &str, error: OperationError) -> OperationError {
    match error {
        OperationError::Invalid { field, message } => {
            OperationError::Rejected(vec![Rejection { resource: K::RESOURCE.as_str(), name: name.to_owned(), field, message }])
        }
        other => other,
    }
}

fn field_changes(edited: &Edited) -> Vec<FieldChange> {
    let diff = audit::diff(edited.before.as_ref(), edited.after.as_ref());
    let operations = diff.as_array().cloned().unwrap_or_default();
    let fields = operations.into_iter().map(|operation| {
        let part = |name: &str| operation.get(name).cloned().unwrap_or_default();
        let field = part("path").as_str().unwrap_or_default().trim_start_matches('/').to_owned();
        if field == "api_key" || field.ends_with("webhook/secret") {
            return FieldChange { field, before: Value::Null, after: "changed".into() };
        }
        FieldChange { field, before: part("was"), after: part("value") }
    });
    // The number of a config's version follows from the change.
    fields.filter(|change| change.field != "version").collect()
}

fn bare_project(project: &Project) -> Project {
    Project { routing_configs: Vec::new(), keys: Vec::new(), ..project.clone() }
}

/// A budget as it reads back: what is the default anyway is left out.
fn plain_budget(budget: Budget, zone: &str) -> Budget {
    Budget { anchor_day: budget.anchor_day.filter(|day| day.get() != 1), time_zone: budget.time_zone.filter(|own| own != zone), ..budget }
}

/// A key as it reads back.
fn plain_key(key: Key) -> Key {
    use chrono::SubsecRound;
    Key { expires: key.expires.map(|expiry| Expiry(expiry.0.trunc_subsecs(6))), owner: key.owner.map(|owner| owner.to_lowercase()), ..key }
}
