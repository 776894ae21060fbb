//! The organization: founding it, its settings, ending it.
//!
//! An ended organization is not erased: its audit chain and its ledger are evidence. It loses its members, its keys and its providers'
//! credentials, so that nobody can reach it and nothing runs in its name, and gives its slug free.

use entity::organization::{ActiveModel, Model as Row};
use entity::{management_key, membership, project, provider, proxy_key};
use policy::id::{IdKind, new_id};
use policy::source::{Role, Settings};
use sea_orm::{ActiveValue::Set, IntoActiveModel, QueryFilter as _};
use serde::Serialize;
use serde_json::{Value, json};

use super::change::{Call, Change, Command, Done, Edited, Kept};
use super::managed::Overlay;
use super::management_key::CreateManagementKey;
use super::project::forget_webhook_secret;
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Authorized, Resource};
use crate::context::OpContext;
use crate::{publish, store};

const KIND: &str = "organization";

/// Name and settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Declared {
    /// What people read.
    pub(crate) name: String,
    /// Organization-wide settings.
    pub(crate) settings: Settings,
}

/// Founds an organization with the actor as its owner.
#[derive(Debug, Serialize)]
pub(crate) struct CreateOrganization {
    /// Unique name in addresses and manifests.
    pub(crate) slug: String,
    /// What people read.
    pub(crate) name: String,
}

impl CreateOrganization {
    /// The word for it.
    pub(crate) const NAME: &'static str = "createOrganization";

    /// Founds it. Not a [`Command`]: the transaction is the new organization's, and so is the audit chain.
    pub(crate) async fn run(self, ctx: &OpContext, call: Call) -> Result<Done, OperationError> {
        ctx.authorize(Action::Create, Resource::Organization)?;
        let kept = Kept::new(ctx, &call, Self::NAME, &self)?;
        let owner = ctx
            .actor()
            .user_id
            .clone()
            .ok_or_else(|| OperationError::invalid("slug", "a key that no person made can't own an organization"))?;
        let tx = ctx.state().database.begin().await?;
        if let Some(kept) = &kept
            && let Some(answer) = kept.find(&tx).await?
        {
            return Ok(answer);
        }
        let org = found(&tx, ctx, &self).await?;
        let new_ctx = ctx.in_new_organization(&org.id);
        let change = Change::locked(&new_ctx, tx).await?;
        let proof = new_ctx.authorize(Action::Create, Resource::Member)?;
        grant_owner(&change, &proof, &owner).await?;
        let key = CreateManagementKey { name: "owner".to_owned(), role: Role::Owner, scopes: None, expires_at: None };
        let secret = owner_key(&change, &owner, key).await?;
        let mut edited = Edited::new(target(&org), None, Some(audit_document(&org)));
        edited.secret = Some(secret);
        change.finish(Self::NAME, edited, kept).await
    }
}

/// A row for a new organization.
pub(crate) async fn found(tx: &sea_orm::DatabaseTransaction, ctx: &OpContext, new: &CreateOrganization) -> Result<Row, OperationError> {
    valid::name("slug", &new.slug)?;
    valid::text("name", &new.name)?;
    if store::organization::by_slug(tx, &new.slug).await?.is_some() {
        return Err(OperationError::taken(KIND, &new.slug));
    }
    let now = ctx.state().clock.now();
    let row = ActiveModel {
        id: Set(new_id(IdKind::Organization)),
        slug: Set(new.slug.clone()),
        name: Set(new.name.clone()),
        revision: Set(0),
        settings: Set(serde_json::to_value(Settings::default())?),
        audit_head_hash: Set(String::new()),
        audit_sequence: Set(0),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(store::organization::insert(tx, row).await?)
}

/// Makes `user_id` an owner.
pub(crate) async fn grant_owner(change: &Change<'_>, proof: &Authorized, user_id: &str) -> Result<(), OperationError> {
    let row = membership::ActiveModel {
        id: Set(new_id(IdKind::Membership)),
        user_id: Set(user_id.to_owned()),
        project_id: Set(None),
        role: Set(membership::Role::Owner),
        created_at: Set(change.now),
        updated_at: Set(change.now),
        ..membership::ActiveModel::default()
    };
    store::insert::<membership::Entity, _>(&change.tx, proof, row).await?;
    Ok(())
}

/// Makes a key in the name of `user_id`, as part of founding.
pub(crate) async fn owner_key(change: &Change<'_>, user_id: &str, key: CreateManagementKey) -> Result<String, OperationError> {
    let proof = change.ctx.authorize(Action::Update, Resource::ManagementKey)?;
    let edited = key.apply(change).await?;
    let row = store::find::<management_key::Entity>(&change.tx, change.ctx.scope(), &edited.target.id).await?;
    let mut row = row.ok_or(OperationError::NotFound { kind: "management key" })?.into_active_model();
    row.created_by_user = Set(Some(user_id.to_owned()));
    row.created_by_key = Set(None);
    store::update::<management_key::Entity, _>(&change.tx, &proof, row).await?;
    Ok(edited.secret.unwrap_or_default())
}

/// Changes name or settings.
#[derive(Debug, Serialize)]
pub(crate) struct UpdateOrganization<O> {
    /// The version that the actor knew.
    pub(crate) expected_version: Option<i64>,
    /// How.
    pub(crate) overlay: O,
}

impl<O: Overlay<Declared>> Command for UpdateOrganization<O> {
    const NAME: &'static str = "updateOrganization";

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Update, Resource::Organization)?;
        check_version(&change.org, self.expected_version)?;
        let mut declared = declared(&change.org)?;
        self.overlay.lay_over(&mut declared)?;
        replace(change, &proof, &declared).await
    }
}

/// Declares name and settings anew.
pub(super) async fn replace(change: &Change<'_>, proof: &Authorized, declared: &Declared) -> Result<Edited, OperationError> {
    valid::text("name", &declared.name)?;
    valid::list("settings.ip_allowlist.management", &declared.settings.ip_allowlist.management)?;
    valid::list("settings.ip_allowlist.proxy", &declared.settings.ip_allowlist.proxy)?;
    let row = ActiveModel {
        id: Set(change.org.id.clone()),
        name: Set(declared.name.clone()),
        settings: Set(serde_json::to_value(&declared.settings)?),
        version: Set(change.org.version.saturating_add(1)),
        updated_at: Set(change.now),
        ..ActiveModel::default()
    };
    let after = store::organization::update(&change.tx, proof, row).await?;
    Ok(Edited::new(target(&after), Some(audit_document(&change.org)), Some(audit_document(&after))))
}

/// What the row declares.
pub(super) fn declared(org: &Row) -> Result<Declared, OperationError> {
    Ok(Declared { name: org.name.clone(), settings: serde_json::from_value(org.settings.clone())? })
}

/// Ends the organization.
#[derive(Debug, Serialize)]
pub(crate) struct DeleteOrganization {
    /// Its slug, so that nobody ends the wrong one.
    pub(crate) slug: String,
    /// The version that the actor knew.
    pub(crate) expected_version: Option<i64>,
}

impl Command for DeleteOrganization {
    const NAME: &'static str = "deleteOrganization";

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Delete, Resource::Organization)?;
        check_version(&change.org, self.expected_version)?;
        if self.slug != change.org.slug {
            return Err(OperationError::invalid("slug", format!("write `{}` to end this organization", change.org.slug)));
        }
        revoke_everything(change, &proof).await?;
        let row = ActiveModel {
            id: Set(change.org.id.clone()),
            slug: Set(format!("{}~{}", change.org.slug, change.org.id)),
            version: Set(change.org.version.saturating_add(1)),
            updated_at: Set(change.now),
            ..ActiveModel::default()
        };
        store::organization::update(&change.tx, &proof, row).await?;
        Ok(Edited::new(target(&change.org), Some(audit_document(&change.org)), None))
    }
}

/// Takes away who could act and with what.
async fn revoke_everything(change: &Change<'_>, proof: &Authorized) -> Result<(), OperationError> {
    let (tx, scope) = (&change.tx, change.ctx.scope());
    for row in store::select::<membership::Entity>(scope).all(tx).await? {
        store::delete::<membership::Entity>(tx, proof, &row.id).await?;
    }
    for row in store::proxy_key::live(scope).all(tx).await? {
        let row = proxy_key::ActiveModel { revoked_at: Set(Some(change.now)), ..row.into_active_model() };
        store::update::<proxy_key::Entity, _>(tx, proof, row).await?;
    }
    let live = sea_orm::ColumnTrait::is_null(&management_key::Column::RevokedAt);
    for row in store::select::<management_key::Entity>(scope).filter(live).all(tx).await? {
        let row = management_key::ActiveModel { revoked_at: Set(Some(change.now)), ..row.into_active_model() };
        store::update::<management_key::Entity, _>(tx, proof, row).await?;
    }
    for row in store::select::<provider::Entity>(scope).all(tx).await? {
        let mut row = row.into_active_model();
        row.secret_sealed = Set(None);
        row.secret_wrapped_key = Set(None);
        row.secret_key_id = Set(None);
        row.secret_digest = Set(None);
        store::update::<provider::Entity, _>(tx, proof, row).await?;
    }
    for row in store::select::<project::Entity>(scope).all(tx).await? {
        let mut row = row.into_active_model();
        forget_webhook_secret(&mut row);
        store::update::<project::Entity, _>(tx, proof, row).await?;
    }
    Ok(())
}

fn check_version(org: &Row, expected: Option<i64>) -> Result<(), OperationError> {
    match expected.filter(|expected| *expected != org.version) {
        Some(expected) => Err(OperationError::Version { kind: KIND, expected, found: org.version }),
        None => Ok(()),
    }
}

pub(super) fn target(org: &Row) -> Target {
    Target { kind: Resource::Organization.as_str(), id: org.id.clone(), name: org.slug.clone() }
}

fn audit_document(org: &Row) -> Value {
    json!({"id": org.id, "slug": org.slug, "name": org.name, "settings": org.settings})
}

/// The rows of an organization as a source, for whoever needs all of it.
pub(super) async fn source(change: &Change<'_>) -> Result<policy::source::Organization, OperationError> {
    Ok(publish::load_source(&change.tx, change.ctx.scope().org_id(), change.now, &change.ctx.state().secrets).await?)
}
