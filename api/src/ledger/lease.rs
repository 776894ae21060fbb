#![expect(clippy::disallowed_methods, reason = "workers belong to the deployment, not to a tenant")]
//! Granting leases: all budgets of a request in one call and one transaction. And who may speak of money at all: see [`Message`].

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use entity::worker;
use policy::link::{LeaseCall, LeaseReply};
use policy::money::NanoUsd;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter, QuerySelect, Statement};

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
    /// A later message of the same life was taken in before.
    #[error("message {sequence} of worker `{worker_id}` came after a later one")]
    Stale {
        /// Who says it is.
        worker_id: String,
        /// Which of its messages.
        sequence: u64,
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
        let LeaseCall { worker_id, incarnation, sequence, wants } = call;
        let message = Message { worker_id, incarnation: *incarnation, sequence: *sequence };
        let (holder, moment) = self.take_in(&transaction, message).await?;
        let references = wants.iter().map(|want| &want.period).collect();
        let mut accounts = Accounts::lock(&transaction, references, Vec::new(), moment.now).await?;
        let mut statuses = Vec::with_capacity(wants.len());
        for want in wants {
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

    /// What time it is for leases: the database's clock where several control planes share one, so that a plane whose own clock is ahead
    /// gives up no lease before its time.
    pub(super) async fn now(&self, connection: &impl ConnectionTrait) -> Result<DateTime<Utc>, DbErr> {
        if connection.get_database_backend() != DbBackend::Postgres {
            return Ok(self.clock.now());
        }
        let asked = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, "SELECT clock_timestamp()")).await?;
        asked.ok_or_else(|| DbErr::Custom("the database does not say what time it is".to_owned()))?.try_get_by_index(0)
    }

    /// Takes in a message about money: who holds what it speaks of, and the instant at which it is true.
    pub(super) async fn take_in<'a>(
        &self,
        transaction: &DatabaseTransaction,
        message: Message<'a>,
    ) -> Result<(Holder<'a>, Moment), LeaseError> {
        let now = self.now(transaction).await?;
        let holder = message.take_in(transaction, now).await?;
        let live = load_live_workers(transaction, now, self.limits).await?;
        Ok((holder, Moment { now, limits: self.limits, live }))
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

/// The word in the `workers` table for one that is heard of.
pub(crate) const READY: &str = "ready";

/// What a message about money says of where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) worker_id: &'a str,
    pub(super) incarnation: u64,
    pub(super) sequence: u64,
}

impl<'a> Message<'a> {
    /// Takes it in, unless it comes from an earlier life, or after a later message of this one: on a slow line, or from a control plane that
    /// stood still with it. A worker that gave up on a message has drawn its conclusions, and may be spending what that message gives back.
    ///
    /// The row of the worker stays locked until the end of the transaction, so that messages of one worker are taken in one by one.
    async fn take_in(self, transaction: &DatabaseTransaction, now: DateTime<Utc>) -> Result<Holder<'a>, LeaseError> {
        let Self { worker_id, incarnation, sequence } = self;
        let life = i64::try_from(incarnation).unwrap_or(-1);
        let number = i64::try_from(sequence).unwrap_or(i64::MAX);
        let taken = worker::Entity::update_many()
            .col_expr(worker::Column::LinkSequence, Expr::value(number))
            .col_expr(worker::Column::LastSeenAt, Expr::value(now))
            .col_expr(worker::Column::State, Expr::value(READY))
            .filter(worker::Column::Id.eq(worker_id))
            .filter(worker::Column::Incarnation.eq(life))
            .filter(worker::Column::LinkSequence.lt(number))
            .exec(transaction)
            .await?;
        if taken.rows_affected > 0 {
            return Ok(Holder { worker_id, incarnation: life });
        }
        let found = worker::Entity::find_by_id(worker_id).one(transaction).await?;
        Err(match found {
            Some(worker) if worker.incarnation == life => LeaseError::Stale { worker_id: worker_id.to_owned(), sequence },
            _ => LeaseError::NotEnrolled { worker_id: worker_id.to_owned(), incarnation },
        })
    }
}
