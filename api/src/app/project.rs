//! Projects: what keys, tags and grants are grouped by.

use entity::project::{ActiveModel, Entity, Model as Row};
use policy::id::{IdKind, new_id};
use policy::source::{Project, ProjectSettings};
use sea_orm::{ActiveValue::Set, DbErr, IntoActiveModel};
use serde_json::{Value, json};

use super::change::{Change, Edited};
use super::document::document;
use super::managed::Managed;
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Authorized, Resource};
use crate::publish::rows;
use crate::store;

/// Projects, without the keys and configs in them.
pub(crate) struct Projects;

impl Managed for Projects {
    const RESOURCE: Resource = Resource::Project;
    const KIND: &'static str = "project";
    const CREATE: &'static str = "createProject";
    const UPDATE: &'static str = "updateProject";
    const DELETE: &'static str = "deleteProject";
    type Row = Row;
    type Source = Project;
    type Place = ();

    async fn find(change: &Change<'_>, id: &str) -> Result<Option<Row>, DbErr> {
        store::find::<Entity>(&change.tx, change.ctx.scope(), id).await
    }

    fn version(row: &Row) -> i64 {
        row.version
    }

    fn project_of(row: &Row) -> Option<&str> {
        Some(&row.id)
    }

    async fn read(_: &Change<'_>, row: &Row) -> Result<Project, OperationError> {
        Ok(rows::project(row.clone())?.project)
    }

    async fn create(change: &Change<'_>, (): &(), project: &Project) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Create, Resource::Project)?;
        check(change, project, None).await?;
        let mut row =
            ActiveModel { id: Set(new_id(IdKind::Project)), created_at: Set(change.now), version: Set(1), ..declared(change, project)? };
        seal(change, &mut row, project)?;
        let row = store::insert::<Entity, _>(&change.tx, &proof, row).await?;
        Ok(Edited::new(target(&row), None, Some(audit_document(&row)?)))
    }

    async fn replace(change: &Change<'_>, proof: &Authorized, before: Row, project: &Project) -> Result<Edited, OperationError> {
        check(change, project, Some(&before.name)).await?;
        let kept = before.clone().into_active_model();
        let version = Set(before.version.saturating_add(1));
        let mut row = ActiveModel { id: kept.id, org_id: kept.org_id, version, ..declared(change, project)? };
        seal(change, &mut row, project)?;
        let row = store::update::<Entity, _>(&change.tx, proof, row).await?;
        Ok(Edited::new(target(&row), Some(audit_document(&before)?), Some(audit_document(&row)?)))
    }

    async fn delete(change: &Change<'_>, proof: &Authorized, row: Row) -> Result<Edited, OperationError> {
        store::delete::<Entity>(&change.tx, proof, &row.id).await?;
        Ok(Edited::new(target(&row), Some(audit_document(&row)?), None))
    }
}

async fn check(change: &Change<'_>, project: &Project, own_name: Option<&str>) -> Result<(), OperationError> {
    valid::name("name", &project.name)?;
    valid::tags("tags", &project.tags)?;
    if let Some(webhook) = &project.settings.guardrails.webhook {
        valid::text("guardrails.webhook.url", &webhook.url)?;
        webhook.secret.as_ref().map_or(Ok(()), |secret| valid::secret("guardrails.webhook.secret", secret))?;
    }
    let renamed = own_name != Some(project.name.as_str());
    if renamed && store::named::project(&change.tx, change.ctx.scope(), &project.name).await?.is_some() {
        return Err(OperationError::taken(Projects::KIND, &project.name));
    }
    Ok(())
}

/// Whether applying `declared` would change the webhook's secret: a left-out one is kept.
pub(super) fn webhook_secret_differs(change: &Change<'_>, row: &Row, declared: &Project) -> bool {
    let secret = declared.settings.guardrails.webhook.as_ref().and_then(|webhook| webhook.secret.as_ref());
    secret.is_some_and(|secret| row.webhook_secret_digest.as_ref() != Some(&change.ctx.state().secrets.digest(secret)))
}

/// Takes the webhook's secret away.
pub(super) fn forget_webhook_secret(row: &mut ActiveModel) {
    row.webhook_secret_sealed = Set(None);
    row.webhook_secret_wrapped_key = Set(None);
    row.webhook_secret_key_id = Set(None);
    row.webhook_secret_digest = Set(None);
}

/// Sets the webhook's secret where a new one came, and forgets it where there is no webhook; otherwise it stays.
fn seal(change: &Change<'_>, row: &mut ActiveModel, project: &Project) -> Result<(), OperationError> {
    let Some(webhook) = &project.settings.guardrails.webhook else {
        forget_webhook_secret(row);
        return Ok(());
    };
    let (Some(secret), Some(id)) = (&webhook.secret, row.id.try_as_ref()) else { return Ok(()) };
    let sealed = change.ctx.state().secrets.seal(id, secret)?;
    row.webhook_secret_sealed = Set(Some(sealed.sealed));
    row.webhook_secret_wrapped_key = Set(Some(sealed.wrapped_key));
    row.webhook_secret_key_id = Set(Some(sealed.key_id));
    row.webhook_secret_digest = Set(Some(sealed.digest));
    Ok(())
}

/// The columns that a declaration sets. The entry policy has a column of its own.
fn declared(change: &Change<'_>, project: &Project) -> Result<ActiveModel, OperationError> {
    let guardrails = project.settings.guardrails.without_secret();
    let settings = ProjectSettings { entry_policy: None, guardrails, ..project.settings.clone() };
    Ok(ActiveModel {
        name: Set(project.name.clone()),
        tags: Set(serde_json::to_value(&project.tags)?),
        settings: Set(serde_json::to_value(settings)?),
        entry_policy: Set(project.settings.entry_policy.clone()),
        updated_at: Set(change.now),
        ..ActiveModel::default()
    })
}

fn target(row: &Row) -> Target {
    Target { kind: Resource::Project.as_str(), id: row.id.clone(), name: row.name.clone() }
}

/// The webhook of a project's settings in a document.
pub(super) fn webhook_in(settings: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    settings.pointer_mut("/guardrails/webhook").and_then(Value::as_object_mut)
}

/// The project for a diff: its webhook's secret is a digest.
fn audit_document(row: &Row) -> Result<Value, OperationError> {
    let mut value = document(&rows::project(row.clone())?.project, &[("id", json!(row.id))])?;
    if let Value::Object(fields) = &mut value {
        if let (Some(webhook), Some(digest)) = (fields.get_mut("settings").and_then(webhook_in), &row.webhook_secret_digest) {
            webhook.insert("secret".to_owned(), json!(digest));
        }
        // Keys and configs have events of their own.
        fields.remove("keys");
        fields.remove("routing_configs");
    }
    Ok(value)
}
