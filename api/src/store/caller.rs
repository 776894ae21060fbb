#![expect(clippy::disallowed_methods, reason = "a presented key says which tenant it is of; until it is found there is no scope")]
//! Who presents a key: the rows that authentication reads, before there is a scope.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use entity::{management_key, membership, organization, user};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use crate::authz::Grants;

/// The key with this SHA-256, live or not.
pub(crate) async fn key_by_hash(connection: &impl ConnectionTrait, hash: &str) -> Result<Option<management_key::Model>, DbErr> {
    management_key::Entity::find().filter(management_key::Column::SecretHash.eq(hash)).one(connection).await
}

/// A key of one organization.
pub(crate) async fn key_by_id(connection: &impl ConnectionTrait, org_id: &str, id: &str) -> Result<Option<management_key::Model>, DbErr> {
    let own = management_key::Column::OrgId.eq(org_id);
    management_key::Entity::find().filter(own).filter(management_key::Column::Id.eq(id)).one(connection).await
}

/// The organization of a key.
pub(crate) async fn organization(connection: &impl ConnectionTrait, id: &str) -> Result<Option<organization::Model>, DbErr> {
    organization::Entity::find_by_id(id).one(connection).await
}

/// The person and their roles in one organization today; none where there is no such person, or they are disabled.
pub(crate) async fn grants(connection: &impl ConnectionTrait, org_id: &str, user_id: &str) -> Result<Option<(user::Model, Grants)>, DbErr> {
    let Some(user) = user::Entity::find_by_id(user_id).one(connection).await?.filter(|user| user.disabled_at.is_none()) else {
        return Ok(None);
    };
    let own = membership::Column::OrgId.eq(org_id);
    let rows = membership::Entity::find().filter(own).filter(membership::Column::UserId.eq(user_id)).all(connection).await?;
    let mut grants = Grants { organization: None, projects: BTreeMap::new() };
    for row in rows {
        match row.project_id {
            Some(project_id) => drop(grants.projects.insert(project_id, row.role)),
            None => grants.organization = Some(row.role),
        }
    }
    Ok(Some((user, grants)))
}

/// Notes that a key was accepted.
pub(crate) async fn touch_key(connection: &impl ConnectionTrait, id: &str, now: DateTime<Utc>) -> Result<(), DbErr> {
    let row = management_key::ActiveModel { id: Set(id.to_owned()), last_used_at: Set(Some(now)), ..Default::default() };
    row.update(connection).await.map(|_| ())
}
