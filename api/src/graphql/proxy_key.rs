//! Proxy keys. The secret is in the answer that makes or rotates a key, and nowhere else.

use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::proxy_key::{Column, Model as Row};
use ipnet::IpNet;
use policy::source::{Expiry, Key};
use sea_orm::{ColumnTrait as _, QueryFilter as _};
use serde::Serialize;

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_request, rows};
use super::loaders::{ProjectId, UserId};
use super::organization::DeletedPayload;
use super::project::ProjectView;
use super::scalar::{Tag, TagInput, tags_from, tags_of, texts_of};
use crate::app::managed::{Create, Delete, Overlay, Update};
use crate::app::proxy_key::{ProxyKeys, RotateProxyKey};
use crate::app::{Done, OperationError};
use crate::authz::Resource;
use crate::store::{self, page};

/// A key with which traffic is let through the data plane.
#[derive(SimpleObject)]
#[graphql(name = "ProxyKey", complex)]
pub(super) struct ProxyKeyView {
    /// Prefixed id.
    id: String,
    /// Unique in the project.
    name: String,
    /// First characters of the key, to recognise it by.
    prefix_hint: String,
    /// Tags bound to every request of the key.
    tags: Vec<Tag>,
    /// Requests a minute; none for no limit of its own.
    rpm: Option<i64>,
    /// From when on it is refused.
    expires_at: Option<DateTime<Utc>>,
    /// Patterns of models it may use.
    allowed_models: Vec<String>,
    /// Networks it may be used from; empty means all.
    ip_allowlist: Vec<String>,
    /// For `expectedVersion`.
    version: i64,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
    #[graphql(skip)]
    project_id: String,
    #[graphql(skip)]
    owner_user_id: Option<String>,
}

impl From<Row> for ProxyKeyView {
    fn from(row: Row) -> Self {
        let Row {
            id,
            org_id: _,
            project_id,
            name,
            secret_hash: _,
            prefix_hint,
            tags,
            rpm,
            expires_at,
            allowed_models,
            ip_allowlist,
            owner_user_id,
            revoked_at: _,
            version,
            created_at,
            updated_at,
        } = row;
        Self {
            id,
            name,
            prefix_hint,
            tags: tags_of(&tags),
            rpm,
            expires_at,
            allowed_models: texts_of(&allowed_models),
            ip_allowlist: texts_of(&ip_allowlist),
            version,
            created_at,
            updated_at,
            project_id,
            owner_user_id,
        }
    }
}

#[ComplexObject]
impl ProxyKeyView {
    /// The project it is of.
    async fn project(&self, ctx: &Context<'_>) -> Result<ProjectView> {
        let caller = caller(ctx)?;
        caller.reading(Resource::Project)?;
        let row = caller.loaders().load_one(ProjectId(self.project_id.clone())).await?;
        row.ok_or_else(|| not_found("project"))?.try_into()
    }

    /// E-mail address of the person it was made for.
    async fn owner(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let Some(id) = &self.owner_user_id else { return Ok(None) };
        let user = caller(ctx)?.loaders().load_one(UserId(id.clone())).await?;
        Ok(user.map(|user| user.email))
    }
}

/// A new key.
#[derive(InputObject)]
struct CreateProxyKeyInput {
    /// The project it is of.
    project_id: ID,
    /// Unique in the project.
    name: String,
    /// Tags bound to every request of the key; they win over the project's.
    tags: Option<Vec<TagInput>>,
    /// Requests a minute; no limit where left out.
    rpm: Option<u32>,
    /// From when on it is refused.
    expires_at: Option<DateTime<Utc>>,
    /// Patterns of models it may use; all where left out.
    allowed_models: Option<Vec<String>>,
    /// Networks it may be used from; all where left out.
    ip_allowlist: Option<Vec<String>>,
    /// E-mail address of the person it is for, who must be a member.
    owner: Option<String>,
}

impl TryFrom<CreateProxyKeyInput> for Create<ProxyKeys> {
    type Error = OperationError;

    fn try_from(input: CreateProxyKeyInput) -> Result<Self, OperationError> {
        let CreateProxyKeyInput { project_id, name, tags, rpm, expires_at, allowed_models, ip_allowlist, owner } = input;
        let source = Key {
            name,
            tags: tags_from(tags.unwrap_or_default()),
            rpm,
            expires: expires_at.map(Expiry),
            allowed_models: allowed_models.unwrap_or_else(|| vec!["*".to_owned()]),
            ip_allowlist: networks("ipAllowlist", &ip_allowlist.unwrap_or_default())?,
            owner,
        };
        Ok(Self { place: project_id.0, source })
    }
}

/// What is to be different; fields left out stay.
#[derive(InputObject, Serialize)]
struct UpdateProxyKeyInput {
    /// Unique in the project.
    name: Option<String>,
    /// All tags, in place of those there are.
    tags: Option<Vec<TagInput>>,
    /// Requests a minute; null for no limit.
    rpm: MaybeUndefined<u32>,
    /// From when on it is refused; null for never.
    expires_at: MaybeUndefined<DateTime<Utc>>,
    /// Patterns of models it may use.
    allowed_models: Option<Vec<String>>,
    /// Networks it may be used from; empty means all.
    ip_allowlist: Option<Vec<String>>,
    /// E-mail address of the person it is for; null for nobody.
    owner: MaybeUndefined<String>,
}

impl Overlay<Key> for UpdateProxyKeyInput {
    fn lay_over(self, key: &mut Key) -> Result<(), OperationError> {
        let Self { name, tags, rpm, expires_at, allowed_models, ip_allowlist, owner } = self;
        if let Some(name) = name {
            key.name = name;
        }
        if let Some(tags) = tags {
            key.tags = tags_from(tags);
        }
        rpm.update_to(&mut key.rpm);
        expires_at.map_value(Expiry).update_to(&mut key.expires);
        if let Some(models) = allowed_models {
            key.allowed_models = models;
        }
        if let Some(list) = ip_allowlist {
            key.ip_allowlist = networks("ipAllowlist", &list)?;
        }
        owner.update_to(&mut key.owner);
        Ok(())
    }
}

/// Networks as people write them: an address alone is a network of one.
pub(super) fn networks(field: &str, texts: &[String]) -> Result<Vec<IpNet>, OperationError> {
    let parse = |text: &String| text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let refused = |text: &String| {
        OperationError::invalid(field, format!("`{}` is not a network such as `10.0.0.0/8`", text.chars().take(60).collect::<String>()))
    };
    texts.iter().map(|text| parse(text).map_err(|_| refused(text))).collect()
}

/// A key as changed.
#[derive(SimpleObject)]
struct ProxyKeyPayload {
    /// As it is now.
    proxy_key: ProxyKeyView,
    /// The whole key, shown this once; not in a repeated answer.
    secret: Option<String>,
    /// The bundle that carries the change.
    revision: i64,
}

impl ProxyKeyPayload {
    async fn load(caller: &Caller, done: Done) -> Result<Self> {
        Ok(Self { proxy_key: load(caller, &done.id).await?, secret: done.secret, revision: done.revision })
    }
}

async fn load(caller: &Caller, id: &str) -> Result<ProxyKeyView> {
    let scope = caller.reading(Resource::ProxyKey)?;
    let row = store::proxy_key::find(caller.database(), scope, id).await?;
    Ok(row.ok_or_else(|| not_found("proxy key"))?.into())
}

#[derive(Default)]
pub(super) struct ProxyKeyQuery;

#[Object]
impl ProxyKeyQuery {
    /// Keys that were not revoked, of all projects or of one.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn proxy_keys(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        project_id: Option<ID>,
    ) -> Result<Connection<String, ProxyKeyView>> {
        let caller = caller(ctx)?;
        let mut keys = store::proxy_key::live(caller.reading(Resource::ProxyKey)?);
        if let Some(project_id) = project_id {
            keys = keys.filter(Column::ProjectId.eq(project_id.0));
        }
        let page = page::by_id(caller.database(), keys, &page_request(first, after.as_deref())?).await?;
        Ok(connection(page, |row| row.id.clone(), ProxyKeyView::from))
    }

    /// One key.
    async fn proxy_key(&self, ctx: &Context<'_>, id: ID) -> Result<ProxyKeyView> {
        load(caller(ctx)?, &id).await
    }
}

#[derive(Default)]
pub(super) struct ProxyKeyMutation;

#[Object]
impl ProxyKeyMutation {
    /// Makes a key. Its secret is in this answer only.
    async fn create_proxy_key(
        &self,
        ctx: &Context<'_>,
        input: CreateProxyKeyInput,
        idempotency_key: Option<String>,
    ) -> Result<ProxyKeyPayload> {
        let caller = caller(ctx)?;
        let create = Create::<ProxyKeys>::try_from(input)?;
        ProxyKeyPayload::load(caller, caller.change(idempotency_key, create).await?).await
    }

    /// Changes what a key may do.
    async fn update_proxy_key(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: UpdateProxyKeyInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<ProxyKeyPayload> {
        let caller = caller(ctx)?;
        let update = Update { id: id.0, expected_version, overlay: input };
        ProxyKeyPayload::load(caller, caller.change(idempotency_key, update.of::<ProxyKeys>()).await?).await
    }

    /// Gives a key a new secret; the old one is refused from now on.
    async fn rotate_proxy_key(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<ProxyKeyPayload> {
        let caller = caller(ctx)?;
        let done = caller.change(idempotency_key, RotateProxyKey { id: id.0, expected_version }).await?;
        ProxyKeyPayload::load(caller, done).await
    }

    /// Revokes a key. Its name is free again.
    async fn revoke_proxy_key(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        let delete = Delete { id: id.0, expected_version };
        Ok(caller(ctx)?.change(idempotency_key, delete.of::<ProxyKeys>()).await?.into())
    }
}
