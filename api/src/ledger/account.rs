//! The arithmetic of one account under its lock. Pure: rows in, rows out.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use entity::{budget_period, lease};
use policy::event::PeriodRef;
use policy::id::{IdKind, new_id};
use policy::link::{AccountReport, AccountStatus};
use policy::money::NanoUsd;

use super::LeaseLimits;

/// How long a recall stands when nobody repeats it.
const RECALL_STANDS: TimeDelta = TimeDelta::seconds(3);

/// Who holds a lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder<'a> {
    pub(super) worker_id: &'a str,
    pub(super) incarnation: i64,
}

/// The instant of an operation and who is alive in it.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) now: DateTime<Utc>,
    pub(super) limits: LeaseLimits,
    pub(super) live: HashSet<String>,
}

/// What has to be written of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    New,
    Changed,
}

/// A lease and whether it has to be written.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) row: lease::Model,
    pub(super) change: Change,
}

/// One account, locked, with its active leases.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) period: budget_period::Model,
    pub(super) changed: bool,
    pub(super) leases: Vec<Held>,
}

/// Granted and not booked.
pub(super) fn unspent(lease: &lease::Model) -> NanoUsd {
    nano(lease.granted_nano).saturating_sub(nano(lease.spent_nano)).max(NanoUsd::ZERO)
}

/// Neither booked nor in use as last reported.
fn free(lease: &lease::Model) -> NanoUsd {
    unspent(lease).saturating_sub(nano(lease.reserved_nano)).max(NanoUsd::ZERO)
}

pub(super) const fn nano(nanos: i64) -> NanoUsd {
    NanoUsd::from_nanos(nanos)
}

impl Held {
    fn touch(&mut self) -> &mut lease::Model {
        if self.change == Change::None {
            self.change = Change::Changed;
        }
        &mut self.row
    }

    fn is_active(&self) -> bool {
        self.row.state == lease::State::Active
    }
}

impl Account {
    /// What active leases hold beyond what is booked.
    pub(super) fn held(&self) -> NanoUsd {
        self.leases.iter().filter(|held| held.is_active()).map(|held| unspent(&held.row)).sum()
    }

    /// What can still be granted; negative where the cap was lowered or passed.
    pub(super) fn headroom(&self) -> NanoUsd {
        nano(self.period.cap_nano).saturating_sub(nano(self.period.settled_nano)).saturating_sub(self.held())
    }

    /// Takes over an edited cap.
    pub(super) fn set_cap(&mut self, cap_nano: i64) {
        if self.period.cap_nano != cap_nano {
            self.period.cap_nano = cap_nano;
            self.period.epoch = self.period.epoch.saturating_add(1);
            self.changed = true;
        }
    }

    /// Grants `need` and, where there is plenty, a part of `like`. Gives the money that others were asked to return when `need` does
    /// not fit but would fit with theirs.
    ///
    /// The part of `like` is at most the headroom divided by twice the number of live workers: each can take its share twice over before
    /// anybody is short. Near the cap that falls below `need`, and only what single requests need is granted.
    pub(super) fn grant(&mut self, holder: Holder<'_>, need: NanoUsd, like: NanoUsd, moment: &Moment) -> NanoUsd {
        let need = need.max(NanoUsd::ZERO);
        let headroom = self.headroom();
        if need > headroom {
            return self.recall_from_others(holder, need, headroom, moment);
        }
        let sharers = i64::try_from(moment.live.len().max(1)).unwrap_or(i64::MAX).saturating_mul(2);
        let extra = headroom.saturating_sub(need).divided_by(sharers).min(like).max(NanoUsd::ZERO);
        let extra = if extra < need.max(like.divided_by(16)) { NanoUsd::ZERO } else { extra };
        let amount = need.saturating_add(extra);
        if amount.is_positive() {
            let lease = self.own_or_new(holder, moment).touch();
            lease.granted_nano = nano(lease.granted_nano).saturating_add(amount).nanos();
        }
        debug_assert!(!amount.is_positive() || self.headroom() >= NanoUsd::ZERO, "a grant never passes the cap");
        NanoUsd::ZERO
    }

    fn recall_from_others(&mut self, holder: Holder<'_>, need: NanoUsd, headroom: NanoUsd, moment: &Moment) -> NanoUsd {
        let others = |held: &Held| held.is_active() && !is_of(&held.row, holder) && moment.live.contains(&held.row.worker_id);
        let returnable: NanoUsd = self.leases.iter().filter(|held| others(held)).map(|held| free(&held.row)).sum();
        if headroom.saturating_add(returnable) < need {
            return NanoUsd::ZERO;
        }
        for held in self.leases.iter_mut().filter(|held| others(held)) {
            if free(&held.row).is_positive() {
                held.touch().recalled_at = Some(moment.now);
            }
        }
        returnable
    }

    /// Takes in what a worker says of its lease: what is in use, what it gives back, whether it is done.
    pub(super) fn report(&mut self, holder: Holder<'_>, report: &AccountReport, moment: &Moment) {
        let reported_gone = match (&report.lease_id, self.own(holder)) {
            // A lease that is no longer active has nothing left to give back; the status tells the worker.
            (Some(reported), Some(own)) => own.row.id != **reported,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if reported_gone {
            return;
        }
        if self.own(holder).is_none() && !report.reserved.is_positive() {
            return;
        }
        let held = self.own_or_new(holder, moment);
        let back = report.give_back.max(NanoUsd::ZERO).min(unspent(&held.row));
        if back.is_positive() {
            let lease = held.touch();
            lease.granted_nano = nano(lease.granted_nano).saturating_sub(back).nanos();
            lease.recalled_at = None;
        }
        if held.row.reserved_nano != report.reserved.nanos() {
            held.touch().reserved_nano = report.reserved.max(NanoUsd::ZERO).nanos();
        }
        // Granted money that is neither returned nor booked may be in events still on their way: such a lease stays.
        if report.close && !report.reserved.is_positive() && !unspent(&held.row).is_positive() {
            held.touch().state = lease::State::Closed;
        }
    }

    /// Prolongs the holder's lease. Written only when a third of its time is over, so that a quiet account costs nothing.
    pub(super) fn renew(&mut self, holder: Holder<'_>, moment: &Moment) {
        let (expires, deadline) = moment.lease_times();
        if let Some(held) = self.leases.iter_mut().find(|held| held.is_active() && is_of(&held.row, holder)) {
            let due = held.row.expires_at < moment.now + moment.limits.ttl * 2 / 3;
            if due || held.change != Change::None {
                let lease = held.touch();
                lease.expires_at = expires;
                lease.deadline_at = deadline;
            }
        }
    }

    /// Keeps leases of the holder's earlier lives from their deadline: the worker is back and still has events of theirs to ship.
    pub(super) fn hold_earlier(&mut self, holder: Holder<'_>, moment: &Moment) {
        let (_, deadline) = moment.lease_times();
        let due = moment.now + moment.limits.behind_expiry() * 2 / 3;
        for held in self.leases.iter_mut().filter(|held| held.is_active() && is_earlier(&held.row, holder)) {
            if held.row.deadline_at < due {
                held.touch().deadline_at = deadline;
            }
        }
    }

    /// Closes leases of the holder's earlier lives: everything they spent is in.
    pub(super) fn close_earlier(&mut self, holder: Holder<'_>) {
        self.end(lease::State::Closed, |lease| is_earlier(lease, holder));
    }

    /// Books `amount` as spent, also against the lease where it is an active one of this account; whether it was.
    pub(super) fn book(&mut self, lease_id: Option<&str>, amount: NanoUsd) -> bool {
        self.period.settled_nano = nano(self.period.settled_nano).saturating_add(amount).nanos();
        self.changed = true;
        let held = lease_id.and_then(|id| self.leases.iter_mut().find(|held| held.row.id == id));
        let from_lease = held.is_some();
        if let Some(held) = held {
            let lease = held.touch();
            lease.spent_nano = nano(lease.spent_nano).saturating_add(amount).nanos();
        }
        from_lease
    }

    /// Ends leases that `ended` says are over; gives what they still held.
    pub(super) fn end(&mut self, state: lease::State, ended: impl Fn(&lease::Model) -> bool) -> NanoUsd {
        let mut freed = NanoUsd::ZERO;
        for held in self.leases.iter_mut().filter(|held| held.is_active() && ended(&held.row)) {
            freed = freed.saturating_add(unspent(&held.row));
            let lease = held.touch();
            lease.state = state;
            lease.reserved_nano = 0;
        }
        freed
    }

    /// How the account stands for the holder. More may be out than there is, where the cap was lowered or a provider billed more than was
    /// held: then everybody is asked for what is not in use.
    pub(super) fn status(&self, holder: Holder<'_>, reference: &PeriodRef, coming: NanoUsd, moment: &Moment) -> AccountStatus {
        let own = self.own(holder).map(|held| &held.row);
        let elsewhere = self.leases.iter().filter(|held| held.is_active() && !is_of(&held.row, holder));
        let too_much = self.headroom() < NanoUsd::ZERO;
        let recalled = |lease: &lease::Model| too_much || lease.recalled_at.is_some_and(|at| at + RECALL_STANDS > moment.now);
        AccountStatus {
            period: reference.clone(),
            period_end: self.period.period_end,
            cap: nano(self.period.cap_nano),
            settled: nano(self.period.settled_nano),
            reserved_elsewhere: elsewhere.map(|held| nano(held.row.reserved_nano)).sum(),
            lease_id: own.map_or_else(|| Arc::from(""), |lease| Arc::from(lease.id.as_str())),
            granted: own.map_or(NanoUsd::ZERO, |lease| nano(lease.granted_nano)),
            booked: own.map_or(NanoUsd::ZERO, |lease| nano(lease.spent_nano)),
            ttl_ms: own.map_or(0, |lease| u64::try_from((lease.expires_at - moment.now).num_milliseconds()).unwrap_or(0)),
            recall: own.is_some_and(|lease| recalled(lease) && unspent(lease).is_positive()),
            coming,
        }
    }

    fn own(&self, holder: Holder<'_>) -> Option<&Held> {
        self.leases.iter().find(|held| held.is_active() && is_of(&held.row, holder))
    }

    fn own_or_new(&mut self, holder: Holder<'_>, moment: &Moment) -> &mut Held {
        let held = match self.leases.iter().position(|held| held.is_active() && is_of(&held.row, holder)) {
            Some(at) => self.leases.swap_remove(at),
            None => Held { row: new_lease(&self.period, holder, moment), change: Change::New },
        };
        self.leases.push_mut(held)
    }
}

impl Moment {
    fn lease_times(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let expires = self.now + self.limits.ttl;
        (expires, expires + self.limits.behind_expiry())
    }
}

fn is_of(lease: &lease::Model, holder: Holder<'_>) -> bool {
    lease.worker_id == holder.worker_id && lease.incarnation == holder.incarnation
}

fn is_earlier(lease: &lease::Model, holder: Holder<'_>) -> bool {
    lease.worker_id == holder.worker_id && lease.incarnation < holder.incarnation
}

fn new_lease(period: &budget_period::Model, holder: Holder<'_>, moment: &Moment) -> lease::Model {
    let (expires_at, deadline_at) = moment.lease_times();
    lease::Model {
        id: new_id(IdKind::Lease),
        org_id: period.org_id.clone(),
        budget_period_id: period.id.clone(),
        worker_id: holder.worker_id.to_owned(),
        incarnation: holder.incarnation,
        granted_nano: 0,
        spent_nano: 0,
        reserved_nano: 0,
        state: lease::State::Active,
        recalled_at: None,
        expires_at,
        deadline_at,
        created_at: moment.now,
        updated_at: moment.now,
    }
}

/// What a worker is told of an account that can't exist: nothing may be spent.
pub(super) fn no_account(reference: &PeriodRef) -> AccountStatus {
    AccountStatus {
        period: reference.clone(),
        period_end: None,
        cap: NanoUsd::ZERO,
        settled: NanoUsd::ZERO,
        reserved_elsewhere: NanoUsd::ZERO,
        lease_id: Arc::from(""),
        granted: NanoUsd::ZERO,
        booked: NanoUsd::ZERO,
        ttl_ms: 0,
        recall: false,
        coming: NanoUsd::ZERO,
    }
}
