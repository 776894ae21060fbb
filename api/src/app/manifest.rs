//! A whole organization declared in one document: what a manifest would change, changing it, and writing the manifest of what is there.
//!
//! Applying is one mutation with one audit event, whose diff compares the organization's document before and after. Each step is the
//! same as the single mutation and needs the same rights. Planning is the same code, taken back at the end. A second apply finds nothing
//! to do and leaves neither revision nor event.
//!
//! What a manifest does not name is left alone, unless it is to be pruned. Even then owners stay: removing one is never a side effect.

mod keyed;
mod read;
mod sync;

use policy::source::{Manifest, Organization};
use serde::Serialize;
use serde_json::{Value, json};

use super::change::{Change, Command, Edited};
use super::{OperationError, organization};
use crate::authz::{Action, Resource};
use crate::context::OpContext;
use crate::publish;
use sync::Syncing;

pub(crate) use read::read_manifest;
pub(crate) use sync::{FieldChange, PlannedChange};

/// Makes the organization what the manifest says.
#[derive(Debug, Serialize)]
pub(crate) struct ApplyManifest {
    /// What is wanted.
    pub(crate) manifest: Manifest,
    /// Remove what it does not name.
    pub(crate) prune: bool,
}

impl Command for ApplyManifest {
    const NAME: &'static str = "applyManifest";

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        change.ctx.authorize(Action::Read, Resource::Organization)?;
        if self.manifest.org != change.org.slug {
            let message = format!("the manifest is for `{}`, and your key is for `{}`", self.manifest.org, change.org.slug);
            return Err(OperationError::invalid("org", message));
        }
        let before = organization::source(change).await?;
        let document_before = audit_document(change, &before).await?;
        let mut syncing = Syncing::new(change, self.prune);
        syncing.sync(&before, self.manifest).await?;
        let Syncing { changes, secrets, .. } = syncing;
        let after = organization::source(change).await?;
        let mut edited = Edited::new(organization::target(&change.org), Some(document_before), Some(audit_document(change, &after).await?));
        edited.unchanged = changes.is_empty();
        edited.detail = json!({ "changes": changes });
        edited.secrets = secrets;
        Ok(edited)
    }
}

/// What is there, as a manifest. Members are in it for those who may see them.
pub(crate) async fn export_manifest(ctx: &OpContext) -> Result<Manifest, OperationError> {
    ctx.authorize(Action::Read, Resource::Organization)?;
    let state = ctx.state();
    let connection = state.database.read();
    let source = publish::load_source(connection, ctx.scope().org_id(), state.clock.now(), &state.secrets).await?;
    let members = match ctx.authorize(Action::Read, Resource::Member) {
        Ok(_) => publish::load_members(connection, ctx.scope().org_id()).await?,
        Err(_) => Vec::new(),
    };
    Ok(publish::to_manifest(&source, members))
}

/// The organization for a diff: lists by name, secrets as digests.
async fn audit_document(change: &Change<'_>, source: &Organization) -> Result<Value, OperationError> {
    let members = publish::load_members(&change.tx, &source.id).await?;
    let mut document = keyed::document(&publish::to_manifest(source, members))?;
    keyed::add_provider_digests(change, &mut document).await?;
    keyed::add_webhook_digests(change, &mut document).await?;
    keyed::add_key_digests(source, &mut document);
    Ok(document)
}
