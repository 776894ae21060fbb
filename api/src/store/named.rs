//! Rows by the names that people give them.

use entity::{budget, management_key, model, project, provider};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, QueryFilter};

use super::select;
use crate::authz::TenantScope;

/// The provider of this name.
pub(crate) async fn provider(connection: &impl ConnectionTrait, scope: &TenantScope, name: &str) -> Result<Option<provider::Model>, DbErr> {
    select::<provider::Entity>(scope).filter(provider::Column::Name.eq(name)).one(connection).await
}

/// The project of this name.
pub(crate) async fn project(connection: &impl ConnectionTrait, scope: &TenantScope, name: &str) -> Result<Option<project::Model>, DbErr> {
    select::<project::Entity>(scope).filter(project::Column::Name.eq(name)).one(connection).await
}

/// The budget of this name.
pub(crate) async fn budget(connection: &impl ConnectionTrait, scope: &TenantScope, name: &str) -> Result<Option<budget::Model>, DbErr> {
    select::<budget::Entity>(scope).filter(budget::Column::Name.eq(name)).one(connection).await
}

/// The model `provider/name`.
pub(crate) async fn model(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    provider: &str,
    name: &str,
) -> Result<Option<model::Model>, DbErr> {
    let of_provider = model::Column::ProviderName.eq(provider);
    select::<model::Entity>(scope).filter(of_provider).filter(model::Column::Name.eq(name)).one(connection).await
}

/// The live management key of this name.
pub(crate) async fn management_key(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    name: &str,
) -> Result<Option<management_key::Model>, DbErr> {
    let live = management_key::Column::RevokedAt.is_null();
    select::<management_key::Entity>(scope).filter(live).filter(management_key::Column::Name.eq(name)).one(connection).await
}
