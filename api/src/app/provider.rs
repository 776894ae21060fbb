//! Providers: where models are served, with sealed credentials.

use entity::provider::{ActiveModel, Entity, Model as Row};
use policy::catalogue::{Credential, CredentialError};
use policy::compile::check_base_url;
use policy::id::{IdKind, new_id};
use policy::source::Provider;
use sea_orm::{ActiveValue::Set, DbErr, IntoActiveModel};
use serde_json::{Value, json};

use super::change::{Change, Edited};
use super::document::document;
use super::managed::Managed;
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Authorized, Resource};
use crate::publish::rows;
use crate::store;

/// Providers.
pub(crate) struct Providers;

impl Managed for Providers {
    const RESOURCE: Resource = Resource::Provider;
    const KIND: &'static str = "provider";
    const CREATE: &'static str = "createProvider";
    const UPDATE: &'static str = "updateProvider";
    const DELETE: &'static str = "deleteProvider";
    type Row = Row;
    type Source = Provider;
    type Place = ();

    async fn find(change: &Change<'_>, id: &str) -> Result<Option<Row>, DbErr> {
        store::find::<Entity>(&change.tx, change.ctx.scope(), id).await
    }

    fn version(row: &Row) -> i64 {
        row.version
    }

    fn project_of(_: &Row) -> Option<&str> {
        None
    }

    async fn read(_: &Change<'_>, row: &Row) -> Result<Provider, OperationError> {
        Ok(rows::provider(row)?)
    }

    async fn create(change: &Change<'_>, (): &(), provider: &Provider) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Create, Resource::Provider)?;
        check(provider)?;
        if store::named::provider(&change.tx, change.ctx.scope(), &provider.name).await?.is_some() {
            return Err(OperationError::taken(Self::KIND, &provider.name));
        }
        let mut row = ActiveModel {
            id: Set(new_id(IdKind::Provider)),
            name: Set(provider.name.clone()),
            vendor: Set(provider.vendor.clone()),
            base_url: Set(provider.base_url.clone()),
            settings: Set(rows::provider_settings(provider)),
            version: Set(1),
            created_at: Set(change.now),
            updated_at: Set(change.now),
            ..ActiveModel::default()
        };
        seal(change, &mut row, provider)?;
        let row = store::insert::<Entity, _>(&change.tx, &proof, row).await?;
        Ok(Edited::new(target(&row), None, Some(audit_document(&row)?)))
    }

    async fn replace(change: &Change<'_>, proof: &Authorized, before: Row, provider: &Provider) -> Result<Edited, OperationError> {
        check(provider)?;
        if provider.name != before.name && store::named::provider(&change.tx, change.ctx.scope(), &provider.name).await?.is_some() {
            return Err(OperationError::taken(Self::KIND, &provider.name));
        }
        let mut row = before.clone().into_active_model();
        row.name = Set(provider.name.clone());
        row.vendor = Set(provider.vendor.clone());
        row.base_url = Set(provider.base_url.clone());
        row.settings = Set(rows::provider_settings(provider));
        row.version = Set(before.version.saturating_add(1));
        row.updated_at = Set(change.now);
        seal(change, &mut row, provider)?;
        let row = store::update::<Entity, _>(&change.tx, proof, row).await?;
        Ok(Edited::new(target(&row), Some(audit_document(&before)?), Some(audit_document(&row)?)))
    }

    async fn delete(change: &Change<'_>, proof: &Authorized, row: Row) -> Result<Edited, OperationError> {
        store::delete::<Entity>(&change.tx, proof, &row.id).await?;
        Ok(Edited::new(target(&row), Some(audit_document(&row)?), None))
    }
}

/// Whether applying `declared` would change the credential: a left-out one is kept.
pub(super) fn secret_differs(change: &Change<'_>, row: &Row, declared: &Provider) -> bool {
    declared.api_key.as_ref().is_some_and(|secret| row.secret_digest.as_ref() != Some(&change.ctx.state().secrets.digest(secret)))
}

fn check(provider: &Provider) -> Result<(), OperationError> {
    valid::name("name", &provider.name)?;
    valid::name("vendor", &provider.vendor)?;
    if let Some(url) = &provider.base_url {
        valid::text("base_url", url)?;
    }
    provider.api_key.as_ref().map_or(Ok(()), |api_key| check_api_key(provider, api_key))
}

/// All of it has to be there, and what it is exchanged at has to be an address that may be called; workers ask again after DNS.
fn check_api_key(provider: &Provider, api_key: &str) -> Result<(), OperationError> {
    valid::secret("api_key", api_key)?;
    let refuse = |error: CredentialError| OperationError::invalid(error.field, error.message);
    let credential = Credential::read(&provider.vendor, api_key).map_err(refuse)?;
    credential.check_at(provider.base_url.as_deref().unwrap_or_default()).map_err(refuse)?;
    let endpoint = credential.endpoint().map_or(Ok(()), |(field, url)| check_base_url(url, false).map_err(|message| (field, message)));
    endpoint.map_err(|(field, message)| OperationError::invalid(field, message))
}

/// Sets the secret columns where a new secret came; otherwise they stay.
fn seal(change: &Change<'_>, row: &mut ActiveModel, provider: &Provider) -> Result<(), OperationError> {
    let (Some(secret), Some(id)) = (&provider.api_key, row.id.try_as_ref()) else { return Ok(()) };
    let sealed = change.ctx.state().secrets.seal(id, secret)?;
    row.secret_sealed = Set(Some(sealed.sealed));
    row.secret_wrapped_key = Set(Some(sealed.wrapped_key));
    row.secret_key_id = Set(Some(sealed.key_id));
    row.secret_digest = Set(Some(sealed.digest));
    Ok(())
}

fn target(row: &Row) -> Target {
    Target { kind: Resource::Provider.as_str(), id: row.id.clone(), name: row.name.clone() }
}

/// The provider for a diff: its secret is a digest.
fn audit_document(row: &Row) -> Result<Value, OperationError> {
    document(&rows::provider(row)?, &[("id", json!(row.id)), ("api_key", json!(row.secret_digest))])
}
