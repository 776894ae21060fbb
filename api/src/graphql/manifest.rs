//! The organization as one document.

use async_graphql::{Context, Object, SimpleObject};
use serde_json::Value;

use super::Result;
use super::caller::caller;
use crate::app::manifest::{ApplyManifest, FieldChange, PlannedChange, export_manifest, read_manifest};
use crate::app::{OperationError, try_out};

/// One thing that differs between the organization and a manifest.
#[derive(SimpleObject)]
#[graphql(name = "ManifestChange")]
struct ChangeView {
    /// `create`, `update` or `delete`.
    action: String,
    /// Kind of resource.
    resource: String,
    /// Its name, with the project before it where it is in one.
    name: String,
    /// What differs, for an update.
    fields: Vec<FieldView>,
}

/// One field that differs. Secrets are not shown.
#[derive(SimpleObject)]
#[graphql(name = "ManifestFieldChange")]
struct FieldView {
    /// Path from the resource.
    field: String,
    /// What is there.
    before: Value,
    /// What is wanted.
    after: Value,
}

impl From<PlannedChange> for ChangeView {
    fn from(change: PlannedChange) -> Self {
        let PlannedChange { action, resource, name, fields } = change;
        Self { action, resource, name, fields: fields.into_iter().map(FieldView::from).collect() }
    }
}

impl From<FieldChange> for FieldView {
    fn from(change: FieldChange) -> Self {
        let FieldChange { field, before, after } = change;
        Self { field, before, after }
    }
}

/// What applying would do.
#[derive(SimpleObject)]
#[graphql(name = "ManifestPlan")]
struct PlanView {
    /// In the order of doing.
    changes: Vec<ChangeView>,
    /// The bundle that is in force, which the manifest was compared with.
    revision: i64,
}

/// What applying did.
#[derive(SimpleObject)]
struct ApplyManifestPayload {
    /// In the order of doing; empty where the organization was like that already.
    changes: Vec<ChangeView>,
    /// Keys that were made, shown this once; not in a repeated answer.
    created_keys: Vec<CreatedKey>,
    /// The bundle that is in force.
    revision: i64,
}

/// A proxy key that was made.
#[derive(SimpleObject)]
struct CreatedKey {
    /// `project/key`.
    key: String,
    /// The whole key.
    secret: String,
}

fn changes_of(detail: &Value) -> Result<Vec<ChangeView>> {
    let changes = detail.get("changes").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let changes: Vec<PlannedChange> = serde_json::from_value(changes).map_err(OperationError::from)?;
    Ok(changes.into_iter().map(ChangeView::from).collect())
}

#[derive(Default)]
pub(super) struct ManifestQuery;

#[Object]
impl ManifestQuery {
    /// The organization as a manifest: applying it changes nothing. Secrets are not in it.
    #[graphql(complexity = "500")]
    async fn export_manifest(&self, ctx: &Context<'_>) -> Result<Value> {
        let manifest = export_manifest(caller(ctx)?.ctx()).await?;
        Ok(serde_json::to_value(manifest).map_err(OperationError::from)?)
    }

    /// What applying a manifest would change. Nothing is changed.
    #[graphql(complexity = "500 + child_complexity")]
    async fn plan_manifest(&self, ctx: &Context<'_>, manifest: Value, prune: Option<bool>) -> Result<PlanView> {
        let caller = caller(ctx)?;
        let manifest = read_manifest(manifest)?;
        let (edited, revision) = try_out(caller.ctx(), ApplyManifest { manifest, prune: prune.unwrap_or(false) }).await?;
        Ok(PlanView { changes: changes_of(&edited.detail)?, revision })
    }
}

#[derive(Default)]
pub(super) struct ManifestMutation;

#[Object]
impl ManifestMutation {
    /// Makes the organization what a manifest says, in one step. What it does not name is left alone, unless `prune`.
    #[graphql(complexity = "500 + child_complexity")]
    async fn apply_manifest(
        &self,
        ctx: &Context<'_>,
        manifest: Value,
        prune: Option<bool>,
        idempotency_key: Option<String>,
    ) -> Result<ApplyManifestPayload> {
        let caller = caller(ctx)?;
        let manifest = read_manifest(manifest)?;
        let done = caller.change(idempotency_key, ApplyManifest { manifest, prune: prune.unwrap_or(false) }).await?;
        let created_keys = done.secrets.into_iter().map(|(key, secret)| CreatedKey { key, secret }).collect();
        Ok(ApplyManifestPayload { changes: changes_of(&done.detail)?, created_keys, revision: done.revision })
    }
}
