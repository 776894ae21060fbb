#![expect(clippy::disallowed_methods, reason = "people belong to no tenant; they are reached through memberships of one")]
//! People and their roles in one organization.

use entity::{membership, user};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter};

use super::select;
use crate::authz::{Authorized, TenantScope};

/// The person with this address, in whatever organization.
pub(crate) async fn user_by_email(connection: &impl ConnectionTrait, email: &str) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find().filter(user::Column::Email.eq(email)).one(connection).await
}

/// A new person, to be given a role by who holds the proof.
pub(crate) async fn insert_user(
    connection: &impl ConnectionTrait,
    _proof: &Authorized,
    row: user::ActiveModel,
) -> Result<user::Model, DbErr> {
    row.insert(connection).await
}

/// People by id, for loaders, as far as they have a role in the organization.
pub(crate) async fn users(connection: &impl ConnectionTrait, scope: &TenantScope, ids: &[String]) -> Result<Vec<user::Model>, DbErr> {
    let rows = select::<membership::Entity>(scope)
        .filter(membership::Column::UserId.is_in(ids.iter().map(String::as_str)))
        .find_also_related(user::Entity)
        .all(connection)
        .await?;
    Ok(rows.into_iter().filter_map(|(_, user)| user).collect())
}

/// The role of a person in a place: a project, or the organization.
pub(crate) async fn membership(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    user_id: &str,
    project_id: Option<&str>,
) -> Result<Option<membership::Model>, DbErr> {
    let place = project_id.map_or_else(|| membership::Column::ProjectId.is_null(), |id| membership::Column::ProjectId.eq(id));
    select::<membership::Entity>(scope).filter(membership::Column::UserId.eq(user_id)).filter(place).one(connection).await
}

/// A person of the organization by address: who holds any role in it.
pub(crate) async fn member_by_email(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    email: &str,
) -> Result<Option<user::Model>, DbErr> {
    let Some(user) = user_by_email(connection, email).await? else { return Ok(None) };
    let any = select::<membership::Entity>(scope).filter(membership::Column::UserId.eq(user.id.as_str())).one(connection).await?;
    Ok(any.map(|_| user))
}

/// How many owners the organization has.
pub(crate) async fn owners(connection: &impl ConnectionTrait, scope: &TenantScope) -> Result<u64, DbErr> {
    select::<membership::Entity>(scope)
        .filter(membership::Column::ProjectId.is_null())
        .filter(membership::Column::Role.eq(membership::Role::Owner))
        .count(connection)
        .await
}

/// Everybody with a role in the whole organization, with their addresses.
pub(crate) async fn of_organization(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
) -> Result<Vec<(membership::Model, String)>, DbErr> {
    let rows = select::<membership::Entity>(scope)
        .filter(membership::Column::ProjectId.is_null())
        .find_also_related(user::Entity)
        .all(connection)
        .await?;
    Ok(rows.into_iter().filter_map(|(row, user)| Some((row, user?.email))).collect())
}
