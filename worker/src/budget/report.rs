//! What heartbeats say about money: what is reserved, what is given back, which accounts are closed.
//!
//! Money goes back when another worker is short, when the account was idle for a while, or when its period is over. A lease is closed only
//! once everything spent on it was booked, so that the control plane never counts less than is true. Accounts that nobody uses any more
//! are dropped; those with a fixed scope stay as long as a bundle names them, so that what is used of them is always known.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use policy::link::{AccountReport, Heartbeat, HeartbeatReply};
use policy::money::NanoUsd;

use super::Budgets;
use super::account::Account;
use crate::link::LinkError;
use crate::policy_feed::Fleet;
use crate::spool::{Place, Spool};

/// What one heartbeat says about accounts.
struct Report {
    entries: Vec<Entry>,
    sent_ms: u64,
    /// Stray spend that is aging was booked before this was sent.
    aged: bool,
}

struct Entry {
    account: Arc<Account>,
    closing: bool,
    report: AccountReport,
}

/// What decides whether an account gives its money back.
#[derive(Clone, Copy)]
struct Circumstances {
    now: DateTime<Utc>,
    now_ms: u64,
    idle_after_ms: u64,
    /// The worker is about to stop.
    leaving: bool,
}

/// When the last beat was, for rates, and until where the spool must be booked before stray spend is let go.
#[derive(Debug, Default)]
pub(super) struct LastBeat {
    at_ms: u64,
    mark: Option<Place>,
}

impl Budgets {
    /// One heartbeat: `message` is completed with the accounts, sent, and its answer applied.
    pub(crate) async fn beat(
        &self,
        mut message: Heartbeat,
        fleet: &Fleet,
        spool: &Spool,
        leaving: bool,
    ) -> Result<HeartbeatReply, LinkError> {
        let mut turn = self.line.lock().await;
        message.sequence = turn.next();
        let report = self.report(fleet, spool, leaving);
        message.accounts = report.entries.iter().map(|entry| entry.report.clone()).collect();
        let answer = self.link.heartbeat(&message).await.and_then(|reply| check(&report, reply));
        if answer.is_ok() {
            self.heard_ms.store(self.now_ms(), Ordering::Relaxed);
        }
        match &answer {
            Ok(reply) if !reply.enrol_again => self.apply(&report, reply, spool),
            // With a new life come new leases; what the old ones held is counted by the control plane until its events are in.
            Ok(_) => self.forget_leases(),
            // Whether what was given back has arrived is not known, and it is used by nobody, until the next answer: that says what is
            // granted, and after it this message can arrive no more.
            Err(_) => {}
        }
        drop(turn);
        answer
    }

    /// Whether another worker is short of what is leased here: worth another heartbeat at once.
    pub(crate) fn is_recalled(&self) -> bool {
        let has_money = |account: &Account| account.lease().as_ref().is_some_and(|lease| lease.available() > 0);
        self.accounts.pin().values().any(|account| account.is_recalled() && has_money(account))
    }

    /// Reserved by requests in flight, in all accounts together. For metrics and tests.
    #[must_use]
    pub fn reserved(&self) -> NanoUsd {
        NanoUsd::from_nanos(self.accounts.pin().values().map(|account| account.reserved()).fold(0, i64::saturating_add))
    }

    /// Accounts in use. For metrics.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    fn report(&self, fleet: &Fleet, spool: &Spool, leaving: bool) -> Report {
        let now = crate::clock::now();
        let now_ms = self.now_ms();
        let idle_after_ms = u64::try_from(self.times.idle_after.as_millis()).unwrap_or(u64::MAX);
        let around = Circumstances { now, now_ms, idle_after_ms, leaving };
        let (elapsed, aged) = {
            let mut last = self.last_beat.lock();
            let elapsed = now_ms.saturating_sub(last.at_ms);
            last.at_ms = now_ms;
            (elapsed, last.mark.is_none_or(|mark| spool.is_booked(mark)))
        };
        let pinned = self.pinned(fleet, now);
        let accounts = self.accounts.pin();
        let mut entries = Vec::new();
        for (key, account) in &accounts {
            account.look_at_rate(elapsed);
            let unused = !pinned.contains(&Arc::as_ptr(account)) && account.idle_ms(now_ms) >= idle_after_ms;
            if (unused || account.is_over(now)) && account.retire() {
                accounts.remove(key);
                continue;
            }
            entries.push(Entry::new(account, around));
        }
        Report { entries, sent_ms: now_ms, aged }
    }

    /// Accounts that a bundle in force names.
    fn pinned(&self, fleet: &Fleet, now: DateTime<Utc>) -> HashSet<*const Account> {
        let slots = fleet.iter().flat_map(|policy| policy.budgets().fixed());
        slots.map(|slot| Arc::as_ptr(&self.fixed_account(slot, now))).collect()
    }

    fn apply(&self, report: &Report, reply: &HeartbeatReply, spool: &Spool) {
        for (entry, status) in report.entries.iter().zip(&reply.accounts) {
            if entry.closing {
                entry.account.apply_closed(status);
            } else {
                entry.account.apply(status, report.sent_ms);
            }
        }
        self.workers.store(reply.workers.max(1), Ordering::Relaxed);
        if report.aged {
            self.accounts.pin().values().for_each(|account| account.age_stray());
            self.last_beat.lock().mark = Some(spool.place());
        }
        if report.entries.iter().any(|entry| entry.account.has_waiters()) {
            self.desk.bell().notify_one();
        }
    }

    /// All leases are over: the control plane counts this as a new start of the worker.
    fn forget_leases(&self) {
        self.accounts.pin().values().for_each(|account| account.end_lease());
    }
}

impl Entry {
    fn new(account: &Arc<Account>, around: Circumstances) -> Self {
        let lease = account.lease();
        let unused = account.idle_ms(around.now_ms) >= around.idle_after_ms || account.is_over(around.now) || around.leaving;
        // Also where requests wait here: what is left is too little for the first of them, or it would not wait. If every worker kept such
        // a rest, all could be refused with money to spare.
        let given_back = match lease.as_ref() {
            Some(lease) if unused || account.is_recalled() => lease.drain(),
            _ => 0,
        };
        let closing = unused && lease.is_some() && account.reserved() == 0 && account.is_booked();
        let report = AccountReport {
            period: account.period().clone(),
            lease_id: lease.as_ref().map(|lease| Arc::clone(lease.id())),
            reserved: NanoUsd::from_nanos(account.reserved()),
            give_back: NanoUsd::from_nanos(given_back),
            close: closing,
        };
        Self { account: Arc::clone(account), closing, report }
    }
}

fn check(report: &Report, reply: HeartbeatReply) -> Result<HeartbeatReply, LinkError> {
    let matches = reply.enrol_again
        || (reply.accounts.len() == report.entries.len()
            && report.entries.iter().zip(&reply.accounts).all(|(entry, status)| entry.report.period == status.period));
    if matches { Ok(reply) } else { Err(LinkError::Unreadable { call: "heartbeat", source: "accounts do not answer the report".into() }) }
}
