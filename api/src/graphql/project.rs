//! Projects.

use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::project::{Entity, Model as Row};
use policy::source::{Guardrails, Project, ProjectSettings};
use serde::Serialize;

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_of, page_request, rows};
use super::guardrails::{GuardrailsInput, GuardrailsView};
use super::loaders::{ConfigsOf, KeysOf};
use super::organization::DeletedPayload;
use super::proxy_key::ProxyKeyView;
use super::routing_config::RoutingConfigView;
use super::scalar::{Tag, TagInput, tags_from, tags_of};
use crate::app::OperationError;
use crate::app::managed::{Create, Delete, Overlay, Update};
use crate::app::project::Projects;
use crate::authz::Resource;
use crate::error::Refusal;
use crate::store::{self, page};

/// What keys, tags and grants are grouped by.
#[derive(SimpleObject)]
#[graphql(name = "Project", complex)]
pub(super) struct ProjectView {
    /// Prefixed id.
    id: String,
    /// Unique in the organization.
    name: String,
    /// Tags bound to every request of the project.
    tags: Vec<Tag>,
    /// Settings of the project.
    settings: ProjectSettingsView,
    /// For `expectedVersion`.
    version: i64,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

/// Settings of a project.
#[derive(SimpleObject)]
#[graphql(name = "ProjectSettings")]
struct ProjectSettingsView {
    /// Whether a model name without a provider is looked up.
    auto_resolve_bare_model: bool,
    /// Whether a request with fields that the upstream can't take is refused.
    strict_capabilities: bool,
    /// `@slug` of the config that runs after the organization's entry policy.
    entry_policy: Option<String>,
    /// What guards its requests.
    guardrails: GuardrailsView,
}

impl TryFrom<Row> for ProjectView {
    type Error = Refusal;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            org_id: _,
            name,
            tags,
            settings,
            entry_policy,
            webhook_secret_sealed: _,
            webhook_secret_wrapped_key: _,
            webhook_secret_key_id: _,
            webhook_secret_digest,
            version,
            created_at,
            updated_at,
        } = row;
        let settings: ProjectSettings = serde_json::from_value(settings).map_err(OperationError::from)?;
        let settings = ProjectSettingsView {
            auto_resolve_bare_model: settings.auto_resolve_bare_model,
            strict_capabilities: settings.strict_capabilities,
            entry_policy,
            guardrails: GuardrailsView::new(settings.guardrails, webhook_secret_digest),
        };
        Ok(Self { id, name, tags: tags_of(&tags), settings, version, created_at, updated_at })
    }
}

#[ComplexObject]
impl ProjectView {
    /// Keys that were not revoked.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn proxy_keys(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Result<Connection<String, ProxyKeyView>> {
        let caller = caller(ctx)?;
        caller.reading(Resource::ProxyKey)?;
        let page = page_request(first, after.as_deref())?;
        let keys = caller.loaders().load_one(KeysOf(self.id.clone())).await?.unwrap_or_default();
        Ok(connection(page_of(&keys, |row| &row.id, &page), |row| row.id.clone(), ProxyKeyView::from))
    }

    /// Configs of the project; they shadow the organization's.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn routing_configs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, RoutingConfigView>> {
        let caller = caller(ctx)?;
        caller.reading(Resource::RoutingConfig)?;
        let page = page_request(first, after.as_deref())?;
        let configs = caller.loaders().load_one(ConfigsOf(self.id.clone())).await?.unwrap_or_default();
        Ok(connection(page_of(&configs, |(row, _)| &row.id, &page), |(row, _)| row.id.clone(), RoutingConfigView::from))
    }
}

/// A new project.
#[derive(InputObject)]
struct CreateProjectInput {
    /// Unique in the organization.
    name: String,
    /// Tags bound to every request of the project.
    tags: Option<Vec<TagInput>>,
    /// Look up model names without a provider; default true.
    auto_resolve_bare_model: Option<bool>,
    /// Refuse what the upstream can't take; default false.
    strict_capabilities: Option<bool>,
    /// `@slug` of a config that can only narrow the organization's entry policy.
    entry_policy: Option<String>,
    /// What guards its requests; default: nothing.
    guardrails: Option<GuardrailsInput>,
}

impl From<CreateProjectInput> for Project {
    fn from(input: CreateProjectInput) -> Self {
        let CreateProjectInput { name, tags, auto_resolve_bare_model, strict_capabilities, entry_policy, guardrails } = input;
        let usual = ProjectSettings::default();
        let settings = ProjectSettings {
            auto_resolve_bare_model: auto_resolve_bare_model.unwrap_or(usual.auto_resolve_bare_model),
            strict_capabilities: strict_capabilities.unwrap_or(usual.strict_capabilities),
            entry_policy,
            guardrails: guardrails.map(Into::into).unwrap_or_default(),
        };
        Self { name, tags: tags_from(tags.unwrap_or_default()), settings, routing_configs: Vec::new(), keys: Vec::new() }
    }
}

/// What is to be different; fields left out stay.
#[derive(InputObject, Serialize)]
struct UpdateProjectInput {
    /// Unique in the organization.
    name: Option<String>,
    /// All tags, in place of those there are.
    tags: Option<Vec<TagInput>>,
    /// Look up model names without a provider.
    auto_resolve_bare_model: Option<bool>,
    /// Refuse what the upstream can't take.
    strict_capabilities: Option<bool>,
    /// `@slug` of a config; null for none.
    entry_policy: MaybeUndefined<String>,
    /// What guards its requests, in place of all that does; null for nothing.
    guardrails: MaybeUndefined<GuardrailsInput>,
}

impl Overlay<Project> for UpdateProjectInput {
    fn lay_over(self, project: &mut Project) -> Result<(), OperationError> {
        let Self { name, tags, auto_resolve_bare_model, strict_capabilities, entry_policy, guardrails } = self;
        if let Some(name) = name {
            project.name = name;
        }
        if let Some(tags) = tags {
            project.tags = tags_from(tags);
        }
        let settings = &mut project.settings;
        settings.auto_resolve_bare_model = auto_resolve_bare_model.unwrap_or(settings.auto_resolve_bare_model);
        settings.strict_capabilities = strict_capabilities.unwrap_or(settings.strict_capabilities);
        entry_policy.update_to(&mut settings.entry_policy);
        match guardrails {
            MaybeUndefined::Undefined => {}
            MaybeUndefined::Null => settings.guardrails = Guardrails::default(),
            MaybeUndefined::Value(input) => settings.guardrails = input.into(),
        }
        Ok(())
    }
}

/// A project as changed.
#[derive(SimpleObject)]
struct ProjectPayload {
    /// As it is now.
    project: ProjectView,
    /// The bundle that carries the change.
    revision: i64,
}

async fn load(caller: &Caller, id: &str) -> Result<ProjectView> {
    let scope = caller.reading(Resource::Project)?;
    store::find::<Entity>(caller.database(), scope, id).await?.ok_or_else(|| not_found("project"))?.try_into()
}

#[derive(Default)]
pub(super) struct ProjectQuery;

#[Object]
impl ProjectQuery {
    /// All projects.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn projects(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Result<Connection<String, ProjectView>> {
        let caller = caller(ctx)?;
        let scope = caller.reading(Resource::Project)?;
        let found = page::by_id(caller.database(), store::select::<Entity>(scope), &page_request(first, after.as_deref())?).await?;
        let page::Page { rows, has_next, has_previous } = found;
        let views = rows.into_iter().map(ProjectView::try_from).collect::<Result<Vec<_>>>()?;
        Ok(connection(page::Page { rows: views, has_next, has_previous }, |view| view.id.clone(), |view| view))
    }

    /// One project.
    async fn project(&self, ctx: &Context<'_>, id: ID) -> Result<ProjectView> {
        load(caller(ctx)?, &id).await
    }
}

#[derive(Default)]
pub(super) struct ProjectMutation;

#[Object]
impl ProjectMutation {
    /// Makes a project.
    async fn create_project(
        &self,
        ctx: &Context<'_>,
        input: CreateProjectInput,
        idempotency_key: Option<String>,
    ) -> Result<ProjectPayload> {
        let caller = caller(ctx)?;
        let done = caller.change(idempotency_key, Create::<Projects> { place: (), source: input.into() }).await?;
        Ok(ProjectPayload { project: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Changes a project.
    async fn update_project(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: UpdateProjectInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<ProjectPayload> {
        let caller = caller(ctx)?;
        let update = Update { id: id.0, expected_version, overlay: input };
        let done = caller.change(idempotency_key, update.of::<Projects>()).await?;
        Ok(ProjectPayload { project: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Removes a project with its keys and configs.
    async fn delete_project(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        let delete = Delete { id: id.0, expected_version };
        Ok(caller(ctx)?.change(idempotency_key, delete.of::<Projects>()).await?.into())
    }
}
