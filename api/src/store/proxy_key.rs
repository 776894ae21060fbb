//! Live proxy keys. A revoked one is history: it is found by its id, and in no list.

use entity::proxy_key::{Column, Entity, Model};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, QueryFilter, Select};

use super::select;
use crate::authz::TenantScope;

/// Keys that were not revoked.
pub(crate) fn live(scope: &TenantScope) -> Select<Entity> {
    select::<Entity>(scope).filter(Column::RevokedAt.is_null())
}

/// The live key of this name in a project.
pub(crate) async fn by_name(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    project_id: &str,
    name: &str,
) -> Result<Option<Model>, DbErr> {
    live(scope).filter(Column::ProjectId.eq(project_id)).filter(Column::Name.eq(name)).one(connection).await
}

/// The live key of this id.
pub(crate) async fn find(connection: &impl ConnectionTrait, scope: &TenantScope, id: &str) -> Result<Option<Model>, DbErr> {
    live(scope).filter(Column::Id.eq(id)).one(connection).await
}
