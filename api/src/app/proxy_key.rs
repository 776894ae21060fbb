//! Proxy keys: made and shown once, kept as a hash, revoked rather than removed.

use chrono::SubsecRound;
use entity::proxy_key::{ActiveModel, Entity, Model as Row};
use policy::id::{IdKind, new_id};
use policy::source::Key;
use sea_orm::{ActiveValue::Set, DbErr, IntoActiveModel};
use serde::Serialize;
use serde_json::{Value, json};

use super::change::{Change, Command, Edited};
use super::document::{document, hash_digest};
use super::managed::{Managed, check_version, existing};
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Authorized, Resource};
use crate::publish::rows;
use crate::secrets::{hash_key, new_secret};
use crate::store;

/// Begins every proxy key.
pub(crate) const PREFIX: &str = "mlx_sk_";
/// Characters of a key that are kept to recognise it by.
const HINT: usize = 12;

/// Proxy keys that were not revoked.
pub(crate) struct ProxyKeys;

impl Managed for ProxyKeys {
    const RESOURCE: Resource = Resource::ProxyKey;
    const KIND: &'static str = "proxy key";
    const CREATE: &'static str = "createProxyKey";
    const UPDATE: &'static str = "updateProxyKey";
    const DELETE: &'static str = "revokeProxyKey";
    type Row = Row;
    type Source = Key;
    /// The project, by id.
    type Place = String;

    async fn find(change: &Change<'_>, id: &str) -> Result<Option<Row>, DbErr> {
        store::proxy_key::find(&change.tx, change.ctx.scope(), id).await
    }

    fn version(row: &Row) -> i64 {
        row.version
    }

    fn project_of(row: &Row) -> Option<&str> {
        Some(&row.project_id)
    }

    async fn read(change: &Change<'_>, row: &Row) -> Result<Key, OperationError> {
        let ids: Vec<String> = row.owner_user_id.iter().cloned().collect();
        let owner = store::member::users(&change.tx, change.ctx.scope(), &ids).await?.pop().map(|user| user.email);
        Ok(rows::key(row.clone(), owner)?.key)
    }

    async fn create(change: &Change<'_>, project_id: &String, key: &Key) -> Result<Edited, OperationError> {
        let project = store::find::<entity::project::Entity>(&change.tx, change.ctx.scope(), project_id).await?;
        let project = project.ok_or(OperationError::NotFound { kind: "project" })?;
        let proof = change.ctx.authorize_in(Action::Create, Resource::ProxyKey, Some(project_id))?;
        check(change, project_id, key, None).await?;
        let secret = new_secret(PREFIX);
        let row = ActiveModel {
            id: Set(new_id(IdKind::ProxyKey)),
            project_id: Set(project_id.clone()),
            secret_hash: Set(hash_key(&secret)),
            prefix_hint: Set(hint(&secret)),
            version: Set(1),
            created_at: Set(change.now),
            ..declared(change, key).await?
        };
        let row = store::insert::<Entity, _>(&change.tx, &proof, row).await?;
        let mut edited = Edited::new(target(&row), None, Some(audit_document(change, &row).await?));
        edited.secrets.push((format!("{}/{}", project.name, row.name), secret.clone()));
        edited.secret = Some(secret);
        Ok(edited)
    }

    async fn replace(change: &Change<'_>, proof: &Authorized, before: Row, key: &Key) -> Result<Edited, OperationError> {
        check(change, &before.project_id, key, Some(&before.name)).await?;
        let was = audit_document(change, &before).await?;
        let kept = before.clone().into_active_model();
        let version = Set(before.version.saturating_add(1));
        let row = ActiveModel { id: kept.id, org_id: kept.org_id, version, ..declared(change, key).await? };
        let row = store::update::<Entity, _>(&change.tx, proof, row).await?;
        Ok(Edited::new(target(&row), Some(was), Some(audit_document(change, &row).await?)))
    }

    async fn delete(change: &Change<'_>, proof: &Authorized, row: Row) -> Result<Edited, OperationError> {
        let was = audit_document(change, &row).await?;
        let mut revoked = row.clone().into_active_model();
        revoked.revoked_at = Set(Some(change.now));
        revoked.version = Set(row.version.saturating_add(1));
        revoked.updated_at = Set(change.now);
        store::update::<Entity, _>(&change.tx, proof, revoked).await?;
        Ok(Edited::new(target(&row), Some(was), None))
    }
}

/// Gives a key a new secret; the old one is refused from now on.
#[derive(Serialize)]
pub(crate) struct RotateProxyKey {
    /// Which.
    pub(crate) id: String,
    /// The version that the actor knew.
    pub(crate) expected_version: Option<i64>,
}

impl Command for RotateProxyKey {
    const NAME: &'static str = "rotateProxyKey";

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let row = existing::<ProxyKeys>(change, &self.id).await?;
        let proof = change.ctx.authorize_in(Action::Update, Resource::ProxyKey, Some(&row.project_id))?;
        check_version::<ProxyKeys>(&row, self.expected_version)?;
        let was = audit_document(change, &row).await?;
        let secret = new_secret(PREFIX);
        let mut rotated = row.clone().into_active_model();
        rotated.secret_hash = Set(hash_key(&secret));
        rotated.prefix_hint = Set(hint(&secret));
        rotated.version = Set(row.version.saturating_add(1));
        rotated.updated_at = Set(change.now);
        let row = store::update::<Entity, _>(&change.tx, &proof, rotated).await?;
        let mut edited = Edited::new(target(&row), Some(was), Some(audit_document(change, &row).await?));
        edited.secret = Some(secret);
        Ok(edited)
    }
}

/// The characters of a secret by which people recognise it.
pub(super) fn hint(secret: &str) -> String {
    secret.chars().take(HINT).collect()
}

async fn check(change: &Change<'_>, project_id: &str, key: &Key, own_name: Option<&str>) -> Result<(), OperationError> {
    valid::name("name", &key.name)?;
    valid::tags("tags", &key.tags)?;
    valid::list("allowed_models", &key.allowed_models)?;
    valid::list("ip_allowlist", &key.ip_allowlist)?;
    let renamed = own_name != Some(key.name.as_str());
    if renamed && store::proxy_key::by_name(&change.tx, change.ctx.scope(), project_id, &key.name).await?.is_some() {
        return Err(OperationError::taken(ProxyKeys::KIND, &key.name));
    }
    Ok(())
}

async fn declared(change: &Change<'_>, key: &Key) -> Result<ActiveModel, OperationError> {
    Ok(ActiveModel {
        name: Set(key.name.clone()),
        tags: Set(serde_json::to_value(&key.tags)?),
        rpm: Set(key.rpm.map(i64::from)),
        expires_at: Set(key.expires.map(|expiry| expiry.0.trunc_subsecs(6))),
        allowed_models: Set(serde_json::to_value(&key.allowed_models)?),
        ip_allowlist: Set(serde_json::to_value(&key.ip_allowlist)?),
        owner_user_id: Set(owner(change, key).await?),
        updated_at: Set(change.now),
        ..ActiveModel::default()
    })
}

/// The person the key is for, who must have a role here.
async fn owner(change: &Change<'_>, key: &Key) -> Result<Option<String>, OperationError> {
    let Some(email) = &key.owner else { return Ok(None) };
    let email = valid::email("owner", email)?;
    match store::member::member_by_email(&change.tx, change.ctx.scope(), &email).await? {
        Some(user) => Ok(Some(user.id)),
        None => Err(OperationError::invalid("owner", format!("`{email}` is not a member of the organization"))),
    }
}

fn target(row: &Row) -> Target {
    Target { kind: Resource::ProxyKey.as_str(), id: row.id.clone(), name: row.name.clone() }
}

/// The key for a diff: its secret is a digest.
async fn audit_document(change: &Change<'_>, row: &Row) -> Result<Value, OperationError> {
    let key = ProxyKeys::read(change, row).await?;
    document(&key, &[("id", json!(row.id)), ("project_id", json!(row.project_id)), ("secret", hash_digest(&row.secret_hash))])
}
