//! Money that was spent, and money that workers may still spend: the one truth about budgets.
//!
//! Escrow. A worker leases a slice of what is left in a budget period, spends it without asking, and reports each exchange as an event.
//! One account (a row of `budget_periods`) is one period of one budget for one scope value; one lease belongs to one life of one worker
//! on one account.
//!
//! Invariant: after every grant, settled + Σ max(granted − booked, 0) over active leases ≤ cap. Settling can pass the cap only where a
//! provider billed more than was reserved, or where a lost worker's events arrive after their lease was given up.
//!
//! Locking: each operation is one transaction that locks all of its accounts first, in the order of their ids, and touches leases only
//! under the lock of their account. So operations can't deadlock, and SQLite and PostgreSQL behave alike (SQLite has one writer).
//!
//! A lost worker: its leases count until the worker is back and says that everything it had on disk is shipped; then the rest goes back.
//! Nobody knows of one that is only cut off how much it went on to spend, so its money is given to nobody else before a deadline (expiry +
//! the longest exchange + [`LeaseLimits::lost`]). A worker that is back and still shipping keeps its old leases from it.
//!
//! Messages of a worker are taken in in the order in which it sent them, or not at all, whichever control plane they reach.
//!
//! Leaves out: decisions. What to do at a cap is the engine's business; prices and periods are the policy crate's.

mod account;
mod accounts;
mod booking;
mod bulk;
mod feed;
mod heartbeat;
mod lease;
mod lost;
mod status;

pub use booking::BookError;
pub use feed::{BookedEvent, Feed};
pub use heartbeat::Beat;
pub use lease::LeaseError;
pub(crate) use lease::READY;
pub use status::{BudgetState, BudgetStatus, load_budget_statuses};

use chrono::TimeDelta;

use crate::clock::Clock;
use crate::database::Database;

/// How long leases last and workers may be silent.
#[derive(Debug, Clone, Copy)]
pub struct LeaseLimits {
    /// A lease is good for this long without renewal: so long workers can spend while the control plane is away.
    pub ttl: TimeDelta,
    /// A worker silent for longer counts as lost: it is not asked for money back, and gets no share of what is left.
    pub silence: TimeDelta,
    /// The longest an exchange may take: so long after its lease a worker that is cut off may still be spending.
    pub exchange: TimeDelta,
    /// How long after that the money of a lost worker is kept for the events that it has on its disk.
    pub lost: TimeDelta,
}

impl LeaseLimits {
    /// How long a lease that is over goes on to count, where nobody says what became of it.
    fn behind_expiry(&self) -> TimeDelta {
        self.exchange + self.lost
    }
}

impl Default for LeaseLimits {
    /// 15 minutes, 10 seconds, 10 minutes, a day.
    fn default() -> Self {
        Self { ttl: TimeDelta::minutes(15), silence: TimeDelta::seconds(10), exchange: TimeDelta::minutes(10), lost: TimeDelta::days(1) }
    }
}

/// Books events and grants leases.
#[derive(Debug)]
pub struct Ledger {
    database: Database,
    clock: Clock,
    limits: LeaseLimits,
    feed: Feed,
}

impl Ledger {
    /// A ledger over `database` that tells `feed` what it books.
    #[must_use]
    pub const fn new(database: Database, clock: Clock, limits: LeaseLimits, feed: Feed) -> Self {
        Self { database, clock, limits, feed }
    }

    /// How long leases last and workers may be silent.
    #[must_use]
    pub const fn limits(&self) -> LeaseLimits {
        self.limits
    }
}

#[cfg(test)]
mod tests;
