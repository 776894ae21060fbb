//! The list of all tables, for the test that holds it against a database.
//!
//! A table that is missing here is found by that test, in either direction.

use sea_orm::{ColumnTrait, ColumnType, EntityTrait, IdenStatic, Iterable};

/// A table as its entity describes it.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Whether its rows belong to an organization, through `org_id`.
    pub tenant_owned: bool,
    name: fn() -> &'static str,
    columns: fn() -> Vec<Column>,
}

/// A column as its entity describes it.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name in the database.
    pub name: &'static str,
    /// Type, as SeaORM reads it.
    pub column_type: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
}

impl Table {
    const fn owned<E: EntityTrait>() -> Self {
        Self { tenant_owned: true, name: name::<E>, columns: columns::<E> }
    }

    const fn shared<E: EntityTrait>() -> Self {
        Self { tenant_owned: false, name: name::<E>, columns: columns::<E> }
    }

    /// Name in the database.
    pub fn name(&self) -> &'static str {
        (self.name)()
    }

    /// Columns, in the order of the entity.
    pub fn columns(&self) -> Vec<Column> {
        (self.columns)()
    }
}

fn name<E: EntityTrait>() -> &'static str {
    E::default().table_name()
}

fn columns<E: EntityTrait>() -> Vec<Column> {
    E::Column::iter()
        .map(|column| {
            let definition = column.def();
            Column { name: column.as_str(), column_type: definition.get_column_type().clone(), nullable: definition.is_null() }
        })
        .collect()
}

/// Every table there is.
pub const TABLES: &[Table] = &[
    Table::owned::<crate::audit_event::Entity>(),
    Table::owned::<crate::budget::Entity>(),
    Table::owned::<crate::budget_entry::Entity>(),
    Table::owned::<crate::budget_period::Entity>(),
    Table::owned::<crate::bundle::Entity>(),
    Table::shared::<crate::deployment_key::Entity>(),
    Table::owned::<crate::idempotency_key::Entity>(),
    Table::owned::<crate::lease::Entity>(),
    Table::owned::<crate::management_key::Entity>(),
    Table::owned::<crate::membership::Entity>(),
    Table::owned::<crate::model::Entity>(),
    Table::owned::<crate::model_price::Entity>(),
    Table::shared::<crate::organization::Entity>(),
    Table::owned::<crate::outbox::Entity>(),
    Table::owned::<crate::project::Entity>(),
    Table::owned::<crate::provider::Entity>(),
    Table::owned::<crate::proxy_key::Entity>(),
    Table::owned::<crate::request_log::Entity>(),
    Table::owned::<crate::request_tag::Entity>(),
    Table::owned::<crate::routing_config::Entity>(),
    Table::owned::<crate::routing_config_version::Entity>(),
    Table::owned::<crate::session::Entity>(),
    Table::owned::<crate::usage_ledger::Entity>(),
    Table::shared::<crate::user::Entity>(),
    Table::shared::<crate::worker::Entity>(),
    Table::owned::<crate::worker_health::Entity>(),
    Table::owned::<crate::worker_revision::Entity>(),
    Table::shared::<crate::worker_token::Entity>(),
];
