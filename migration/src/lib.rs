//! The tables of the control plane's database, as a sequence of steps up and down.
//!
//! Promises: every step does the same on SQLite and PostgreSQL, runs in one transaction (it is applied whole or not at
//! all), and `down` takes back what `up` made. A step that has been released is never edited: a later one corrects it.
//!
//! Leaves out: rows. Nothing here writes data, and nothing here knows the entities, so that an old step keeps its
//! meaning when an entity changes; that entities and tables agree is checked by a test with [`inspect`].

#![expect(elided_lifetimes_in_paths, reason = "the migration trait is declared without the lifetime, and an impl has to match it")]

use sea_orm_migration::MigrationTrait;
pub use sea_orm_migration::MigratorTrait;

pub mod inspect;
mod table;

mod m20261122_000001_create_tenancy;
mod m20261122_000002_create_providers;
mod m20261122_000003_create_routing_configs;
mod m20261122_000004_create_budgets;
mod m20261122_000005_create_keys;
mod m20261122_000006_create_audit;
mod m20261122_000007_create_publication;
mod m20261122_000008_create_workers;
mod m20261122_000009_create_request_log;
mod m20261122_000010_create_ledger;
mod m20261125_000011_add_ab_variant;
mod m20261125_000012_add_further_prices;
mod m20261125_000013_add_webhook_secrets;
mod m20261125_000014_add_logged_facts;
mod m20261130_000015_add_cache_outcome;
mod m20261130_000016_create_worker_health;
mod m20261201_000017_add_link_sequence;

#[cfg(test)]
mod tests;

/// All steps, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_create_tenancy::Migration),
            Box::new(m20261122_000002_create_providers::Migration),
            Box::new(m20261122_000003_create_routing_configs::Migration),
            Box::new(m20261122_000004_create_budgets::Migration),
            Box::new(m20261122_000005_create_keys::Migration),
            Box::new(m20261122_000006_create_audit::Migration),
            Box::new(m20261122_000007_create_publication::Migration),
            Box::new(m20261122_000008_create_workers::Migration),
            Box::new(m20261122_000009_create_request_log::Migration),
            Box::new(m20261122_000010_create_ledger::Migration),
            Box::new(m20261125_000011_add_ab_variant::Migration),
            Box::new(m20261125_000012_add_further_prices::Migration),
            Box::new(m20261125_000013_add_webhook_secrets::Migration),
            Box::new(m20261125_000014_add_logged_facts::Migration),
            Box::new(m20261130_000015_add_cache_outcome::Migration),
            Box::new(m20261130_000016_create_worker_health::Migration),
            Box::new(m20261201_000017_add_link_sequence::Migration),
        ]
    }
}
