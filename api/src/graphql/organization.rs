//! `viewer`, `organization`, and the mutations of the organization.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::organization::Model as Row;
use policy::source::Settings;
use serde::Serialize;

use super::Result;
use super::caller::{caller, not_found};
use super::vocabulary::{RoleName, UnpricedName};
use crate::app::managed::Overlay;
use crate::app::member::role_of;
use crate::app::organization::{CreateOrganization, Declared, DeleteOrganization, UpdateOrganization};
use crate::app::{Call, OperationError};
use crate::authz::{Action, Resource, TenantScope};
use crate::error::Refusal;
use crate::store;

/// Who asks, and what they may do.
#[derive(SimpleObject)]
#[graphql(name = "Viewer")]
struct ViewerView {
    /// Prefixed id of the key or person.
    id: String,
    /// `key` or `user`.
    kind: String,
    /// What it is called.
    name: String,
    /// The role it acts with.
    role: Option<RoleName>,
    /// What it may do in the whole organization, as `resource:verb`.
    permissions: Vec<String>,
    /// Its organization.
    organization: OrganizationView,
}

/// An organization.
#[derive(SimpleObject)]
#[graphql(name = "Organization")]
pub(super) struct OrganizationView {
    /// Prefixed id.
    id: String,
    /// Unique name in addresses and manifests.
    slug: String,
    /// What people read.
    name: String,
    /// Number of the newest bundle.
    revision: i64,
    /// Organization-wide settings.
    settings: SettingsView,
    /// For `expectedVersion`.
    version: i64,
    /// When it was founded.
    created_at: DateTime<Utc>,
    /// When name or settings last changed.
    updated_at: DateTime<Utc>,
}

/// Organization-wide settings.
#[derive(SimpleObject)]
#[graphql(name = "OrganizationSettings")]
struct SettingsView {
    /// IANA name; what hours, weekdays and new budgets are reckoned in.
    time_zone: String,
    /// Whether prompts and completions are kept.
    payloads: String,
    /// Days the request log is kept.
    retention_days: u32,
    /// `@slug` of the config that runs on every request.
    entry_policy: Option<String>,
    /// Networks that may reach the control plane; empty means all.
    management_ip_allowlist: Vec<String>,
    /// Networks that may reach the data plane; empty means all.
    proxy_ip_allowlist: Vec<String>,
    /// Whether providers on loopback and private networks are refused.
    deny_private_upstreams: bool,
    /// What happens to a model without a price.
    unpriced_models: UnpricedName,
}

impl TryFrom<Row> for OrganizationView {
    type Error = Refusal;

    fn try_from(row: Row) -> Result<Self> {
        let Row { id, slug, name, revision, settings, audit_head_hash: _, audit_sequence: _, version, created_at, updated_at } = row;
        let settings: Settings = serde_json::from_value(settings).map_err(OperationError::from)?;
        Ok(Self { id, slug, name, revision, settings: settings.into(), version, created_at, updated_at })
    }
}

impl From<Settings> for SettingsView {
    fn from(settings: Settings) -> Self {
        let Settings { time_zone, payloads, retention_days, entry_policy, ip_allowlist, deny_private_upstreams, unpriced_models } =
            settings;
        let texts = |networks: Vec<ipnet::IpNet>| networks.iter().map(ToString::to_string).collect();
        Self {
            time_zone,
            payloads: match payloads {
                policy::source::Payloads::None => "none".to_owned(),
            },
            retention_days,
            entry_policy,
            management_ip_allowlist: texts(ip_allowlist.management),
            proxy_ip_allowlist: texts(ip_allowlist.proxy),
            deny_private_upstreams,
            unpriced_models: unpriced_models.into(),
        }
    }
}

/// A new organization.
#[derive(InputObject)]
struct CreateOrganizationInput {
    /// Unique name in addresses and manifests.
    slug: String,
    /// What people read; the slug where left out.
    name: Option<String>,
}

/// What is to be different; fields left out stay.
#[derive(InputObject, Serialize)]
struct UpdateOrganizationInput {
    /// What people read.
    name: Option<String>,
    /// IANA name of the time zone.
    time_zone: Option<String>,
    /// Days the request log is kept.
    retention_days: Option<u32>,
    /// `@slug` of the config that runs on every request; null for none.
    entry_policy: MaybeUndefined<String>,
    /// Networks that may reach the control plane; empty means all.
    management_ip_allowlist: Option<Vec<String>>,
    /// Networks that may reach the data plane; empty means all.
    proxy_ip_allowlist: Option<Vec<String>>,
    /// Refuse providers on loopback and private networks.
    deny_private_upstreams: Option<bool>,
    /// What happens to a model without a price.
    unpriced_models: Option<UnpricedName>,
}

impl Overlay<Declared> for UpdateOrganizationInput {
    fn lay_over(self, declared: &mut Declared) -> Result<(), OperationError> {
        let Self {
            name,
            time_zone,
            retention_days,
            entry_policy,
            management_ip_allowlist,
            proxy_ip_allowlist,
            deny_private_upstreams,
            unpriced_models,
        } = self;
        let settings = &mut declared.settings;
        declared.name = name.unwrap_or_else(|| declared.name.clone());
        settings.time_zone = time_zone.unwrap_or_else(|| settings.time_zone.clone());
        settings.retention_days = retention_days.unwrap_or(settings.retention_days);
        entry_policy.update_to(&mut settings.entry_policy);
        if let Some(networks) = management_ip_allowlist {
            settings.ip_allowlist.management = super::proxy_key::networks("managementIpAllowlist", &networks)?;
        }
        if let Some(networks) = proxy_ip_allowlist {
            settings.ip_allowlist.proxy = super::proxy_key::networks("proxyIpAllowlist", &networks)?;
        }
        settings.deny_private_upstreams = deny_private_upstreams.unwrap_or(settings.deny_private_upstreams);
        settings.unpriced_models = unpriced_models.map_or(settings.unpriced_models, Into::into);
        Ok(())
    }
}

/// An organization as changed.
#[derive(SimpleObject)]
struct OrganizationPayload {
    /// As it is now.
    organization: OrganizationView,
    /// Its bundle that carries the change.
    revision: i64,
}

/// A new organization with its first key.
#[derive(SimpleObject)]
struct CreateOrganizationPayload {
    /// As it is now.
    organization: OrganizationView,
    /// A management key of its owner, shown this once; not in a repeated answer.
    management_key: Option<String>,
    /// Its first bundle.
    revision: i64,
}

/// What was removed.
#[derive(SimpleObject)]
pub(super) struct DeletedPayload {
    /// Its id.
    pub(super) id: String,
    /// The bundle that carries the change.
    pub(super) revision: i64,
}

impl From<crate::app::Done> for DeletedPayload {
    fn from(done: crate::app::Done) -> Self {
        Self { id: done.id, revision: done.revision }
    }
}

#[derive(Default)]
pub(super) struct OrganizationQuery;

#[Object]
impl OrganizationQuery {
    /// Who asks, and what they may do.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<ViewerView> {
        let caller = caller(ctx)?;
        let actor = caller.ctx().actor();
        let permissions = caller.ctx().permissions().everywhere().iter();
        Ok(ViewerView {
            id: actor.id.clone(),
            kind: actor.kind.as_str().to_owned(),
            name: actor.name.clone(),
            role: actor.role.map(|role| role_of(role).into()),
            permissions: permissions.map(|(resource, action)| format!("{}:{}", resource.as_str(), action.as_str())).collect(),
            organization: own(ctx).await?,
        })
    }

    /// The caller's organization.
    async fn organization(&self, ctx: &Context<'_>) -> Result<OrganizationView> {
        caller(ctx)?.ctx().authorize(Action::Read, Resource::Organization)?;
        own(ctx).await
    }
}

async fn own(ctx: &Context<'_>) -> Result<OrganizationView> {
    let caller = caller(ctx)?;
    let row = store::organization::own(caller.database(), caller.ctx().scope()).await?;
    row.ok_or_else(|| not_found("organization"))?.try_into()
}

#[derive(Default)]
pub(super) struct OrganizationMutation;

#[Object]
impl OrganizationMutation {
    /// Founds an organization with the caller as its owner. It is reached with the key in the answer.
    async fn create_organization(
        &self,
        ctx: &Context<'_>,
        input: CreateOrganizationInput,
        idempotency_key: Option<String>,
    ) -> Result<CreateOrganizationPayload> {
        let caller = caller(ctx)?;
        let new = CreateOrganization { name: input.name.unwrap_or_else(|| input.slug.clone()), slug: input.slug };
        let done = new.run(caller.ctx(), Call { idempotency_key }).await?;
        let row = store::organization::own(caller.database(), &TenantScope::organization(&done.id)).await?;
        let organization = row.ok_or_else(|| not_found("organization"))?.try_into()?;
        Ok(CreateOrganizationPayload { organization, management_key: done.secret, revision: done.revision })
    }

    /// Changes name or settings of the caller's organization.
    async fn update_organization(
        &self,
        ctx: &Context<'_>,
        input: UpdateOrganizationInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<OrganizationPayload> {
        let done = caller(ctx)?.change(idempotency_key, UpdateOrganization { expected_version, overlay: input }).await?;
        Ok(OrganizationPayload { organization: own(ctx).await?, revision: done.revision })
    }

    /// Ends the caller's organization: its keys are revoked, its members removed. `slug` must be its own.
    async fn delete_organization(
        &self,
        ctx: &Context<'_>,
        slug: String,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        Ok(caller(ctx)?.change(idempotency_key, DeleteOrganization { slug, expected_version }).await?.into())
    }
}
