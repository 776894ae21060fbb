//! Management keys. The secret is in the answer that makes a key, and nowhere else.

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::management_key::{Column, Entity, Model as Row};
use sea_orm::{ColumnTrait as _, QueryFilter as _};

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_request, rows};
use super::organization::DeletedPayload;
use super::scalar::texts_of;
use super::vocabulary::RoleName;
use crate::app::management_key::{CreateManagementKey, RevokeManagementKey};
use crate::app::member::role_of;
use crate::authz::{Action, Resource};
use crate::store::{self, page};

/// A key of the control plane.
#[derive(SimpleObject)]
#[graphql(name = "ManagementKey")]
struct ManagementKeyView {
    /// Prefixed id.
    id: String,
    /// What people call it.
    name: String,
    /// First characters of the key, to recognise it by.
    prefix_hint: String,
    /// Upper bound of its rights.
    role: RoleName,
    /// `resource:verb` it is limited to; none for all that the role may.
    scopes: Option<Vec<String>>,
    /// Id of the person or key that made it; without one it was made with the organization.
    created_by: Option<String>,
    /// From when on it is refused.
    expires_at: Option<DateTime<Utc>>,
    /// When it was last accepted, coarsely.
    last_used_at: Option<DateTime<Utc>>,
    /// For `expectedVersion`.
    version: i64,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<Row> for ManagementKeyView {
    fn from(row: Row) -> Self {
        let Row {
            id,
            org_id: _,
            name,
            secret_hash: _,
            prefix_hint,
            role,
            scopes,
            created_by_user,
            created_by_key,
            expires_at,
            revoked_at: _,
            last_used_at,
            version,
            created_at,
            updated_at: _,
        } = row;
        let scopes = scopes.as_ref().map(texts_of);
        let created_by = created_by_key.or(created_by_user);
        Self { id, name, prefix_hint, role: role_of(role).into(), scopes, created_by, expires_at, last_used_at, version, created_at }
    }
}

/// A new key.
#[derive(InputObject)]
struct CreateManagementKeyInput {
    /// What people call it.
    name: String,
    /// Upper bound of its rights; not above the caller's.
    role: RoleName,
    /// `resource:verb` it is limited to; all that the role may where left out.
    scopes: Option<Vec<String>>,
    /// From when on it is refused.
    expires_at: Option<DateTime<Utc>>,
}

/// A key as made.
#[derive(SimpleObject)]
struct ManagementKeyPayload {
    /// As it is now.
    management_key: ManagementKeyView,
    /// The whole key, shown this once; not in a repeated answer.
    secret: Option<String>,
    /// The bundle that carries the change.
    revision: i64,
}

async fn load(caller: &Caller, id: &str) -> Result<ManagementKeyView> {
    caller.ctx().authorize(Action::Read, Resource::ManagementKey)?;
    let row = store::find::<Entity>(caller.database(), caller.ctx().scope(), id).await?;
    Ok(row.filter(|row| row.revoked_at.is_none()).ok_or_else(|| not_found("management key"))?.into())
}

#[derive(Default)]
pub(super) struct ManagementKeyQuery;

#[Object]
impl ManagementKeyQuery {
    /// Keys that were not revoked.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn management_keys(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, ManagementKeyView>> {
        let caller = caller(ctx)?;
        caller.ctx().authorize(Action::Read, Resource::ManagementKey)?;
        let live = store::select::<Entity>(caller.ctx().scope()).filter(Column::RevokedAt.is_null());
        let page = page::by_id(caller.database(), live, &page_request(first, after.as_deref())?).await?;
        Ok(connection(page, |row| row.id.clone(), ManagementKeyView::from))
    }

    /// One key.
    async fn management_key(&self, ctx: &Context<'_>, id: ID) -> Result<ManagementKeyView> {
        load(caller(ctx)?, &id).await
    }
}

#[derive(Default)]
pub(super) struct ManagementKeyMutation;

#[Object]
impl ManagementKeyMutation {
    /// Makes a key. Its secret is in this answer only.
    async fn create_management_key(
        &self,
        ctx: &Context<'_>,
        input: CreateManagementKeyInput,
        idempotency_key: Option<String>,
    ) -> Result<ManagementKeyPayload> {
        let caller = caller(ctx)?;
        let CreateManagementKeyInput { name, role, scopes, expires_at } = input;
        let done = caller.change(idempotency_key, CreateManagementKey { name, role: role.into(), scopes, expires_at }).await?;
        Ok(ManagementKeyPayload { management_key: load(caller, &done.id).await?, secret: done.secret, revision: done.revision })
    }

    /// Revokes a key, and with it all keys that it made.
    async fn revoke_management_key(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        Ok(caller(ctx)?.change(idempotency_key, RevokeManagementKey { id: id.0, expected_version }).await?.into())
    }
}
