//! Rows that fields of many parents ask for, read in one statement for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use entity::{project, proxy_key, routing_config, routing_config_version, user};
use sea_orm::{ColumnTrait as _, QueryFilter as _, QueryOrder as _};

use super::Result;
use crate::authz::TenantScope;
use crate::database::Database;
use crate::error::Refusal;
use crate::store;

/// Reads rows of one tenant.
pub(crate) struct Rows {
    database: Database,
    scope: TenantScope,
}

impl Rows {
    pub(super) const fn new(database: Database, scope: TenantScope) -> Self {
        Self { database, scope }
    }
}

/// A project by its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ProjectId(pub(super) String);

/// A person of the organization by their id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct UserId(pub(super) String);

/// The live keys of a project, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct KeysOf(pub(super) String);

/// The live configs of a project with their current versions, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ConfigsOf(pub(super) String);

/// The versions of a config, the first one first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct VersionsOf(pub(super) String);

/// A config with the version in force.
pub(super) type CurrentConfig = (routing_config::Model, Option<routing_config_version::Model>);

impl Loader<ProjectId> for Rows {
    type Value = project::Model;
    type Error = Refusal;

    async fn load(&self, keys: &[ProjectId]) -> Result<HashMap<ProjectId, project::Model>> {
        let ids: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
        let rows = store::find_all::<project::Entity>(self.database.read(), &self.scope, &ids).await?;
        Ok(rows.into_iter().map(|row| (ProjectId(row.id.clone()), row)).collect())
    }
}

impl Loader<UserId> for Rows {
    type Value = user::Model;
    type Error = Refusal;

    async fn load(&self, keys: &[UserId]) -> Result<HashMap<UserId, user::Model>> {
        let ids: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
        let rows = store::member::users(self.database.read(), &self.scope, &ids).await?;
        Ok(rows.into_iter().map(|row| (UserId(row.id.clone()), row)).collect())
    }
}

impl Loader<KeysOf> for Rows {
    type Value = Arc<Vec<proxy_key::Model>>;
    type Error = Refusal;

    async fn load(&self, keys: &[KeysOf]) -> Result<HashMap<KeysOf, Arc<Vec<proxy_key::Model>>>> {
        let wanted = proxy_key::Column::ProjectId.is_in(keys.iter().map(|key| key.0.as_str()));
        let rows = store::proxy_key::live(&self.scope).filter(wanted).order_by_asc(proxy_key::Column::Id);
        let rows = rows.all(self.database.read()).await?;
        Ok(grouped(rows, |row| KeysOf(row.project_id.clone())))
    }
}

impl Loader<ConfigsOf> for Rows {
    type Value = Arc<Vec<CurrentConfig>>;
    type Error = Refusal;

    async fn load(&self, keys: &[ConfigsOf]) -> Result<HashMap<ConfigsOf, Arc<Vec<CurrentConfig>>>> {
        let wanted = routing_config::Column::ProjectId.is_in(keys.iter().map(|key| key.0.as_str()));
        let rows = store::routing_config::live(&self.scope).filter(wanted).order_by_asc(routing_config::Column::Id);
        let rows = rows.all(self.database.read()).await?;
        let rows = with_versions(&self.database, &self.scope, rows).await?;
        Ok(grouped(rows, |(row, _)| ConfigsOf(row.project_id.clone().unwrap_or_default())))
    }
}

impl Loader<VersionsOf> for Rows {
    type Value = Arc<Vec<routing_config_version::Model>>;
    type Error = Refusal;

    async fn load(&self, keys: &[VersionsOf]) -> Result<HashMap<VersionsOf, Arc<Vec<routing_config_version::Model>>>> {
        let ids: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
        let rows = store::routing_config::versions_of(self.database.read(), &self.scope, &ids).await?;
        Ok(grouped(rows, |row| VersionsOf(row.config_id.clone())))
    }
}

/// Configs with their versions in force, in one statement.
pub(super) async fn with_versions(
    database: &Database,
    scope: &TenantScope,
    rows: Vec<routing_config::Model>,
) -> Result<Vec<CurrentConfig>> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let versions = store::routing_config::current_versions(database.read(), scope, &ids).await?;
    let mut versions: HashMap<String, routing_config_version::Model> =
        versions.into_iter().map(|row| (row.config_id.clone(), row)).collect();
    Ok(rows.into_iter().map(|row| (versions.remove(&row.id), row)).map(|(version, row)| (row, version)).collect())
}

fn grouped<K: std::hash::Hash + Eq, R>(rows: Vec<R>, key: impl Fn(&R) -> K) -> HashMap<K, Arc<Vec<R>>> {
    let mut groups: HashMap<K, Vec<R>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect()
}
