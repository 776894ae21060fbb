#![expect(clippy::disallowed_methods, reason = "a batch holds events of several organizations; each row written carries its own")]
//! Usage events → ledger, request log and accounts.
//!
//! Promises: an event is booked once, however often it comes (`usage_ledger.event_id` is unique, and only rows that were really inserted
//! go on to the accounts). What can't be booked is refused with its reason and keeps nobody else from being booked. Writes are batched
//! and go in a fixed order (ledger by event id, then accounts by id), so that concurrent batches can't deadlock.
//!
//! A refused request (it cost nothing) is in the request log only, and there its request id keeps it from being logged twice.
//!
//! An event outlives what it refers to: where a budget was deleted its charge is dropped and said in the log; where a lease was given up
//! the account is charged all the same.

mod rows;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::{lease, organization};
use policy::event::{EventKind, NoEvent, UsageEvent};
use policy::link::{Booked, RefusedEvent, events_in};
use policy::money::NanoUsd;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::Ledger;
use super::accounts::{Accounts, pieces};
use super::bulk::{Kind, Update};

/// Events in one transaction: enough that a commit costs little, few enough that a lease never waits long for the one writer of SQLite.
const BATCH: usize = 500;

/// Why a batch was not booked, or not to its end. What was booked stays booked; sending everything again is right.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The database.
    #[error("can't book events")]
    Database(#[from] DbErr),
}

impl Ledger {
    /// Books a batch of events.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn book(&self, batch: &[u8]) -> Result<Booked, BookError> {
        let mut outcome = Booked { booked: 0, repeated: 0, refused: Vec::new() };
        let mut events = self.readable(batch, &mut outcome).await?;
        // A fixed order, so that two batches with common events wait for each other instead of for ever.
        events.sort_by(|one, other| one.id.cmp(&other.id));
        let received = events.len();
        events.dedup_by(|one, other| one.id == other.id);
        outcome.repeated = count(received.saturating_sub(events.len()));
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let batch: Vec<UsageEvent> = events.by_ref().take(BATCH).collect();
            let size = batch.len();
            let booked = self.book_batch(batch).await?;
            outcome.booked = outcome.booked.saturating_add(count(booked.len()));
            outcome.repeated = outcome.repeated.saturating_add(count(size.saturating_sub(booked.len())));
            self.feed.send(booked);
        }
        outcome.refused.sort_by_key(|refused| refused.place);
        Ok(outcome)
    }

    /// Events that can be read and whose organization exists; the others are refused.
    async fn readable(&self, batch: &[u8], outcome: &mut Booked) -> Result<Vec<UsageEvent>, DbErr> {
        let mut read = Vec::new();
        for (place, written) in events_in(batch).enumerate() {
            match written.map_err(NoEvent::from).and_then(UsageEvent::read) {
                Ok(event) => read.push((count(place), event)),
                Err(error) => outcome.refused.push(RefusedEvent { place: count(place), reason: error.to_string() }),
            }
        }
        let wanted: HashSet<String> = read.iter().map(|(_, event)| event.org_id.to_string()).collect();
        let mut known: HashSet<String> = HashSet::new();
        for some in pieces(wanted) {
            let found: Vec<String> = organization::Entity::find()
                .select_only()
                .column(organization::Column::Id)
                .filter(organization::Column::Id.is_in(some))
                .into_tuple()
                .all(self.database.read())
                .await?;
            known.extend(found);
        }
        let mut events = Vec::with_capacity(read.len());
        for (place, event) in read {
            if known.contains(event.org_id.as_ref()) {
                events.push(event);
            } else {
                outcome.refused.push(RefusedEvent { place, reason: format!("organization `{}` does not exist", event.org_id) });
            }
        }
        Ok(events)
    }

    /// Books sorted, distinct events in one transaction; gives those that were not booked before.
    async fn book_batch(&self, events: Vec<UsageEvent>) -> Result<Vec<UsageEvent>, DbErr> {
        let transaction = self.database.begin().await?;
        let now = self.clock.now();
        let booked = insert_rows(&transaction, events).await?;
        charge_accounts(&transaction, &booked, now).await?;
        transaction.commit().await?;
        Ok(booked)
    }
}

/// Ledger, request log and tags. Gives the events that are new.
async fn insert_rows(transaction: &DatabaseTransaction, events: Vec<UsageEvent>) -> Result<Vec<UsageEvent>, DbErr> {
    let (refused, spent): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| event.kind == EventKind::Refused);
    let ledger = spent.iter().flat_map(rows::ledger_values).collect();
    let new: HashSet<String> = rows::LEDGER.run_returning(transaction, ledger, "event_id").await?.into_iter().collect();
    let mut booked: Vec<UsageEvent> = spent.into_iter().filter(|event| new.contains(event.id.as_ref())).collect();
    let log = booked.iter().chain(&refused).flat_map(rows::log_values).collect();
    let logged: HashSet<String> = rows::LOG.run_returning(transaction, log, "id").await?.into_iter().collect();
    booked.extend(refused.into_iter().filter(|event| logged.contains(event.request_id.as_ref())));
    let tags = booked.iter().flat_map(rows::tag_values).flatten().collect();
    rows::TAGS.run(transaction, tags).await?;
    Ok(booked)
}

/// Entries of the accounts, and what they add up to.
async fn charge_accounts(transaction: &DatabaseTransaction, events: &[UsageEvent], now: DateTime<Utc>) -> Result<(), DbErr> {
    let references = events.iter().flat_map(|event| event.charges.iter().map(|charge| &charge.period)).collect();
    let mut accounts = Accounts::lock(transaction, references, Vec::new(), now).await?;
    let mut entries = Vec::new();
    let mut late: BTreeMap<String, NanoUsd> = BTreeMap::new();
    for event in events {
        // At most one entry an event and account, whatever the worker sent.
        let mut charged: HashMap<String, rows::Entry> = HashMap::new();
        for charge in &event.charges {
            let account = accounts.get_mut(&charge.period).filter(|account| account.period.org_id == *event.org_id);
            let Some(account) = account else {
                tracing::warn!(event.id = %event.id, budget.id = %charge.period.budget_id, amount.usd = %charge.amount, "no such budget: a charge is dropped");
                continue;
            };
            let lease_id = charge.lease_id.as_deref().filter(|id| !id.is_empty());
            let from_lease = account.book(lease_id, charge.amount);
            if let Some(lease_id) = lease_id.filter(|_| !from_lease) {
                let sum = late.entry(lease_id.to_owned()).or_default();
                *sum = sum.saturating_add(charge.amount);
            }
            let entry = charged.entry(account.period.id.clone()).or_insert_with(|| rows::Entry {
                org_id: event.org_id.to_string(),
                budget_period_id: account.period.id.clone(),
                lease_id: lease_id.map(str::to_owned),
                event_id: event.id.to_string(),
                amount: NanoUsd::ZERO,
            });
            entry.amount = entry.amount.saturating_add(charge.amount);
        }
        entries.extend(charged.into_values().flat_map(|entry| rows::entry_values(entry, now)));
    }
    rows::ENTRIES.run(transaction, entries).await?;
    accounts.save(transaction, now).await?;
    add_to_ended_leases(transaction, late).await
}

/// What was spent from leases that are no longer active: recorded, and no longer counted against anything.
async fn add_to_ended_leases(transaction: &DatabaseTransaction, late: BTreeMap<String, NanoUsd>) -> Result<(), DbErr> {
    static ADD: Update = Update { table: "leases", kinds: &[Kind::Text, Kind::Int], set: "spent_nano = leases.spent_nano + v.column2" };
    let mut ended = HashSet::new();
    for some in pieces(late.keys().cloned()) {
        let found: Vec<String> = lease::Entity::find()
            .select_only()
            .column(lease::Column::Id)
            .filter(lease::Column::Id.is_in(some))
            .filter(lease::Column::State.ne(lease::State::Active))
            .into_tuple()
            .all(transaction)
            .await?;
        ended.extend(found);
    }
    let values = late.into_iter().filter(|(id, _)| ended.contains(id)).flat_map(|(id, amount)| [id.into(), amount.nanos().into()]);
    ADD.run(transaction, values.collect()).await
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
