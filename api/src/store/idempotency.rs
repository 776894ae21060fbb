#![expect(clippy::disallowed_methods, reason = "answers kept for one organization; every query here is bound to its id")]
//! Answers kept for repeated mutations.

use entity::idempotency_key::{ActiveModel, Column, Entity, Model};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use crate::authz::TenantScope;

/// The answer given to this actor for this key, if there was one.
pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    actor_id: &str,
    key: &str,
) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::OrgId.eq(scope.org_id()))
        .filter(Column::ActorId.eq(actor_id))
        .filter(Column::Key.eq(key))
        .one(connection)
        .await
}

/// Keeps an answer.
pub(crate) async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    let row: ActiveModel = row.into();
    row.insert(connection).await.map(|_| ())
}
