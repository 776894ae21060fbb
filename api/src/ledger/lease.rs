#![expect(clippy::disallowed_methods, reason = "workers belong to the deployment, not to a tenant")]
//! Granting leases: all budgets of a request in one call and one transaction.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use entity::worker;
use policy::link::{LeaseCall, LeaseReply};
use policy::money::NanoUsd;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::account::{Holder, Moment, no_account};
use super::accounts::Accounts;
use super::{LeaseLimits, Ledger};

/// Why there is no answer to a worker's call.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Never seen, or another life of it has begun since.
    #[error("worker `{worker_id}` of start {incarnation} is not enrolled")]
    NotEnrolled {
        /// Who says it is.
        worker_id: String,
        /// In which life.
        incarnation: u64,
    },
    /// The database.
    #[error("can't read or write leases")]
    Database(#[from] DbErr),
}

impl Ledger {
    /// Grants what fits; the answer has one status for each wish, in order.
    ///
    /// # Errors
    /// When the worker has to enrol again, or the database does not answer.
    pub async fn lease(&self, call: &LeaseCall) -> Result<LeaseReply, LeaseError> {
        let transaction = self.database.begin().await?;
        let holder = enrolled(&transaction, &call.worker_id, call.incarnation).await?;
        let moment = self.moment(&transaction, self.clock.now()).await?;
        let references = call.wants.iter().map(|want| &want.period).collect();
        let mut accounts = Accounts::lock(&transaction, references, Vec::new(), moment.now).await?;
        let mut statuses = Vec::with_capacity(call.wants.len());
        for want in &call.wants {
            let status = accounts.get_mut(&want.period).map(|account| {
                let coming = if want.need.is_positive() || want.like.is_positive() {
                    account.grant(holder, want.need, want.like, &moment)
                } else {
                    NanoUsd::ZERO
                };
                account.renew(holder, &moment);
                account.status(holder, &want.period, coming, &moment)
            });
            statuses.push(status.unwrap_or_else(|| no_account(&want.period)));
        }
        accounts.save(&transaction, moment.now).await?;
        transaction.commit().await?;
        Ok(LeaseReply { accounts: statuses })
    }

    pub(super) async fn moment(&self, connection: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Moment, DbErr> {
        let live = load_live_workers(connection, now, self.limits).await?;
        Ok(Moment { now, limits: self.limits, live })
    }
}

/// Workers that were heard of lately.
pub(super) async fn load_live_workers(
    connection: &impl ConnectionTrait,
    now: DateTime<Utc>,
    limits: LeaseLimits,
) -> Result<HashSet<String>, DbErr> {
    let live: Vec<String> = worker::Entity::find()
        .select_only()
        .column(worker::Column::Id)
        .filter(worker::Column::LastSeenAt.gt(now - limits.silence))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(live.into_iter().collect())
}

async fn enrolled<'a>(transaction: &DatabaseTransaction, worker_id: &'a str, incarnation: u64) -> Result<Holder<'a>, LeaseError> {
    let wanted = i64::try_from(incarnation).unwrap_or(-1);
    let found = worker::Entity::find_by_id(worker_id).one(transaction).await?;
    match found {
        Some(worker) if worker.incarnation == wanted => Ok(Holder { worker_id, incarnation: wanted }),
        _ => Err(LeaseError::NotEnrolled { worker_id: worker_id.to_owned(), incarnation }),
    }
}
