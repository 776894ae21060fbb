//! Money held for one attempt, in every budget that applies to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use policy::event::PeriodRef;
use policy::event::wire::HeldIn;
use policy::money::NanoUsd;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::account::Account;
use super::lease::Lease;

/// The part of a reservation in one account.
pub(super) struct Hold {
    pub(super) account: Arc<Account>,
    /// Absent where the budget does not block.
    pub(super) lease: Option<Arc<Lease>>,
}

/// Holds of one amount; given back when dropped. What waits in a queue is this, what a request owns is a [`Reservation`].
pub(super) struct Held {
    holds: SmallVec<[Hold; 4]>,
    amount: i64,
    desk: Arc<Notify>,
}

impl Held {
    pub(super) fn new(amount: i64, desk: &Arc<Notify>) -> Self {
        Self { holds: SmallVec::new(), amount, desk: Arc::clone(desk) }
    }

    /// Counts `amount` in `account`, which was taken from `lease` already if there is one. False when the account was retired.
    pub(super) fn add(&mut self, account: Arc<Account>, lease: Option<Arc<Lease>>) -> bool {
        if !account.enter(self.amount) {
            if let Some(lease) = lease {
                lease.settle(self.amount, 0);
            }
            return false;
        }
        self.holds.push(Hold { account, lease });
        true
    }

    fn settle(&mut self, actual: i64) {
        let mut wanted = false;
        for hold in self.holds.drain(..) {
            hold.account.settle(hold.lease.as_ref(), self.amount, actual);
            wanted |= hold.account.has_waiters();
        }
        if wanted {
            self.desk.notify_one();
        }
    }

    /// Period and lease of each, in order.
    fn places(&self) -> impl Iterator<Item = (&PeriodRef, Option<&Arc<str>>)> {
        self.holds.iter().map(|hold| (hold.account.period(), hold.lease.as_ref().map(|lease| lease.id())))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.settle(0);
    }
}

/// Money held for one attempt. Ends by [`Reservation::settle`] or [`Reservation::release`]; one that is dropped is released, counted and
/// logged as a leak.
#[must_use = "a reservation holds money until it is settled or released"]
pub struct Reservation {
    held: Option<Held>,
    leaks: Arc<AtomicU64>,
}

impl Reservation {
    pub(super) fn new(held: Held, leaks: &Arc<AtomicU64>) -> Self {
        Self { held: Some(held), leaks: Arc::clone(leaks) }
    }

    /// What is held in each budget.
    #[must_use]
    pub fn amount(&self) -> NanoUsd {
        NanoUsd::from_nanos(self.held.as_ref().map_or(0, |held| held.amount))
    }

    /// What it is held in, for the usage event.
    #[must_use]
    pub fn held_in(&self) -> Vec<HeldIn> {
        let places = self.held.iter().flat_map(Held::places);
        places.map(|(period, lease)| HeldIn { period: period.clone(), lease_id: lease.cloned() }).collect()
    }

    /// Whether it is held in just these.
    #[must_use]
    pub fn is_held_in(&self, places: &[HeldIn]) -> bool {
        let here = self.held.iter().flat_map(Held::places);
        here.eq(places.iter().map(|held| (&held.period, held.lease_id.as_ref())))
    }

    /// The attempt cost `actual`, in each.
    pub fn settle(mut self, actual: NanoUsd) {
        if let Some(mut held) = self.held.take() {
            held.settle(actual.nanos());
        }
    }

    /// The attempt cost nothing.
    pub fn release(mut self) {
        drop(self.held.take());
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.held.is_some() {
            self.leaks.fetch_add(1, Ordering::Relaxed);
            tracing::error!(reservation.usd = %self.amount(), "reservation was dropped without an end; released");
        }
    }
}
