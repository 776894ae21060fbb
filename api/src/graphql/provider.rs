//! Providers. A credential goes in and never comes out.

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::provider::{Entity, Model as Row};
use policy::source::Provider;
use serde::Serialize;

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_request, rows};
use super::organization::DeletedPayload;
use crate::app::OperationError;
use crate::app::managed::{Create, Delete, Overlay, Update};
use crate::app::provider::Providers;
use crate::authz::Resource;
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
    /// For `expectedVersion`.
    version: i64,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl From<Row> for ProviderView {
    fn from(row: Row) -> Self {
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
        Self {
            id,
            name,
            vendor,
            base_url,
            has_api_key: secret_sealed.is_some(),
            api_key_digest: secret_digest,
            version,
            created_at,
            updated_at,
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
}

impl From<CreateProviderInput> for Provider {
    fn from(input: CreateProviderInput) -> Self {
        let CreateProviderInput { name, vendor, base_url, api_key } = input;
        Self { name, vendor, base_url, api_key }
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
}

impl Overlay<Provider> for UpdateProviderInput {
    fn lay_over(self, provider: &mut Provider) -> Result<(), OperationError> {
        let Self { name, vendor, base_url, api_key } = self;
        if let Some(name) = name {
            provider.name = name;
        }
        if let Some(vendor) = vendor {
            provider.vendor = vendor;
        }
        base_url.update_to(&mut provider.base_url);
        provider.api_key = api_key;
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
    Ok(row.ok_or_else(|| not_found("provider"))?.into())
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
        Ok(connection(page, |row| row.id.clone(), ProviderView::from))
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
