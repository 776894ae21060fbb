//! Providers. A credential goes in and never comes out.

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::provider::{Entity, Model as Row};
use policy::source::{HealthCheck, Provider};
use serde::Serialize;

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_request, rows};
use super::organization::DeletedPayload;
use crate::app::OperationError;
use crate::app::managed::{Create, Delete, Overlay, Update};
use crate::app::provider::Providers;
use crate::authz::Resource;
use crate::error::Refusal;
use crate::publish;
use crate::store::{self, page};

/// A company or system that serves models.
#[derive(SimpleObject)]
#[graphql(name = "Provider")]
struct ProviderView {
    /// Prefixed id.
    id: String,
    /// The part of `provider/model` before the slash.
    name: String,
    /// Which wire format and authentication it has.
    vendor: String,
    /// Address; none for the vendor's own.
    base_url: Option<String>,
    /// Whether there is a credential.
    has_api_key: bool,
    /// Stands for the credential: equal as long as that is.
    api_key_digest: Option<String>,
    /// How workers look by themselves if it is there; none where they do not.
    health_check: Option<HealthCheckView>,
    /// For `expectedVersion`.
    version: i64,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

/// How workers look by themselves if a provider is there: a GET that no model answers.
#[derive(SimpleObject)]
#[graphql(name = "HealthCheck")]
struct HealthCheckView {
    /// Seconds from one check of a worker to its next.
    interval_seconds: u32,
    /// Milliseconds until there is no answer.
    timeout_ms: u32,
    /// Path below the address; none for the vendor's list of models.
    path: Option<String>,
}

impl From<HealthCheck> for HealthCheckView {
    fn from(check: HealthCheck) -> Self {
        let HealthCheck { interval_seconds, timeout_ms, path } = check;
        Self { interval_seconds, timeout_ms, path }
    }
}

impl TryFrom<Row> for ProviderView {
    type Error = Refusal;

    fn try_from(row: Row) -> Result<Self> {
        let health_check = publish::rows::provider(&row).map_err(OperationError::from)?.health_check.map(Into::into);
        let Row {
            id,
            org_id: _,
            name,
            vendor,
            base_url,
            settings: _,
            secret_sealed,
            secret_wrapped_key: _,
            secret_key_id: _,
            secret_digest,
            version,
            created_at,
            updated_at,
        } = row;
        Ok(Self {
            id,
            name,
            vendor,
            base_url,
            has_api_key: secret_sealed.is_some(),
            api_key_digest: secret_digest,
            health_check,
            version,
            created_at,
            updated_at,
        })
    }
}

/// How workers look by themselves if a provider is there.
#[derive(InputObject, Serialize)]
struct HealthCheckInput {
    /// Seconds from one check of a worker to its next; 30 where left out.
    interval_seconds: Option<u32>,
    /// Milliseconds until there is no answer; 5000 where left out.
    timeout_ms: Option<u32>,
    /// Path below the address, of something that only reads; the vendor's list of models where left out.
    path: Option<String>,
}

impl From<HealthCheckInput> for HealthCheck {
    fn from(input: HealthCheckInput) -> Self {
        let HealthCheckInput { interval_seconds, timeout_ms, path } = input;
        Self {
            interval_seconds: interval_seconds.unwrap_or_else(Self::usual_interval),
            timeout_ms: timeout_ms.unwrap_or_else(Self::usual_timeout),
            path,
        }
    }
}

/// A new provider.
#[derive(InputObject)]
struct CreateProviderInput {
    /// Unique in the organization.
    name: String,
    /// Which wire format and authentication it has.
    vendor: String,
    /// Address; the vendor's own where left out.
    base_url: Option<String>,
    /// Credential; write-only.
    api_key: Option<String>,
    /// How workers look by themselves if it is there; they do not where left out.
    health_check: Option<HealthCheckInput>,
}

impl From<CreateProviderInput> for Provider {
    fn from(input: CreateProviderInput) -> Self {
        let CreateProviderInput { name, vendor, base_url, api_key, health_check } = input;
        Self { name, vendor, base_url, api_key, health_check: health_check.map(Into::into) }
    }
}

/// What is to be different; fields left out stay.
#[derive(InputObject, Serialize)]
struct UpdateProviderInput {
    /// Unique in the organization.
    name: Option<String>,
    /// Which wire format and authentication it has.
    vendor: Option<String>,
    /// Address; null for the vendor's own.
    base_url: MaybeUndefined<String>,
    /// A new credential.
    api_key: Option<String>,
    /// How workers look by themselves if it is there; null for not at all.
    health_check: MaybeUndefined<HealthCheckInput>,
}

impl Overlay<Provider> for UpdateProviderInput {
    fn lay_over(self, provider: &mut Provider) -> Result<(), OperationError> {
        let Self { name, vendor, base_url, api_key, health_check } = self;
        if let Some(name) = name {
            provider.name = name;
        }
        if let Some(vendor) = vendor {
            provider.vendor = vendor;
        }
        base_url.update_to(&mut provider.base_url);
        provider.api_key = api_key;
        match health_check {
            MaybeUndefined::Undefined => {}
            MaybeUndefined::Null => provider.health_check = None,
            MaybeUndefined::Value(check) => provider.health_check = Some(check.into()),
        }
        Ok(())
    }
}

/// A provider as changed.
#[derive(SimpleObject)]
struct ProviderPayload {
    /// As it is now.
    provider: ProviderView,
    /// The bundle that carries the change.
    revision: i64,
}

async fn load(caller: &Caller, id: &str) -> Result<ProviderView> {
    caller.ctx().authorize(crate::authz::Action::Read, Resource::Provider)?;
    let row = store::find::<Entity>(caller.database(), caller.ctx().scope(), id).await?;
    row.ok_or_else(|| not_found("provider"))?.try_into()
}

#[derive(Default)]
pub(super) struct ProviderQuery;

#[Object]
impl ProviderQuery {
    /// All providers.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn providers(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Result<Connection<String, ProviderView>> {
        let caller = caller(ctx)?;
        let scope = caller.reading(Resource::Provider)?;
        let page = page::by_id(caller.database(), store::select::<Entity>(scope), &page_request(first, after.as_deref())?).await?;
        let page::Page { rows, has_next, has_previous } = page;
        let views = rows.into_iter().map(ProviderView::try_from).collect::<Result<Vec<_>>>()?;
        Ok(connection(page::Page { rows: views, has_next, has_previous }, |view| view.id.clone(), |view| view))
    }

    /// One provider.
    async fn provider(&self, ctx: &Context<'_>, id: ID) -> Result<ProviderView> {
        load(caller(ctx)?, &id).await
    }
}

#[derive(Default)]
pub(super) struct ProviderMutation;

#[Object]
impl ProviderMutation {
    /// Adds a provider.
    async fn create_provider(
        &self,
        ctx: &Context<'_>,
        input: CreateProviderInput,
        idempotency_key: Option<String>,
    ) -> Result<ProviderPayload> {
        let caller = caller(ctx)?;
        let done = caller.change(idempotency_key, Create::<Providers> { place: (), source: input.into() }).await?;
        Ok(ProviderPayload { provider: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Changes a provider.
    async fn update_provider(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: UpdateProviderInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<ProviderPayload> {
        let caller = caller(ctx)?;
        let update = Update { id: id.0, expected_version, overlay: input };
        let done = caller.change(idempotency_key, update.of::<Providers>()).await?;
        Ok(ProviderPayload { provider: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Removes a provider.
    async fn delete_provider(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        let delete = Delete { id: id.0, expected_version };
        Ok(caller(ctx)?.change(idempotency_key, delete.of::<Providers>()).await?.into())
    }
}
