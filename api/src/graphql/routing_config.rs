//! Routing configs, their versions, and what differs between two of them.

use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::routing_config::Column;
use entity::routing_config_version::Model as VersionRow;
use policy::source::RoutingConfig;
use sea_orm::{ColumnTrait as _, QueryFilter as _};
use serde::Serialize;
use serde_json::Value;

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_of, page_request, rows};
use super::loaders::{CurrentConfig, ProjectId, VersionsOf, with_versions};
use super::organization::DeletedPayload;
use super::project::ProjectView;
use crate::app::managed::{Create, Delete, Overlay, Update};
use crate::app::routing_config::{RollbackRoutingConfig, RoutingConfigs, Saved};
use crate::app::{OperationError, read_field, try_out};
use crate::audit;
use crate::authz::Resource;
use crate::error::Refusal;
use crate::store::{self, page};

/// How requests find their model.
#[derive(SimpleObject)]
#[graphql(name = "RoutingConfig", complex)]
pub(super) struct RoutingConfigView {
    /// Prefixed id.
    id: String,
    /// What `@slug` refers to.
    slug: String,
    /// Number of the version in force.
    current_version: i64,
    /// The document in force.
    document: Value,
    /// For `expectedVersion`.
    version: i64,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
    #[graphql(skip)]
    project_id: Option<String>,
}

impl From<CurrentConfig> for RoutingConfigView {
    fn from((row, current): CurrentConfig) -> Self {
        let entity::routing_config::Model {
            id,
            org_id: _,
            project_id,
            slug,
            current_version,
            archived_at: _,
            version,
            created_at,
            updated_at,
        } = row;
        let document = current.map(|current| current.document).unwrap_or_default();
        Self { id, slug, current_version, document, version, created_at, updated_at, project_id }
    }
}

/// One saved version. Never changes.
#[derive(SimpleObject)]
#[graphql(name = "RoutingConfigVersion")]
struct VersionView {
    /// Prefixed id.
    id: String,
    /// Counts from 1.
    number: i64,
    /// The document.
    document: Value,
    /// Why, in the words of who saved it.
    comment: Option<String>,
    /// Id of who saved it.
    created_by: String,
    /// When it was saved.
    created_at: DateTime<Utc>,
}

impl From<VersionRow> for VersionView {
    fn from(row: VersionRow) -> Self {
        let VersionRow { id, org_id: _, config_id: _, number, document, comment, created_by, created_at } = row;
        Self { id, number, document, comment, created_by, created_at }
    }
}

#[ComplexObject]
impl RoutingConfigView {
    /// The project it is for; none for the whole organization.
    async fn project(&self, ctx: &Context<'_>) -> Result<Option<ProjectView>> {
        let Some(id) = &self.project_id else { return Ok(None) };
        let row = caller(ctx)?.loaders().load_one(ProjectId(id.clone())).await?;
        row.map(ProjectView::try_from).transpose()
    }

    /// All versions, the first one first.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn versions(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Result<Connection<String, VersionView>> {
        let page = page_request(first, after.as_deref())?;
        let versions = caller(ctx)?.loaders().load_one(VersionsOf(self.id.clone())).await?.unwrap_or_default();
        Ok(connection(page_of(&versions, |row| &row.id, &page), |row| row.id.clone(), VersionView::from))
    }
}

/// A new config.
#[derive(InputObject)]
struct CreateRoutingConfigInput {
    /// What `@slug` will refer to.
    slug: String,
    /// The project it is for; the whole organization where left out.
    project_id: Option<ID>,
    /// Strategy and members, as in the contract.
    document: Value,
    /// Why.
    comment: Option<String>,
}

impl TryFrom<CreateRoutingConfigInput> for Create<RoutingConfigs> {
    type Error = OperationError;

    fn try_from(input: CreateRoutingConfigInput) -> Result<Self, OperationError> {
        let CreateRoutingConfigInput { slug, project_id, document, comment } = input;
        let config = RoutingConfig { slug, document: read_field("document", document)? };
        Ok(Self { place: project_id.map(|id| id.0), source: Saved { config, comment } })
    }
}

/// What is to be different; fields left out stay.
#[derive(InputObject, Serialize)]
struct UpdateRoutingConfigInput {
    /// What `@slug` will refer to.
    slug: Option<String>,
    /// The whole new document.
    document: Option<Value>,
    /// Why.
    comment: Option<String>,
}

impl Overlay<Saved> for UpdateRoutingConfigInput {
    fn lay_over(self, saved: &mut Saved) -> Result<(), OperationError> {
        let Self { slug, document, comment } = self;
        if let Some(slug) = slug {
            saved.config.slug = slug;
        }
        if let Some(document) = document {
            saved.config.document = read_field("document", document)?;
        }
        saved.comment = comment;
        Ok(())
    }
}

/// A config as changed.
#[derive(SimpleObject)]
struct RoutingConfigPayload {
    /// As it is now.
    routing_config: RoutingConfigView,
    /// The bundle that carries the change.
    revision: i64,
}

/// Whether a config could be saved.
#[derive(SimpleObject)]
struct Validation {
    /// Whether it could.
    valid: bool,
    /// Why not.
    rejections: Vec<RejectionView>,
}

/// One reason why something can't be saved.
#[derive(SimpleObject)]
#[graphql(name = "Rejection")]
struct RejectionView {
    /// The field, with a path into lists.
    field: String,
    /// What is wrong and what would be right.
    message: String,
}

async fn load(caller: &Caller, id: &str) -> Result<RoutingConfigView> {
    let scope = caller.reading(Resource::RoutingConfig)?;
    let row = store::routing_config::find(caller.database(), scope, id).await?.ok_or_else(|| not_found("routing config"))?;
    let current = store::routing_config::version(caller.database(), scope, id, row.current_version).await?;
    Ok((row, current).into())
}

#[derive(Default)]
pub(super) struct RoutingConfigQuery;

#[Object]
impl RoutingConfigQuery {
    /// The organization's own configs, or those of one project.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn routing_configs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        project_id: Option<ID>,
    ) -> Result<Connection<String, RoutingConfigView>> {
        let caller = caller(ctx)?;
        let scope = caller.reading(Resource::RoutingConfig)?;
        let place = project_id.map_or_else(|| Column::ProjectId.is_null(), |id| Column::ProjectId.eq(id.0));
        let configs = store::routing_config::live(scope).filter(place);
        let page::Page { rows, has_next, has_previous } =
            page::by_id(caller.database(), configs, &page_request(first, after.as_deref())?).await?;
        let rows = with_versions(&caller.ctx().state().database, scope, rows).await?;
        Ok(connection(page::Page { rows, has_next, has_previous }, |(row, _)| row.id.clone(), RoutingConfigView::from))
    }

    /// One config.
    async fn routing_config(&self, ctx: &Context<'_>, id: ID) -> Result<RoutingConfigView> {
        load(caller(ctx)?, &id).await
    }

    /// What differs between two versions of a config: RFC 6902 from the one to the other, with old values as `was`.
    async fn routing_config_diff(&self, ctx: &Context<'_>, id: ID, from: i64, to: i64) -> Result<Value> {
        let caller = caller(ctx)?;
        let scope = caller.reading(Resource::RoutingConfig)?;
        store::routing_config::find(caller.database(), scope, &id).await?.ok_or_else(|| not_found("routing config"))?;
        let one = store::routing_config::version(caller.database(), scope, &id, from).await?.ok_or_else(|| not_found("version"))?;
        let other = store::routing_config::version(caller.database(), scope, &id, to).await?.ok_or_else(|| not_found("version"))?;
        Ok(audit::diff(Some(&one.document), Some(&other.document)))
    }

    /// Whether a config could be saved as it stands, and if not, why. Nothing is changed. `id` names the one it would replace.
    async fn validate_routing_config(&self, ctx: &Context<'_>, input: CreateRoutingConfigInput, id: Option<ID>) -> Result<Validation> {
        let caller = caller(ctx)?;
        let outcome = match id {
            Some(id) => {
                let overlay = UpdateRoutingConfigInput { slug: Some(input.slug), document: Some(input.document), comment: None };
                try_out(caller.ctx(), Update { id: id.0, expected_version: None, overlay }.of::<RoutingConfigs>()).await
            }
            None => match Create::<RoutingConfigs>::try_from(input) {
                Ok(create) => try_out(caller.ctx(), create).await,
                Err(error) => Err(error),
            },
        };
        validation(outcome.map(|_| ()))
    }
}

fn validation(outcome: Result<(), OperationError>) -> Result<Validation> {
    let rejections = match outcome {
        Ok(()) => Vec::new(),
        Err(OperationError::Invalid { field, message }) => vec![RejectionView { field, message }],
        Err(OperationError::Rejected(rejections)) => rejections
            .into_iter()
            .map(|rejection| RejectionView { field: rejection.field.clone(), message: rejection.to_string() })
            .collect(),
        Err(other) => return Err(Refusal::from(other)),
    };
    Ok(Validation { valid: rejections.is_empty(), rejections })
}

#[derive(Default)]
pub(super) struct RoutingConfigMutation;

#[Object]
impl RoutingConfigMutation {
    /// Makes a config with its first version.
    async fn create_routing_config(
        &self,
        ctx: &Context<'_>,
        input: CreateRoutingConfigInput,
        idempotency_key: Option<String>,
    ) -> Result<RoutingConfigPayload> {
        let caller = caller(ctx)?;
        let done = caller.change(idempotency_key, Create::<RoutingConfigs>::try_from(input)?).await?;
        Ok(RoutingConfigPayload { routing_config: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Saves a new version of a config.
    async fn update_routing_config(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: UpdateRoutingConfigInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<RoutingConfigPayload> {
        let caller = caller(ctx)?;
        let update = Update { id: id.0, expected_version, overlay: input };
        let done = caller.change(idempotency_key, update.of::<RoutingConfigs>()).await?;
        Ok(RoutingConfigPayload { routing_config: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Saves an older version again, as a new one.
    async fn rollback_routing_config(
        &self,
        ctx: &Context<'_>,
        id: ID,
        to_version: i64,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<RoutingConfigPayload> {
        let caller = caller(ctx)?;
        let done = caller.change(idempotency_key, RollbackRoutingConfig { id: id.0, to_version, expected_version }).await?;
        Ok(RoutingConfigPayload { routing_config: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Removes a config. Its versions are kept, its slug is free again.
    async fn delete_routing_config(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        let delete = Delete { id: id.0, expected_version };
        Ok(caller(ctx)?.change(idempotency_key, delete.of::<RoutingConfigs>()).await?.into())
    }
}
