#![expect(clippy::disallowed_methods, reason = "retention passes over all organizations, each with its own setting")]
//! Deletes what is no longer kept, a little at a time.
//!
//! Kept: the request log for the days its organization wants; the newest bundles of each organization; answers for idempotency keys for a
//! day; published outbox rows for a day; expired sessions not at all; ended leases for 30 days. The ledger, its entries and tags stay.
//!
//! Each statement takes at most [`BATCH`] rows and commits, so that nobody waits behind a large delete, and a repetition changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use entity::organization;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Statement, Value};

use crate::clock::Clock;
use crate::database::Database;

const BATCH: i64 = 2000;
/// Bundles of an organization that are kept.
const BUNDLES: i64 = 20;

/// Deletes old rows.
#[derive(Debug, Clone)]
pub struct Retention {
    database: Database,
    clock: Clock,
}

impl Retention {
    /// Over `database`, by `clock`.
    #[must_use]
    pub const fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Deletes everything that is due.
    ///
    /// # Errors
    /// When the database does not answer; the next run goes on.
    pub async fn run(&self) -> Result<(), DbErr> {
        let now = self.clock.now();
        let day_ago = now - TimeDelta::days(1);
        self.delete("idempotency_keys", "created_at < $1", vec![day_ago.into()]).await?;
        self.delete("outbox", "published_at < $1", vec![day_ago.into()]).await?;
        self.delete("sessions", "expires_at < $1", vec![now.into()]).await?;
        self.delete("leases", "state <> 'active' AND updated_at < $1", vec![(now - TimeDelta::days(30)).into()]).await?;
        for org in organization::Entity::find().all(self.database.read()).await? {
            self.delete("request_log", "org_id = $1 AND time < $2", vec![org.id.clone().into(), log_start(&org, now).into()]).await?;
            let newest_to_go = org.revision.saturating_sub(BUNDLES);
            self.delete("bundles", "org_id = $1 AND revision <= $2", vec![org.id.into(), newest_to_go.into()]).await?;
        }
        Ok(())
    }

    /// Table and condition are constants of this file.
    async fn delete(&self, table: &'static str, condition: &'static str, values: Vec<Value>) -> Result<(), DbErr> {
        let backend = self.database.backend();
        // SQLite's row number and PostgreSQL's row address: every table has one, whatever its key.
        let row = if backend == sea_orm::DbBackend::Postgres { "ctid" } else { "rowid" };
        let sql = format!("DELETE FROM {table} WHERE {row} IN (SELECT {row} FROM {table} WHERE {condition} LIMIT {BATCH})");
        loop {
            let transaction = self.database.begin().await?;
            let deleted =
                transaction.execute_raw(Statement::from_sql_and_values(backend, sql.as_str(), values.clone())).await?.rows_affected();
            transaction.commit().await?;
            if deleted < BATCH.unsigned_abs() {
                return Ok(());
            }
        }
    }
}

/// The first instant that the organization's log keeps. Settings that can't be read keep everything that the longest default would.
fn log_start(org: &organization::Model, now: DateTime<Utc>) -> DateTime<Utc> {
    let settings: policy::source::Settings = serde_json::from_value(org.settings.clone()).unwrap_or_default();
    now - TimeDelta::days(i64::from(settings.retention_days))
}
