#![expect(clippy::disallowed_methods, reason = "workers belong to the deployment, not to a tenant")]
//! What a worker says once a second: that it lives, what is in use, what it gives back.

use entity::lease;
use policy::link::{AccountStatus, Heartbeat};
use policy::money::NanoUsd;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::account::{Holder, no_account};
use super::accounts::Accounts;
use super::lease::Message;
use super::{LeaseError, Ledger};

/// What a heartbeat is answered with, beside revisions.
#[derive(Debug)]
pub struct Beat {
    /// Accounts reported, in order.
    pub accounts: Vec<AccountStatus>,
    /// Workers alive, this one included.
    pub workers: u32,
}

impl Ledger {
    /// Takes in a heartbeat.
    ///
    /// # Errors
    /// When the worker has to enrol again, or the database does not answer.
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<Beat, LeaseError> {
        let transaction = self.database.begin().await?;
        let Heartbeat { worker_id, incarnation, sequence, .. } = beat;
        let message = Message { worker_id, incarnation: *incarnation, sequence: *sequence };
        let (holder, moment) = self.take_in(&transaction, message).await?;
        let earlier = accounts_of_earlier_lives(&transaction, holder).await?;
        let references = beat.accounts.iter().map(|report| &report.period).collect();
        let mut accounts = Accounts::lock(&transaction, references, earlier, moment.now).await?;
        for account in accounts.iter_mut() {
            if beat.recovered {
                account.close_earlier(holder);
            } else {
                account.hold_earlier(holder, &moment);
            }
        }
        let mut statuses = Vec::with_capacity(beat.accounts.len());
        for report in &beat.accounts {
            let status = accounts.get_mut(&report.period).map(|account| {
                account.report(holder, report, &moment);
                account.renew(holder, &moment);
                account.status(holder, &report.period, NanoUsd::ZERO, &moment)
            });
            statuses.push(status.unwrap_or_else(|| no_account(&report.period)));
        }
        accounts.save(&transaction, moment.now).await?;
        transaction.commit().await?;
        Ok(Beat { accounts: statuses, workers: u32::try_from(moment.live.len()).unwrap_or(u32::MAX) })
    }
}

/// Accounts on which an earlier life of the worker still holds a lease.
async fn accounts_of_earlier_lives(transaction: &DatabaseTransaction, holder: Holder<'_>) -> Result<Vec<String>, DbErr> {
    lease::Entity::find()
        .select_only()
        .column(lease::Column::BudgetPeriodId)
        .distinct()
        .filter(lease::Column::WorkerId.eq(holder.worker_id))
        .filter(lease::Column::State.eq(lease::State::Active))
        .filter(lease::Column::Incarnation.lt(holder.incarnation))
        .into_tuple()
        .all(transaction)
        .await
}
