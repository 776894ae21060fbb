//! The organization itself.

#![expect(
    clippy::disallowed_methods,
    reason = "an organization is its own tenant: it is found by the scope itself, or by slug before there is one"
)]

use entity::organization::{ActiveModel, Column, Entity, Model};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use crate::authz::{Authorized, TenantScope};

/// The organization of the scope.
pub(crate) async fn own(connection: &impl ConnectionTrait, scope: &TenantScope) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(scope.org_id()).one(connection).await
}

/// The organization of this slug; for the start, when nobody has authenticated yet, and for keeping slugs apart.
pub(crate) async fn by_slug(connection: &impl ConnectionTrait, slug: &str) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Slug.eq(slug)).one(connection).await
}

/// A new organization.
pub(crate) async fn insert(connection: &impl ConnectionTrait, row: ActiveModel) -> Result<Model, DbErr> {
    row.insert(connection).await
}

/// Changes the organization that the proof is for.
pub(crate) async fn update(connection: &impl ConnectionTrait, proof: &Authorized, row: ActiveModel) -> Result<Model, DbErr> {
    if row.id.try_as_ref().is_none_or(|id| id != proof.org_id()) {
        return Err(DbErr::RecordNotUpdated);
    }
    row.update(connection).await
}
