//! Routing configs: a slug and a line of immutable versions.
//!
//! Every save makes a version; rolling back makes a version too, equal to an older one, so that the line only grows. A removed config
//! keeps its versions and gives its slug free.

use entity::routing_config::{ActiveModel, Entity, Model as Row};
use entity::routing_config_version as version;
use policy::id::{IdKind, new_id};
use policy::source::RoutingConfig;
use sea_orm::{ActiveValue::Set, DbErr, IntoActiveModel};
use serde::Serialize;
use serde_json::{Value, json};

use super::change::{Change, Command, Edited};
use super::document::document;
use super::managed::{Managed, check_version, existing};
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Authorized, Resource};
use crate::publish::rows;
use crate::store;

/// Routing configs at their current version.
pub(crate) struct RoutingConfigs;

/// A declared config and why it is saved.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Saved {
    /// Slug and document.
    pub(crate) config: RoutingConfig,
    /// In the words of who saves it.
    pub(crate) comment: Option<String>,
}

impl PartialEq for Saved {
    /// A comment is no change.
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl Saved {
    pub(crate) const fn new(config: RoutingConfig) -> Self {
        Self { config, comment: None }
    }
}

impl Managed for RoutingConfigs {
    const RESOURCE: Resource = Resource::RoutingConfig;
    const KIND: &'static str = "routing config";
    const CREATE: &'static str = "createRoutingConfig";
    const UPDATE: &'static str = "updateRoutingConfig";
    const DELETE: &'static str = "deleteRoutingConfig";
    type Row = Row;
    type Source = Saved;
    /// The project, by id; none for the whole organization.
    type Place = Option<String>;

    async fn find(change: &Change<'_>, id: &str) -> Result<Option<Row>, DbErr> {
        store::routing_config::find(&change.tx, change.ctx.scope(), id).await
    }

    fn version(row: &Row) -> i64 {
        row.version
    }

    fn project_of(row: &Row) -> Option<&str> {
        row.project_id.as_deref()
    }

    async fn read(change: &Change<'_>, row: &Row) -> Result<Saved, OperationError> {
        let version = numbered(change, row, row.current_version).await?;
        Ok(Saved::new(rows::routing_config(row.clone(), version)?.config))
    }

    async fn create(change: &Change<'_>, project_id: &Option<String>, saved: &Saved) -> Result<Edited, OperationError> {
        if let Some(id) = project_id {
            store::find::<entity::project::Entity>(&change.tx, change.ctx.scope(), id)
                .await?
                .ok_or(OperationError::NotFound { kind: "project" })?;
        }
        let proof = change.ctx.authorize_in(Action::Create, Resource::RoutingConfig, project_id.as_deref())?;
        check(change, project_id.as_deref(), saved, None).await?;
        let row = ActiveModel {
            id: Set(new_id(IdKind::RoutingConfig)),
            project_id: Set(project_id.clone()),
            slug: Set(saved.config.slug.clone()),
            current_version: Set(1),
            archived_at: Set(None),
            version: Set(1),
            created_at: Set(change.now),
            updated_at: Set(change.now),
            ..ActiveModel::default()
        };
        let row = store::insert::<Entity, _>(&change.tx, &proof, row).await?;
        save_version(change, &proof, &row, saved).await?;
        Ok(Edited::new(target(&row), None, Some(audit_document(change, &row).await?)))
    }

    async fn replace(change: &Change<'_>, proof: &Authorized, before: Row, saved: &Saved) -> Result<Edited, OperationError> {
        check(change, before.project_id.as_deref(), saved, Some(&before.slug)).await?;
        let was = audit_document(change, &before).await?;
        let newest = newest_version(change, &before).await?;
        let mut row = before.clone().into_active_model();
        row.slug = Set(saved.config.slug.clone());
        row.current_version = Set(newest.saturating_add(1));
        row.version = Set(before.version.saturating_add(1));
        row.updated_at = Set(change.now);
        let row = store::update::<Entity, _>(&change.tx, proof, row).await?;
        save_version(change, proof, &row, saved).await?;
        Ok(Edited::new(target(&row), Some(was), Some(audit_document(change, &row).await?)))
    }

    async fn delete(change: &Change<'_>, proof: &Authorized, row: Row) -> Result<Edited, OperationError> {
        let was = audit_document(change, &row).await?;
        let mut archived = row.clone().into_active_model();
        archived.archived_at = Set(Some(change.now));
        archived.version = Set(row.version.saturating_add(1));
        archived.updated_at = Set(change.now);
        store::update::<Entity, _>(&change.tx, proof, archived).await?;
        Ok(Edited::new(target(&row), Some(was), None))
    }
}

/// Makes an older version the current one, as a new version.
#[derive(Serialize)]
pub(crate) struct RollbackRoutingConfig {
    /// Which config.
    pub(crate) id: String,
    /// Number of the version to go back to.
    pub(crate) to_version: i64,
    /// The version of the config's row that the actor knew.
    pub(crate) expected_version: Option<i64>,
}

impl Command for RollbackRoutingConfig {
    const NAME: &'static str = "rollbackRoutingConfig";

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let row = existing::<RoutingConfigs>(change, &self.id).await?;
        let proof = change.ctx.authorize_in(Action::Update, Resource::RoutingConfig, row.project_id.as_deref())?;
        check_version::<RoutingConfigs>(&row, self.expected_version)?;
        let older = numbered(change, &row, self.to_version).await?;
        let config = rows::routing_config(row.clone(), older)?.config;
        let saved = Saved { config, comment: Some(format!("back to version {}", self.to_version)) };
        RoutingConfigs::replace(change, &proof, row, &saved).await
    }
}

async fn check(change: &Change<'_>, project_id: Option<&str>, saved: &Saved, own_slug: Option<&str>) -> Result<(), OperationError> {
    let slug = saved.config.slug.as_str();
    valid::name("slug", slug)?;
    if let Some(comment) = &saved.comment {
        valid::text("comment", comment)?;
    }
    if own_slug != Some(slug) && store::routing_config::by_slug(&change.tx, change.ctx.scope(), project_id, slug).await?.is_some() {
        return Err(OperationError::taken(RoutingConfigs::KIND, slug));
    }
    Ok(())
}

async fn numbered(change: &Change<'_>, row: &Row, number: i64) -> Result<version::Model, OperationError> {
    let found = store::routing_config::version(&change.tx, change.ctx.scope(), &row.id, number).await?;
    found.ok_or(OperationError::NotFound { kind: "routing config version" })
}

async fn newest_version(change: &Change<'_>, row: &Row) -> Result<i64, OperationError> {
    let newest = store::routing_config::newest_version(&change.tx, change.ctx.scope(), &row.id).await?;
    Ok(newest.map_or(row.current_version, |version| version.number))
}

/// Keeps what is saved as the version that the row calls current.
async fn save_version(change: &Change<'_>, proof: &Authorized, row: &Row, saved: &Saved) -> Result<(), OperationError> {
    let saved = version::ActiveModel {
        id: Set(new_id(IdKind::RoutingConfigVersion)),
        config_id: Set(row.id.clone()),
        number: Set(row.current_version),
        document: Set(serde_json::to_value(&saved.config.document)?),
        comment: Set(saved.comment.clone()),
        created_by: Set(change.ctx.actor().id.clone()),
        created_at: Set(change.now),
        ..version::ActiveModel::default()
    };
    store::insert::<version::Entity, _>(&change.tx, proof, saved).await?;
    Ok(())
}

fn target(row: &Row) -> Target {
    Target { kind: Resource::RoutingConfig.as_str(), id: row.id.clone(), name: row.slug.clone() }
}

async fn audit_document(change: &Change<'_>, row: &Row) -> Result<Value, OperationError> {
    let saved = RoutingConfigs::read(change, row).await?;
    document(&saved.config, &[("id", json!(row.id)), ("version", json!(row.current_version)), ("project_id", json!(row.project_id))])
}
