//! Management keys: made and shown once, kept as a hash, revoked rather than removed.
//!
//! A key is never made with more rights than its maker has, and authentication cuts it to what its maker has at that moment.

use chrono::{DateTime, SubsecRound, Utc};
use entity::management_key::{ActiveModel, Entity, Model as Row};
use policy::id::{IdKind, new_id};
use policy::source::Role;
use sea_orm::{ActiveValue::Set, IntoActiveModel};
use serde::Serialize;
use serde_json::{Value, json};

use super::change::{Change, Command, Edited};
use super::document::hash_digest;
use super::member::role_column;
use super::proxy_key::hint;
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Forbidden, KeyScope, Resource, role_name};
use crate::context::ActorKind;
use crate::secrets::{hash_key, new_secret};
use crate::store;

/// Begins every management key.
pub(crate) const PREFIX: &str = "mlx_mk_";

/// Makes a key.
#[derive(Debug, Serialize)]
pub(crate) struct CreateManagementKey {
    /// What people call it.
    pub(crate) name: String,
    /// Upper bound of its rights.
    pub(crate) role: Role,
    /// `resource:verb` it is limited to; none for all that the role may.
    pub(crate) scopes: Option<Vec<String>>,
    /// From when on it is refused.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Command for CreateManagementKey {
    const NAME: &'static str = "createManagementKey";

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Create, Resource::ManagementKey)?;
        valid::name("name", &self.name)?;
        self.check_rights(change)?;
        if store::named::management_key(&change.tx, change.ctx.scope(), &self.name).await?.is_some() {
            return Err(OperationError::taken("management key", &self.name));
        }
        if self.expires_at.is_some_and(|at| at <= change.now) {
            return Err(OperationError::invalid("expiresAt", "is in the past"));
        }
        let secret = new_secret(PREFIX);
        let actor = change.ctx.actor();
        let made_by = |kind| Set((actor.kind == kind).then(|| actor.id.clone()));
        let row = ActiveModel {
            id: Set(new_id(IdKind::ManagementKey)),
            name: Set(self.name),
            secret_hash: Set(hash_key(&secret)),
            prefix_hint: Set(hint(&secret)),
            role: Set(role_column(self.role)),
            scopes: Set(self.scopes.map(Value::from)),
            created_by_user: made_by(ActorKind::User),
            created_by_key: made_by(ActorKind::Key),
            expires_at: Set(self.expires_at.map(|at| at.trunc_subsecs(6))),
            version: Set(1),
            created_at: Set(change.now),
            updated_at: Set(change.now),
            ..ActiveModel::default()
        };
        let row = store::insert::<Entity, _>(&change.tx, &proof, row).await?;
        let mut edited = Edited::new(target(&row), None, Some(audit_document(&row)));
        edited.secret = Some(secret);
        Ok(edited)
    }
}

impl CreateManagementKey {
    /// Nobody gives what they do not have.
    fn check_rights(&self, change: &Change<'_>) -> Result<(), OperationError> {
        let scopes = self.scopes.as_deref().unwrap_or_default();
        valid::list("scopes", scopes)?;
        let scopes: Result<Vec<KeyScope>, _> = scopes.iter().map(|scope| scope.parse::<KeyScope>()).collect();
        let scopes = scopes.map_err(|error| OperationError::invalid("scopes", error.to_string()))?;
        let role = change.ctx.state().matrix.of(role_column(self.role));
        let wanted = if self.scopes.is_some() { role.and(KeyScope::union(&scopes)) } else { role };
        let own = change.ctx.permissions().everywhere();
        match wanted.iter().find(|(resource, action)| !own.contains(*action, *resource)) {
            Some((resource, action)) => Err(Forbidden { action, resource }.into()),
            None => Ok(()),
        }
    }
}

/// Revokes a key, and with it all keys that it made.
#[derive(Debug, Serialize)]
pub(crate) struct RevokeManagementKey {
    /// Which.
    pub(crate) id: String,
    /// The version that the actor knew.
    pub(crate) expected_version: Option<i64>,
}

impl Command for RevokeManagementKey {
    const NAME: &'static str = "revokeManagementKey";

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Delete, Resource::ManagementKey)?;
        let found = store::find::<Entity>(&change.tx, change.ctx.scope(), &self.id).await?;
        let row = found.filter(|row| row.revoked_at.is_none()).ok_or(OperationError::NotFound { kind: "management key" })?;
        if let Some(expected) = self.expected_version.filter(|expected| *expected != row.version) {
            return Err(OperationError::Version { kind: "management key", expected, found: row.version });
        }
        let before = audit_document(&row);
        let mut revoked = row.clone().into_active_model();
        revoked.revoked_at = Set(Some(change.now));
        revoked.version = Set(row.version.saturating_add(1));
        revoked.updated_at = Set(change.now);
        store::update::<Entity, _>(&change.tx, &proof, revoked).await?;
        Ok(Edited::new(target(&row), Some(before), None))
    }
}

fn target(row: &Row) -> Target {
    Target { kind: Resource::ManagementKey.as_str(), id: row.id.clone(), name: row.name.clone() }
}

/// The key for a diff: its secret is a digest.
fn audit_document(row: &Row) -> Value {
    json!({
        "id": row.id, "name": row.name, "role": role_name(row.role), "scopes": row.scopes, "expires_at": row.expires_at,
        "secret": hash_digest(&row.secret_hash),
    })
}
