//! Budgets as escrow: the worker spends from leases, with local atomics and no network on a request's path.
//!
//! An account is one period of one budget for one scope value. Accounts outlive bundles, so editing a budget never resets what was used.
//! Money of budgets that block is taken from a `lease`; what does not fit waits at the `desk`, the one place that asks the control
//! plane, for all short accounts of all waiting requests in one call. Budgets that only downgrade or warn, and those in shadow mode, are
//! counted and never refused here.
//!
//! Promises: reserved and spent never exceed what was granted, so that over all workers settled + reserved never exceeds the cap; every
//! reservation ends; waiting is bounded and first come, first served.
//!
//! When the control plane is away: what is leased can be spent until it expires; beyond that requests are refused, never let through.
//!
//! Leaves out: periods and prices, which are `policy`'s, and what a refused caller sees.

mod account;
mod desk;
mod lease;
mod report;
mod reservation;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use policy::budget::Period;
use policy::decision::{BudgetShortfall, Claim, DenialReason};
use policy::engine::BudgetView;
use policy::event::PeriodRef;
use policy::money::NanoUsd;
use policy::source::{AtCap, BudgetMode, PeriodKind};

use crate::clock;
use crate::config::LinkTimes;
use crate::link::{ControlPlane, Enrolment};
use crate::policy_feed::OrgPolicy;
use account::Account;
use desk::Desk;
use report::LastBeat;
use reservation::Held;
pub use reservation::Reservation;
pub use table::BudgetTable;
use table::Slot;

/// How often an account that was retired in the same instant is looked up again before giving up.
const LOOK_UPS: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AccountKey {
    budget_id: Arc<str>,
    scope_value: Arc<str>,
    /// Seconds since 1970.
    start: i64,
}

/// All accounts of this worker.
pub struct Budgets {
    accounts: papaya::HashMap<AccountKey, Arc<Account>>,
    desk: Desk,
    link: Arc<dyn ControlPlane>,
    enrolment: Arc<Enrolment>,
    times: LinkTimes,
    started: Instant,
    leaks: Arc<AtomicU64>,
    /// Held during every call that speaks about leases: they are numbered, and their answers applied, in the order they were made.
    line: tokio::sync::Mutex<Messages>,
    workers: AtomicU32,
    /// When the control plane last answered a heartbeat.
    heard_ms: AtomicU64,
    last_beat: Mutex<LastBeat>,
}

/// Numbers the calls that speak about leases.
#[derive(Debug, Default)]
struct Messages {
    last: u64,
}

impl Messages {
    fn next(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }
}

/// How one budget stands, for response headers and error bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Budget name.
    pub name: Arc<str>,
    /// The cap of the period.
    pub cap: NanoUsd,
    /// Settled and reserved.
    pub used: NanoUsd,
    /// What happens at the cap.
    pub at_cap: AtCap,
    /// Acts or watches.
    pub mode: BudgetMode,
    /// Kind of period.
    pub period: PeriodKind,
    /// When the next one starts; none for `total`.
    pub resets_at: Option<DateTime<Utc>>,
}

impl AccountView {
    /// What is left, never below zero.
    #[must_use]
    pub fn remaining(&self) -> NanoUsd {
        self.cap.saturating_sub(self.used).max(NanoUsd::ZERO)
    }
}

/// What the fast path came to.
enum Taken {
    Held(Held),
    /// A blocking account's lease is short.
    Short,
    /// A claim that this bundle knows no budget for, or an account that can't be had: refuse.
    Unknown,
}

impl Budgets {
    /// No accounts yet. [`Budgets::serve`] has to run for requests to get money.
    #[must_use]
    pub fn new(link: Arc<dyn ControlPlane>, enrolment: Arc<Enrolment>, times: LinkTimes) -> Arc<Self> {
        Arc::new(Self {
            accounts: papaya::HashMap::new(),
            desk: Desk::default(),
            link,
            enrolment,
            times,
            started: clock::instant(),
            leaks: Arc::new(AtomicU64::new(0)),
            line: tokio::sync::Mutex::default(),
            workers: AtomicU32::new(1),
            heard_ms: AtomicU64::new(0),
            last_beat: Mutex::default(),
        })
    }

    /// What the engine may ask of money, at `now`.
    pub fn view<'a>(&'a self, policy: &'a OrgPolicy, now: DateTime<Utc>) -> impl BudgetView + 'a {
        View { budgets: self, table: policy.budgets(), now }
    }

    /// Holds `amount` in every claimed budget.
    ///
    /// Without a wait where the leases suffice. Otherwise the request waits, at most [`LinkTimes::lease_wait`], for one shared call.
    ///
    /// # Errors
    /// The budget whose money does not suffice, or that it can't be known because the control plane is away.
    pub async fn reserve(
        &self,
        policy: &Arc<OrgPolicy>,
        claims: &[Claim],
        amount: NanoUsd,
        now: DateTime<Utc>,
    ) -> Result<Reservation, DenialReason> {
        self.reserve_in(policy.budgets(), claims, amount, now).await
    }

    async fn reserve_in(
        &self,
        table: &BudgetTable,
        claims: &[Claim],
        amount: NanoUsd,
        now: DateTime<Utc>,
    ) -> Result<Reservation, DenialReason> {
        let amount = amount.nanos().max(0);
        match self.take(table, claims, amount, now) {
            Taken::Held(held) => Ok(Reservation::new(held, &self.leaks)),
            Taken::Short => Box::pin(self.wait_for_money(table, claims, amount, now)).await,
            Taken::Unknown => Err(DenialReason::BudgetUnavailable),
        }
    }

    /// Makes sure that the control plane was asked at least once about every claimed account, waiting a moment if it was not.
    ///
    /// Answers whether something was learnt: then a decision made before is worth making again. Costs nothing where all is known.
    pub async fn learn(&self, policy: &Arc<OrgPolicy>, claims: &[Claim], now: DateTime<Utc>) -> bool {
        self.learn_in(policy.budgets(), claims, now).await
    }

    async fn learn_in(&self, table: &BudgetTable, claims: &[Claim], now: DateTime<Utc>) -> bool {
        let unknown = self.unknown(table, claims, now);
        if unknown.is_empty() {
            return false;
        }
        let learnt = unknown.clone();
        Box::pin(self.desk.inquire(unknown, self.times.call_timeout)).await;
        learnt.iter().any(|account| account.is_known())
    }

    /// How one budget stands. `None` for a claim that the policy has no budget for.
    #[must_use]
    pub fn status(&self, policy: &Arc<OrgPolicy>, claim: &Claim, now: DateTime<Utc>) -> Option<AccountView> {
        self.status_in(policy.budgets(), claim, now)
    }

    fn status_in(&self, table: &BudgetTable, claim: &Claim, now: DateTime<Utc>) -> Option<AccountView> {
        let slot = table.slot(claim.budget)?;
        Some(self.with_account(slot, claim, now, |account| AccountView {
            name: Arc::clone(&slot.name),
            cap: slot.cap,
            used: account.used(),
            at_cap: slot.at_cap.clone(),
            mode: slot.mode,
            period: slot.kind,
            resets_at: account.as_period().end,
        }))
    }

    /// What is used of one budget, and its cap. As [`Budgets::status`], for who compares many.
    #[must_use]
    pub fn standing(&self, policy: &Arc<OrgPolicy>, claim: &Claim, now: DateTime<Utc>) -> Option<(NanoUsd, NanoUsd)> {
        let slot = policy.budgets().slot(claim.budget)?;
        Some((self.with_account(slot, claim, now, |account| account.used()), slot.cap))
    }

    /// Takes in a bundle that was just applied: asks how its budgets stand before a request does.
    pub fn adopt(&self, policy: &OrgPolicy) {
        let now = clock::now();
        let accounts = policy.budgets().fixed().map(|slot| self.fixed_account(slot, now));
        let accounts: Vec<_> = accounts.inspect(|account| account.forget_refusal()).filter(|account| !account.is_known()).collect();
        self.desk.ask_about(accounts);
    }

    /// Reservations that were dropped without an end, since the start. Anything but zero is a defect.
    #[must_use]
    pub fn leaks(&self) -> u64 {
        self.leaks.load(Ordering::Relaxed)
    }

    /// Workers alive, this one included, as the control plane last said; at least 1.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.workers.load(Ordering::Relaxed).max(1)
    }

    /// Milliseconds of this worker's own clock, which never goes back.
    fn now_ms(&self) -> u64 {
        u64::try_from(clock::instant().saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// Tries to hold `amount` everywhere, without waiting.
    fn take(&self, table: &BudgetTable, claims: &[Claim], amount: i64, now: DateTime<Utc>) -> Taken {
        let mut held = Held::new(amount, self.desk.bell());
        let now_ms = self.now_ms();
        for claim in claims {
            let Some(slot) = table.slot(claim.budget) else { return Taken::Unknown };
            let mut entered = false;
            for _ in 0..LOOK_UPS {
                let account = self.account(slot, claim, now);
                account.touch(now_ms);
                let lease = if slot.blocks() {
                    match take_from(&account, amount, now_ms) {
                        Ok(lease) => lease,
                        Err(()) => return Taken::Short,
                    }
                } else {
                    None
                };
                if held.add(account, lease) {
                    entered = true;
                    break;
                }
            }
            if !entered {
                return Taken::Unknown;
            }
        }
        Taken::Held(held)
    }

    /// The slow path: in line at the desk.
    async fn wait_for_money(
        &self,
        table: &BudgetTable,
        claims: &[Claim],
        amount: i64,
        now: DateTime<Utc>,
    ) -> Result<Reservation, DenialReason> {
        let deadline = clock::instant().checked_add(self.times.lease_wait).unwrap_or_else(clock::instant);
        let mut blocking = Vec::new();
        for claim in claims {
            let slot = table.slot(claim.budget).ok_or(DenialReason::BudgetUnavailable)?;
            if slot.blocks() {
                blocking.push((slot, self.account(slot, claim, now)));
            }
        }
        let now_ms = self.now_ms();
        if let Some((slot, account)) = blocking.iter().find(|(_, account)| !account.has_waiters() && account.was_refused(amount, now_ms)) {
            return Err(shortfall(slot, account));
        }
        let accounts = blocking.iter().map(|(_, account)| Arc::clone(account)).collect();
        let mut held = match self.desk.wait_in_line(accounts, amount, deadline).await {
            Ok(held) => held,
            Err(desk::Turned::Away(account)) => {
                let short = blocking.iter().find(|(_, have)| Arc::ptr_eq(have, &account));
                return Err(short.map_or(DenialReason::BudgetUnavailable, |(slot, account)| shortfall(slot, account)));
            }
            Err(desk::Turned::Unavailable) => return Err(DenialReason::BudgetUnavailable),
        };
        for claim in claims {
            let Some(slot) = table.slot(claim.budget) else { continue };
            if !slot.blocks() && !held.add(self.account(slot, claim, now), None) {
                // Retired in this instant; a second look finds the one in its place.
                held.add(self.account(slot, claim, now), None);
            }
        }
        Ok(Reservation::new(held, &self.leaks))
    }

    /// Claimed accounts that the control plane was never asked about.
    fn unknown(&self, table: &BudgetTable, claims: &[Claim], now: DateTime<Utc>) -> Vec<Arc<Account>> {
        let slots = claims.iter().filter_map(|claim| Some((table.slot(claim.budget)?, claim)));
        let unknown = |account: &Arc<Account>| (!account.is_known()).then(|| Arc::clone(account));
        slots.filter_map(|(slot, claim)| self.with_account(slot, claim, now, unknown)).collect()
    }

    /// Looks at the account of `claim` at `now`; without counting a reference, where it is the only one of its budget.
    fn with_account<R>(&self, slot: &Slot, claim: &Claim, now: DateTime<Utc>, look: impl FnOnce(&Arc<Account>) -> R) -> R {
        let fixed = slot.fixed.load();
        match fixed.as_ref().filter(|account| account.covers(now) && !account.is_retired()) {
            Some(account) => look(account),
            None => look(&self.account(slot, claim, now)),
        }
    }

    /// The account of `claim` at `now`.
    fn account(&self, slot: &Slot, claim: &Claim, now: DateTime<Utc>) -> Arc<Account> {
        if slot.per_value {
            let period = slot.period_at(now);
            return self.find_or_create(slot, &claim.scope_value, period);
        }
        self.fixed_account(slot, now)
    }

    fn fixed_account(&self, slot: &Slot, now: DateTime<Utc>) -> Arc<Account> {
        if let Some(account) = slot.fixed.load().as_ref().filter(|account| account.covers(now) && !account.is_retired()) {
            return Arc::clone(account);
        }
        let account = self.find_or_create(slot, &Arc::default(), slot.period_at(now));
        slot.fixed.store(Some(Arc::clone(&account)));
        account
    }

    fn find_or_create(&self, slot: &Slot, scope_value: &Arc<str>, period: Period) -> Arc<Account> {
        let key = AccountKey { budget_id: Arc::clone(&slot.id), scope_value: Arc::clone(scope_value), start: period.start.timestamp() };
        let accounts = self.accounts.pin();
        if let Some(account) = accounts.get(&key).filter(|account| !account.is_retired()) {
            return Arc::clone(account);
        }
        let create = || {
            let reference = PeriodRef { budget_id: Arc::clone(&slot.id), scope_value: Arc::clone(scope_value), start: period.start };
            Arc::new(Account::new(reference, period.end, self.now_ms()))
        };
        // Whoever retires an account removes it right after; until then it gives way to a new one here.
        Arc::clone(accounts.update_or_insert_with(key, |have| if have.is_retired() { create() } else { Arc::clone(have) }, create))
    }
}

/// Takes `amount` from the account's lease; an error means that it is short.
fn take_from(account: &Account, amount: i64, now_ms: u64) -> Result<Option<Arc<lease::Lease>>, ()> {
    let lease = account.lease();
    if amount == 0 {
        return Ok(lease.as_ref().map(Arc::clone));
    }
    // Those who wait were here first.
    if account.has_waiters() {
        return Err(());
    }
    match lease.as_ref() {
        Some(lease) if lease.take(amount, now_ms) => Ok(Some(Arc::clone(lease))),
        _ => Err(()),
    }
}

fn shortfall(slot: &Slot, account: &Account) -> DenialReason {
    DenialReason::Budget(BudgetShortfall {
        name: Arc::clone(&slot.name),
        spend: account.used(),
        cap: slot.cap,
        period: slot.kind,
        resets_at: account.as_period().end,
    })
}

/// Money as the engine sees it.
struct View<'a> {
    budgets: &'a Budgets,
    table: &'a BudgetTable,
    now: DateTime<Utc>,
}

impl BudgetView for View<'_> {
    fn used(&self, claim: &Claim) -> NanoUsd {
        // A claim without a budget can't be: were it one, it counts as used up.
        let Some(slot) = self.table.slot(claim.budget) else { return NanoUsd::MAX };
        self.budgets.with_account(slot, claim, self.now, |account| account.used())
    }
}

#[cfg(test)]
mod tests;
