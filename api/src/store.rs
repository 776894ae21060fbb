//! Every query of the control plane's interface, always within one tenant.
//!
//! Promises: what reads takes a [`TenantScope`] and gives rows of that organization only (of some of its projects only, where the
//! scope is limited to them); what writes takes an [`Authorized`] and refuses a row of another organization. A list comes in pages.
//!
//! Leaves out: meaning. Rows go in and out; what they stand for is the business of `app` and `publish`.

#![expect(
    clippy::disallowed_methods,
    reason = "the scoped finders are made of the bare ones: here, and nowhere else in the control plane's reading"
)]

pub(crate) mod audit_event;
pub(crate) mod caller;
pub(crate) mod idempotency;
pub(crate) mod member;
pub(crate) mod model_price;
pub(crate) mod named;
pub(crate) mod organization;
pub(crate) mod page;
pub(crate) mod proxy_key;
pub(crate) mod request_log;
pub(crate) mod routing_config;
pub(crate) mod spend;
pub(crate) mod worker;

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, PrimaryKeyTrait, QueryFilter,
    Select,
};

use crate::authz::{Authorized, TenantScope};

/// A table whose rows belong to an organization and have an id.
pub(crate) trait TenantOwned: EntityTrait {
    /// Whose it is.
    fn org_id() -> Self::Column;
    /// Which it is.
    fn id() -> Self::Column;
    /// Which project it is of, where the table knows projects.
    fn project_id() -> Option<Self::Column>;
}

macro_rules! tenant_owned {
    ($($table:ident $project:expr;)*) => {$(
        impl TenantOwned for entity::$table::Entity {
            fn org_id() -> Self::Column {
                entity::$table::Column::OrgId
            }
            fn id() -> Self::Column {
                entity::$table::Column::Id
            }
            fn project_id() -> Option<Self::Column> {
                $project
            }
        }
    )*};
}

tenant_owned! {
    audit_event None;
    budget None;
    budget_period None;
    lease None;
    management_key None;
    membership Some(entity::membership::Column::ProjectId);
    model None;
    model_price None;
    project Some(entity::project::Column::Id);
    provider None;
    proxy_key Some(entity::proxy_key::Column::ProjectId);
    request_log Some(entity::request_log::Column::ProjectId);
    routing_config Some(entity::routing_config::Column::ProjectId);
    routing_config_version None;
    usage_ledger Some(entity::usage_ledger::Column::ProjectId);
}

/// All rows of the table that the scope reaches, to be narrowed down.
pub(crate) fn select<E: TenantOwned>(scope: &TenantScope) -> Select<E> {
    let all = E::find().filter(E::org_id().eq(scope.org_id()));
    match (E::project_id(), scope.limited_to()) {
        (Some(project), Some(projects)) => all.filter(project.is_in(projects.iter().map(String::as_str))),
        _ => all,
    }
}

/// The row with this id, where the scope reaches it.
pub(crate) async fn find<E: TenantOwned>(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    id: &str,
) -> Result<Option<E::Model>, DbErr> {
    select::<E>(scope).filter(E::id().eq(id)).one(connection).await
}

/// The rows with these ids, for loaders; in no order.
pub(crate) async fn find_all<E: TenantOwned>(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    ids: &[String],
) -> Result<Vec<E::Model>, DbErr> {
    select::<E>(scope).filter(E::id().is_in(ids.iter().map(String::as_str))).all(connection).await
}

/// Adds a row to the organization that the proof is for.
pub(crate) async fn insert<E, A>(connection: &impl ConnectionTrait, proof: &Authorized, mut row: A) -> Result<E::Model, DbErr>
where
    E: TenantOwned,
    A: ActiveModelTrait<Entity = E> + ActiveModelBehavior + Send,
    E::Model: IntoActiveModel<A>,
{
    row.set(E::org_id(), proof.org_id().into());
    row.insert(connection).await
}

/// Changes a row of the organization that the proof is for. The row comes from a scoped finder, so its organization is set.
pub(crate) async fn update<E, A>(connection: &impl ConnectionTrait, proof: &Authorized, row: A) -> Result<E::Model, DbErr>
where
    E: TenantOwned,
    A: ActiveModelTrait<Entity = E> + ActiveModelBehavior + Send,
    E::Model: IntoActiveModel<A>,
{
    let owner: Option<String> = row.get(E::org_id()).into_value().and_then(|value| sea_orm::sea_query::ValueType::try_from(value).ok());
    if owner.as_deref() != Some(proof.org_id()) {
        return Err(DbErr::RecordNotUpdated);
    }
    row.update(connection).await
}

/// Removes a row of the organization that the proof is for.
pub(crate) async fn delete<E: TenantOwned>(connection: &impl ConnectionTrait, proof: &Authorized, id: &str) -> Result<(), DbErr>
where
    <E::PrimaryKey as PrimaryKeyTrait>::ValueType: Send,
{
    E::delete_many().filter(E::org_id().eq(proof.org_id())).filter(E::id().eq(id)).exec(connection).await.map(|_| ())
}
