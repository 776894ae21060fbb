#![expect(clippy::disallowed_methods, reason = "a worker that is lost holds leases of all organizations")]
//! Leases of workers that were not heard of: given up once their deadline has passed.
//!
//! Safe on several control planes at once: each looks again under the lock of the account.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use entity::{lease, worker};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::Ledger;
use super::accounts::Accounts;
use super::lease::READY;

/// Accounts in one transaction.
const BATCH: u64 = 500;
/// The word in the `workers` table for one that was not heard of for the time of a lease.
const LOST: &str = "lost";

impl Ledger {
    /// Marks silent workers as lost, and ends leases whose deadline has passed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn close_lost_leases(&self) -> Result<(), DbErr> {
        let now = self.now(self.database.read()).await?;
        if self.has_silent_workers(now).await? {
            let transaction = self.database.begin().await?;
            worker::Entity::update_many()
                .col_expr(worker::Column::State, Expr::value(LOST))
                .filter(worker::Column::State.eq(READY))
                .filter(worker::Column::LastSeenAt.lte(now - self.limits.silence))
                .exec(&transaction)
                .await?;
            transaction.commit().await?;
        }
        loop {
            let overdue: Vec<String> = lease::Entity::find()
                .select_only()
                .column(lease::Column::BudgetPeriodId)
                .distinct()
                .filter(lease::Column::State.eq(lease::State::Active))
                // Redundant, and what the index is on.
                .filter(lease::Column::ExpiresAt.lt(now))
                .filter(lease::Column::DeadlineAt.lt(now))
                .limit(BATCH)
                .into_tuple()
                .all(self.database.read())
                .await?;
            if overdue.is_empty() {
                return Ok(());
            }
            let transaction = self.database.begin().await?;
            let mut accounts = Accounts::lock(&transaction, BTreeSet::new(), overdue, now).await?;
            for account in accounts.iter_mut() {
                let freed = account.end(lease::State::Expired, |lease| lease.deadline_at < now);
                if freed.is_positive() {
                    tracing::warn!(
                        organization.id = account.period.org_id,
                        budget.id = account.period.budget_id,
                        budget.period = %account.period.period_start,
                        freed.usd = %freed,
                        "gave up leases of lost workers; events that still come are booked all the same"
                    );
                }
            }
            accounts.save(&transaction, now).await?;
            transaction.commit().await?;
        }
    }

    async fn has_silent_workers(&self, now: DateTime<Utc>) -> Result<bool, DbErr> {
        let silent = worker::Entity::find()
            .filter(worker::Column::State.eq(READY))
            .filter(worker::Column::LastSeenAt.lte(now - self.limits.silence))
            .limit(1)
            .one(self.database.read())
            .await?;
        Ok(silent.is_some())
    }
}
