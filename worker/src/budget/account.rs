//! One period of one budget for one scope value, as this worker knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use chrono::{DateTime, Utc};
use policy::budget::Period;
use policy::event::PeriodRef;
use policy::link::AccountStatus;
use policy::money::NanoUsd;

use super::lease::Lease;

/// What a lease call is not made for again at once: the amount that was refused, and for how long.
const REFUSAL_MS: u64 = 100;
/// Seconds of spending at the present rate that a lease should last for.
const LEASE_SECONDS: i64 = 900;
/// Where the present rate is not known, this many requests like the one that is short.
const LEASE_REQUESTS: i64 = 8;
/// How long wishes stay small after the control plane gave nothing beyond the bare need.
const SCARCE_MS: u64 = 10_000;

/// How the control plane last said that the account stands.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) settled: i64,
    pub(super) reserved_elsewhere: i64,
    pub(super) booked: i64,
    pub(super) lease_id: Arc<str>,
}

/// One account.
#[derive(Debug)]
pub(super) struct Account {
    period: PeriodRef,
    end: Option<DateTime<Utc>>,
    lease: ArcSwapOption<Lease>,
    known: ArcSwapOption<Known>,
    /// Held by requests in flight.
    reserved: AtomicI64,
    /// Spent outside of the current lease and perhaps not booked yet.
    stray: Stray,
    /// Requests that wait for money of this account.
    waiting: AtomicU32,
    /// Taken out of the table; who finds it set looks the account up again.
    retired: AtomicBool,
    /// Another worker is short.
    recalled: AtomicBool,
    /// When it was last used, milliseconds of the monotonic clock.
    touched_ms: AtomicU64,
    /// All that was ever spent here, for the rate.
    spent_total: AtomicI64,
    spent_at_last_look: AtomicI64,
    nanos_per_second: AtomicI64,
    refused_amount: AtomicI64,
    refused_until_ms: AtomicU64,
    /// Money is coming from other workers: not to be asked for before.
    ask_again_ms: AtomicU64,
    /// The control plane gave no more than the bare need: wishes stay small until then.
    scarce_until_ms: AtomicU64,
}

/// Spend that no lease accounts for: of budgets that don't block, and of leases that were replaced. It counts as used until it can be
/// assumed to be in the ledger's figures: the events of its time were booked, and the control plane was asked after that.
#[derive(Debug, Default)]
struct Stray {
    fresh: AtomicI64,
    aging: AtomicI64,
}

impl Account {
    pub(super) fn new(period: PeriodRef, end: Option<DateTime<Utc>>, now_ms: u64) -> Self {
        Self {
            period,
            end,
            lease: ArcSwapOption::empty(),
            known: ArcSwapOption::empty(),
            reserved: AtomicI64::new(0),
            stray: Stray::default(),
            waiting: AtomicU32::new(0),
            retired: AtomicBool::new(false),
            recalled: AtomicBool::new(false),
            touched_ms: AtomicU64::new(now_ms),
            spent_total: AtomicI64::new(0),
            spent_at_last_look: AtomicI64::new(0),
            nanos_per_second: AtomicI64::new(0),
            refused_amount: AtomicI64::new(i64::MAX),
            refused_until_ms: AtomicU64::new(0),
            ask_again_ms: AtomicU64::new(0),
            scarce_until_ms: AtomicU64::new(0),
        }
    }

    pub(super) fn period(&self) -> &PeriodRef {
        &self.period
    }

    /// Whether `now` is in its period.
    pub(super) fn covers(&self, now: DateTime<Utc>) -> bool {
        self.period.start <= now && self.end.is_none_or(|end| now < end)
    }

    pub(super) fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.end.is_some_and(|end| end <= now)
    }

    pub(super) fn as_period(&self) -> Period {
        Period { start: self.period.start, end: self.end }
    }

    pub(super) fn lease(&self) -> Guard<Option<Arc<Lease>>> {
        self.lease.load()
    }

    pub(super) fn is_known(&self) -> bool {
        self.known.load().is_some()
    }

    pub(super) fn reserved(&self) -> i64 {
        self.reserved.load(Ordering::SeqCst)
    }

    pub(super) fn touch(&self, now_ms: u64) {
        self.touched_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn idle_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.touched_ms.load(Ordering::Relaxed))
    }

    /// Settled and reserved, over all workers as last known.
    pub(super) fn used(&self) -> NanoUsd {
        let stray = self.stray.fresh.load(Ordering::SeqCst).saturating_add(self.stray.aging.load(Ordering::SeqCst));
        let here = stray.saturating_add(self.reserved());
        let lease = self.lease.load();
        let spent = lease.as_ref().map_or(0, |lease| lease.spent());
        let known = self.known.load();
        let Some(known) = known.as_ref() else { return NanoUsd::from_nanos(here.saturating_add(spent)) };
        let booked = if lease.as_ref().is_some_and(|lease| *lease.id() == known.lease_id) { known.booked } else { 0 };
        let unbooked = spent.saturating_sub(booked).max(0);
        let elsewhere = known.settled.saturating_add(known.reserved_elsewhere);
        NanoUsd::from_nanos(elsewhere.saturating_add(unbooked).saturating_add(here))
    }

    /// Counts a reservation in; gives false when the account was retired meanwhile and must be looked up again.
    pub(super) fn enter(&self, amount: i64) -> bool {
        self.reserved.fetch_add(amount, Ordering::SeqCst);
        if self.retired.load(Ordering::SeqCst) {
            self.leave(amount);
            return false;
        }
        true
    }

    pub(super) fn leave(&self, amount: i64) {
        self.reserved.fetch_sub(amount, Ordering::SeqCst);
    }

    /// Ends a reservation: `actual` was spent of `reserved`, which was taken from `lease` if there was one.
    pub(super) fn settle(&self, lease: Option<&Arc<Lease>>, reserved: i64, actual: i64) {
        self.spent_total.fetch_add(actual, Ordering::Relaxed);
        let current = self.lease.load();
        let on_current = lease.is_some_and(|lease| current.as_ref().is_some_and(|current| Arc::ptr_eq(current, lease)));
        if !on_current {
            self.stray.fresh.fetch_add(actual, Ordering::SeqCst);
        }
        if let Some(lease) = lease {
            lease.settle(reserved, actual);
        }
        self.leave(reserved);
        if actual < reserved {
            self.refused_until_ms.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn begin_wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end_wait(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Remembers that the control plane has no `amount` to give right now.
    pub(super) fn note_refusal(&self, amount: i64, now_ms: u64) {
        self.refused_amount.store(amount, Ordering::Relaxed);
        self.refused_until_ms.store(now_ms.saturating_add(REFUSAL_MS), Ordering::Relaxed);
    }

    pub(super) fn forget_refusal(&self) {
        self.refused_until_ms.store(0, Ordering::Relaxed);
    }

    /// Whether asking for `amount` makes no sense because as much was refused a moment ago.
    pub(super) fn was_refused(&self, amount: i64, now_ms: u64) -> bool {
        now_ms < self.refused_until_ms.load(Ordering::Relaxed) && amount >= self.refused_amount.load(Ordering::Relaxed)
    }

    pub(super) fn ask_again_at(&self, ms: u64) {
        self.ask_again_ms.store(ms, Ordering::Relaxed);
    }

    pub(super) fn may_ask(&self, now_ms: u64) -> bool {
        now_ms >= self.ask_again_ms.load(Ordering::Relaxed)
    }

    /// Takes in what the control plane says; `sent_ms` is when it was asked. Answers how much more is granted than before. Called by one
    /// task at a time.
    pub(super) fn apply(&self, status: &AccountStatus, sent_ms: u64) -> i64 {
        let known = Known {
            settled: status.settled.nanos(),
            reserved_elsewhere: status.reserved_elsewhere.nanos(),
            booked: status.booked.nanos(),
            lease_id: Arc::clone(&status.lease_id),
        };
        self.known.store(Some(Arc::new(known)));
        self.recalled.store(status.recall, Ordering::Relaxed);
        let granted = status.granted.nanos();
        let current = self.lease.load_full();
        let lease = match current {
            Some(lease) if *lease.id() == status.lease_id => lease,
            // Nothing was granted: there is no lease to speak of, and the one before, if any, is over.
            _ if status.lease_id.is_empty() || granted == 0 => {
                self.end_lease();
                return 0;
            }
            _ => {
                self.end_lease();
                let lease = Arc::new(Lease::new(Arc::clone(&status.lease_id), status.booked.nanos()));
                self.lease.store(Some(Arc::clone(&lease)));
                lease
            }
        };
        // Counted from when the question left, and a tenth early: the control plane never holds it for shorter than this worker does.
        let good_for = status.ttl_ms.saturating_sub(status.ttl_ms / 10);
        lease.renew(granted, sent_ms.saturating_add(good_for))
    }

    /// As [`Account::apply`], where the lease was closed with the message that this answers.
    pub(super) fn apply_closed(&self, status: &AccountStatus) {
        self.end_lease();
        self.known.store(Some(Arc::new(Known {
            settled: status.settled.nanos(),
            reserved_elsewhere: status.reserved_elsewhere.nanos(),
            booked: 0,
            lease_id: Arc::from(""),
        })));
    }

    /// The lease is over: what was spent on it and not booked goes on counting for a while.
    pub(super) fn end_lease(&self) {
        let Some(lease) = self.lease.swap(None) else { return };
        let booked = self.known.load().as_ref().filter(|known| known.lease_id == *lease.id()).map_or(0, |known| known.booked);
        lease.drain();
        self.stray.fresh.fetch_add(lease.spent().saturating_sub(booked).max(0), Ordering::SeqCst);
    }

    /// Whether everything spent on the current lease was booked.
    pub(super) fn is_booked(&self) -> bool {
        let lease = self.lease.load();
        let known = self.known.load();
        match (lease.as_ref(), known.as_ref()) {
            (None, _) => true,
            (Some(lease), Some(known)) => *lease.id() == known.lease_id && lease.spent() <= known.booked,
            (Some(_), None) => false,
        }
    }

    pub(super) fn is_recalled(&self) -> bool {
        self.recalled.load(Ordering::Relaxed)
    }

    /// Takes the account out of use, unless somebody uses it.
    pub(super) fn retire(&self) -> bool {
        self.retired.store(true, Ordering::SeqCst);
        let in_use = self.reserved() != 0 || self.has_waiters() || self.lease.load().is_some() || self.has_stray();
        if in_use {
            self.retired.store(false, Ordering::SeqCst);
        }
        !in_use
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    fn has_stray(&self) -> bool {
        self.stray.fresh.load(Ordering::SeqCst) != 0 || self.stray.aging.load(Ordering::SeqCst) != 0
    }

    /// The stray spend of two looks ago is in the ledger's figures now.
    pub(super) fn age_stray(&self) {
        let fresh = self.stray.fresh.load(Ordering::SeqCst);
        self.stray.aging.store(fresh, Ordering::SeqCst);
        self.stray.fresh.fetch_sub(fresh, Ordering::SeqCst);
    }

    /// Once per heartbeat: how fast money is spent here.
    pub(super) fn look_at_rate(&self, elapsed_ms: u64) {
        let total = self.spent_total.load(Ordering::Relaxed);
        let spent = total.saturating_sub(self.spent_at_last_look.swap(total, Ordering::Relaxed));
        let elapsed = i64::try_from(elapsed_ms).unwrap_or(i64::MAX).max(1);
        let now = spent.saturating_mul(1000).checked_div(elapsed).unwrap_or(0);
        let before = self.nanos_per_second.load(Ordering::Relaxed);
        // A quick rise, a slow fall: a lease that is too small costs a call, one that is too large is given back.
        let rate = if now > before { now } else { before.saturating_sub(before / 10).saturating_add(now / 10) };
        self.nanos_per_second.store(rate, Ordering::Relaxed);
    }

    /// How much more than `need` would save a call soon; `in_line` is what others wait for beside it.
    ///
    /// Near the cap a large wish is not granted in part, so there it is only a few requests like the one that is short.
    pub(super) fn would_like(&self, need: i64, in_line: i64, now_ms: u64) -> i64 {
        let few = need.saturating_mul(LEASE_REQUESTS);
        if now_ms < self.scarce_until_ms.load(Ordering::Relaxed) {
            return few;
        }
        let rate = self.nanos_per_second.load(Ordering::Relaxed);
        rate.saturating_mul(LEASE_SECONDS).max(few).saturating_add(in_line)
    }

    /// After a call that asked for `need` and more: whether more was given.
    pub(super) fn note_scarce(&self, got_more: bool, now_ms: u64) {
        if !got_more {
            self.scarce_until_ms.store(now_ms.saturating_add(SCARCE_MS), Ordering::Relaxed);
        }
    }
}
