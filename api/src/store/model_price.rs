//! Price lines of models.

use chrono::{DateTime, Utc};
use entity::model_price::{Column, Entity, Model};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, QueryFilter, QueryOrder};

use super::select;
use crate::authz::TenantScope;

/// All price lines of these models, the earliest first.
pub(crate) async fn of_models(connection: &impl ConnectionTrait, scope: &TenantScope, model_ids: &[String]) -> Result<Vec<Model>, DbErr> {
    let wanted = Column::ModelId.is_in(model_ids.iter().map(String::as_str));
    select::<Entity>(scope).filter(wanted).order_by_asc(Column::EffectiveFrom).all(connection).await
}

/// The line that holds at `now`.
pub(crate) async fn in_force(connection: &impl ConnectionTrait, scope: &TenantScope, model_id: &str, now: DateTime<Utc>) -> Result<Option<Model>, DbErr> {
    let not_over = Condition::any().add(Column::EffectiveTo.is_null()).add(Column::EffectiveTo.gt(now));
    select::<Entity>(scope)
        .filter(Column::ModelId.eq(model_id))
        .filter(Column::EffectiveFrom.lte(now))
        .filter(not_over)
        .order_by_desc(Column::EffectiveFrom)
        .one(connection)
        .await
}
