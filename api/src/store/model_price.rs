#![expect(clippy::disallowed_methods, reason = "the job that publishes prices as they begin looks at all organizations")]
//! Price lines of models.

use chrono::{DateTime, Utc};
use entity::bundle;
use entity::model_price::{Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::select;
use crate::authz::TenantScope;

/// All price lines of these models, the earliest first.
pub(crate) async fn of_models(connection: &impl ConnectionTrait, scope: &TenantScope, model_ids: &[String]) -> Result<Vec<Model>, DbErr> {
    let wanted = Column::ModelId.is_in(model_ids.iter().map(String::as_str));
    select::<Entity>(scope).filter(wanted).order_by_asc(Column::EffectiveFrom).all(connection).await
}

/// The line that holds at `now`.
pub(crate) async fn in_force(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    model_id: &str,
    now: DateTime<Utc>,
) -> Result<Option<Model>, DbErr> {
    let not_over = Condition::any().add(Column::EffectiveTo.is_null()).add(Column::EffectiveTo.gt(now));
    select::<Entity>(scope)
        .filter(Column::ModelId.eq(model_id))
        .filter(Column::EffectiveFrom.lte(now))
        .filter(not_over)
        .order_by_desc(Column::EffectiveFrom)
        .one(connection)
        .await
}

/// Organizations, by id, with a price that began by `now` and after their newest bundle was made.
pub(crate) async fn organizations_with_begun(connection: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Vec<String>, DbErr> {
    let newest = Query::select()
        .expr(Expr::col((bundle::Entity, bundle::Column::CreatedAt)).max())
        .from(bundle::Entity)
        .and_where(Expr::col((bundle::Entity, bundle::Column::OrgId)).equals((Entity, Column::OrgId)))
        .take();
    Entity::find()
        .select_only()
        .column(Column::OrgId)
        .distinct()
        .filter(Column::EffectiveFrom.lte(now))
        .filter(Expr::col((Entity, Column::EffectiveFrom)).gt(Expr::SubQuery(None, Box::new(newest.into()))))
        .into_tuple()
        .all(connection)
        .await
}
