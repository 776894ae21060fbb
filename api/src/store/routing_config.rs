//! Live routing configs and their versions.

use entity::routing_config::{Column, Entity, Model};
use entity::routing_config_version as version;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationDef, Select,
};

use super::select;
use crate::authz::TenantScope;

/// Configs that are part of bundles. Somebody who sees only some projects also sees the organization's, which run for them too.
pub(crate) fn live(scope: &TenantScope) -> Select<Entity> {
    let organization = TenantScope::organization(scope.org_id());
    let all = select::<Entity>(&organization).filter(Column::ArchivedAt.is_null());
    match scope.limited_to() {
        Some(projects) => {
            let own = Column::ProjectId.is_in(projects.iter().map(String::as_str));
            all.filter(Condition::any().add(Column::ProjectId.is_null()).add(own))
        }
        None => all,
    }
}

/// The config of this id.
pub(crate) async fn find(connection: &impl ConnectionTrait, scope: &TenantScope, id: &str) -> Result<Option<Model>, DbErr> {
    live(scope).filter(Column::Id.eq(id)).one(connection).await
}

/// The config of this slug in exactly this place: a project, or the organization.
pub(crate) async fn by_slug(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    project_id: Option<&str>,
    slug: &str,
) -> Result<Option<Model>, DbErr> {
    let place = project_id.map_or_else(|| Column::ProjectId.is_null(), |id| Column::ProjectId.eq(id));
    live(scope).filter(place).filter(Column::Slug.eq(slug)).one(connection).await
}

/// One version of a config.
pub(crate) async fn version(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    config_id: &str,
    number: i64,
) -> Result<Option<version::Model>, DbErr> {
    versions(scope, config_id).filter(version::Column::Number.eq(number)).one(connection).await
}

/// The versions of a config.
pub(crate) fn versions(scope: &TenantScope, config_id: &str) -> Select<version::Entity> {
    select::<version::Entity>(scope).filter(version::Column::ConfigId.eq(config_id))
}

/// The versions in force of these configs, for loaders.
pub(crate) async fn current_versions(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    config_ids: &[&str],
) -> Result<Vec<version::Model>, DbErr> {
    let of_config = (version::Entity, version::Column::Number);
    let in_force = Expr::col(of_config).equals((Entity, Column::CurrentVersion));
    let to_config: RelationDef = version::Entity::belongs_to(Entity).from(version::Column::ConfigId).to(Column::Id).into();
    select::<version::Entity>(scope)
        .join(JoinType::InnerJoin, to_config)
        .filter(version::Column::ConfigId.is_in(config_ids.iter().copied()))
        .filter(in_force)
        .all(connection)
        .await
}

/// The version of a config with the highest number.
pub(crate) async fn newest_version(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    config_id: &str,
) -> Result<Option<version::Model>, DbErr> {
    versions(scope, config_id).order_by_desc(version::Column::Number).one(connection).await
}

/// All versions of these configs, the first one first, for loaders.
pub(crate) async fn versions_of(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    config_ids: &[String],
) -> Result<Vec<version::Model>, DbErr> {
    let wanted = version::Column::ConfigId.is_in(config_ids.iter().map(String::as_str));
    select::<version::Entity>(scope).filter(wanted).order_by_asc(version::Column::Number).all(connection).await
}
