#![expect(clippy::disallowed_methods, reason = "a source is all rows of one organization; every query here is bound to its id")]
//! All rows of one organization → [`Organization`], in a fixed order.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::{budget, model, model_price, organization, project, provider, proxy_key, routing_config, routing_config_version, user};
use policy::source::{KeyRecord, ModelRecord, Organization, ProjectRecord, ProviderRecord, RoutingConfigRecord, SealedSecret};
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait as _};

use super::{PublishError, rows};
use crate::secrets::Secrets;

/// Reads everything that [`policy::compile::compile`] needs. `now` is the time of the revision and picks the prices in force.
///
/// # Errors
/// When there is no such organization, a row can't be read, or a secret can't be opened.
pub async fn load_source(
    connection: &impl ConnectionTrait,
    org_id: &str,
    now: DateTime<Utc>,
    secrets: &Secrets,
) -> Result<Organization, PublishError> {
    let unknown = || PublishError::UnknownOrganization { org_id: org_id.to_owned() };
    let org = organization::Entity::find_by_id(org_id).one(connection).await?.ok_or_else(unknown)?;
    let settings = rows::settings(&org)?;
    let mut configs = load_configs(connection, org_id).await?;
    let mut keys = load_keys(connection, org_id).await?;
    let mut projects = Vec::new();
    for row in project::Entity::find().filter(project::Column::OrgId.eq(org_id)).order_by_asc(project::Column::Name).all(connection).await?
    {
        let webhook_secret = webhook_secret(&row, secrets)?;
        let project = rows::project(row)?;
        let routing_configs = configs.remove(&Some(project.id.clone())).unwrap_or_default();
        let keys = keys.remove(&project.id).unwrap_or_default();
        projects.push(ProjectRecord { routing_configs, keys, webhook_secret, ..project });
    }
    let mut budgets = Vec::new();
    for row in budget::Entity::find().filter(budget::Column::OrgId.eq(org_id)).order_by_asc(budget::Column::Name).all(connection).await? {
        budgets.push(rows::budget(row, &settings.time_zone)?);
    }
    Ok(Organization {
        revision: u64::try_from(org.revision).unwrap_or(0),
        time: now,
        providers: load_providers(connection, org_id, secrets).await?,
        models: load_models(connection, org_id, now).await?,
        routing_configs: configs.remove(&None).unwrap_or_default(),
        id: org.id,
        slug: org.slug,
        settings,
        projects,
        budgets,
    })
}

async fn load_providers(connection: &impl ConnectionTrait, org_id: &str, secrets: &Secrets) -> Result<Vec<ProviderRecord>, PublishError> {
    let found =
        provider::Entity::find().filter(provider::Column::OrgId.eq(org_id)).order_by_asc(provider::Column::Name).all(connection).await?;
    let mut records = Vec::with_capacity(found.len());
    for row in found {
        let api_key = seal_to_pool(&row, secrets)?;
        records.push(ProviderRecord { provider: rows::provider(&row)?, id: row.id, api_key });
    }
    Ok(records)
}

fn seal_to_pool(row: &provider::Model, secrets: &Secrets) -> Result<Option<SealedSecret>, PublishError> {
    let (Some(sealed), Some(wrapped), Some(key_id)) = (&row.secret_sealed, &row.secret_wrapped_key, &row.secret_key_id) else {
        return Ok(None);
    };
    let plain = secrets.open_sealed(&row.id, sealed, wrapped, key_id);
    plain.and_then(|plain| secrets.seal_to_pool(&row.id, &plain)).map(Some).map_err(|source| PublishError::Secret {
        resource: "provider",
        name: row.name.clone(),
        source,
    })
}

/// What a project's webhook is signed to with, for the workers.
fn webhook_secret(row: &project::Model, secrets: &Secrets) -> Result<Option<SealedSecret>, PublishError> {
    let (Some(sealed), Some(wrapped), Some(key_id)) =
        (&row.webhook_secret_sealed, &row.webhook_secret_wrapped_key, &row.webhook_secret_key_id)
    else {
        return Ok(None);
    };
    let plain = secrets.open_sealed(&row.id, sealed, wrapped, key_id);
    plain.and_then(|plain| secrets.seal_to_pool(&row.id, &plain)).map(Some).map_err(|source| PublishError::Secret {
        resource: "project",
        name: row.name.clone(),
        source,
    })
}

async fn load_models(connection: &impl ConnectionTrait, org_id: &str, now: DateTime<Utc>) -> Result<Vec<ModelRecord>, PublishError> {
    let prices = model_price::Entity::find()
        .filter(model_price::Column::OrgId.eq(org_id))
        .filter(model_price::Column::EffectiveFrom.lte(now))
        .filter(Condition::any().add(model_price::Column::EffectiveTo.is_null()).add(model_price::Column::EffectiveTo.gt(now)))
        .order_by_asc(model_price::Column::EffectiveFrom)
        .all(connection)
        .await?;
    // Where two lines hold at once the later one wins.
    let mut prices: HashMap<String, model_price::Model> = prices.into_iter().map(|price| (price.model_id.clone(), price)).collect();
    let found = model::Entity::find()
        .filter(model::Column::OrgId.eq(org_id))
        .order_by_asc(model::Column::ProviderName)
        .order_by_asc(model::Column::Name)
        .all(connection)
        .await?;
    found
        .into_iter()
        .map(|row| {
            let price = prices.remove(&row.id);
            rows::model(row, price)
        })
        .collect()
}

/// By project; none for the organization's own.
type Configs = HashMap<Option<String>, Vec<RoutingConfigRecord>>;

async fn load_configs(connection: &impl ConnectionTrait, org_id: &str) -> Result<Configs, PublishError> {
    let live = Condition::all().add(routing_config::Column::OrgId.eq(org_id)).add(routing_config::Column::ArchivedAt.is_null());
    let found = routing_config::Entity::find().filter(live.clone()).order_by_asc(routing_config::Column::Slug).all(connection).await?;
    let to_config = routing_config_version::Entity::belongs_to(routing_config::Entity)
        .from(routing_config_version::Column::ConfigId)
        .to(routing_config::Column::Id)
        .into();
    let versions = routing_config_version::Entity::find()
        .join(JoinType::InnerJoin, to_config)
        .filter(live)
        .filter(
            Expr::col((routing_config_version::Entity, routing_config_version::Column::Number))
                .equals((routing_config::Entity, routing_config::Column::CurrentVersion)),
        )
        .all(connection)
        .await?;
    let mut versions: HashMap<String, _> = versions.into_iter().map(|version| (version.config_id.clone(), version)).collect();
    let mut configs = Configs::new();
    for row in found {
        let missing =
            || PublishError::Unreadable { resource: "routing_config", id: row.id.clone(), field: "current_version", source: None };
        let version = versions.remove(&row.id).ok_or_else(missing)?;
        configs.entry(row.project_id.clone()).or_default().push(rows::routing_config(row, version)?);
    }
    Ok(configs)
}

/// By project.
async fn load_keys(connection: &impl ConnectionTrait, org_id: &str) -> Result<HashMap<String, Vec<KeyRecord>>, PublishError> {
    let live = Condition::all().add(proxy_key::Column::OrgId.eq(org_id)).add(proxy_key::Column::RevokedAt.is_null());
    let owners = proxy_key::Entity::find()
        .select_only()
        .column(proxy_key::Column::OwnerUserId)
        .filter(live.clone().add(proxy_key::Column::OwnerUserId.is_not_null()))
        .into_query();
    let owners = user::Entity::find().filter(user::Column::Id.in_subquery(owners)).all(connection).await?;
    let owners: HashMap<String, String> = owners.into_iter().map(|user| (user.id, user.email)).collect();
    let found = proxy_key::Entity::find().filter(live).order_by_asc(proxy_key::Column::Name).all(connection).await?;
    let mut keys: HashMap<String, Vec<KeyRecord>> = HashMap::new();
    for row in found {
        let owner = row.owner_user_id.as_ref().and_then(|id| owners.get(id)).cloned();
        keys.entry(row.project_id.clone()).or_default().push(rows::key(row, owner)?);
    }
    Ok(keys)
}
