//! One line of a price sheet: what a model costs from one instant to another.
//!
//! All prices are nano-USD per million tokens. A null price follows that of its parent bucket.

use sea_orm::entity::prelude::*;

/// One row of `model_prices`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "model_prices")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The model.
    pub model_id: String,
    /// First instant at which it holds.
    pub effective_from: DateTimeUtc,
    /// First instant at which it no longer holds; none while it is the newest.
    pub effective_to: Option<DateTimeUtc>,
    /// Input tokens that were neither read from nor written to the provider's cache.
    pub input_nano: Option<i64>,
    /// Input tokens read from the cache; null follows `input_nano`.
    pub cached_input_nano: Option<i64>,
    /// Input tokens written to the cache; null follows `input_nano`.
    pub cache_write_nano: Option<i64>,
    /// Output tokens without reasoning.
    pub output_nano: Option<i64>,
    /// Reasoning tokens; null follows `output_nano`.
    pub reasoning_nano: Option<i64>,
    /// Finer prices and those of long inputs, as the manifest's `further_prices` has them; null where there are none.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub further: Option<Json>,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The row that `model_id` names.
    #[sea_orm(belongs_to = "super::model::Entity", from = "Column::ModelId", to = "super::model::Column::Id")]
    Model,
}

impl Related<super::model::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Model.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
