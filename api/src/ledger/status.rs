#![expect(clippy::disallowed_methods, reason = "rows of budgets that the caller was allowed to see, found by their ids")]
//! How budgets stand right now, for people.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::{budget, budget_period, lease};
use policy::budget::Period;
use policy::money::NanoUsd;
use policy::source::{AtCap, Fraction};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use super::account::{nano, unspent};
use super::accounts::{calendar, pieces};
use super::lease::load_live_workers;
use super::{LeaseLimits, Ledger};

/// How close to its cap a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetState {
    /// Below every threshold.
    Ok,
    /// A threshold was reached.
    Warning,
    /// Requests are sent to a cheaper route.
    Downgraded,
    /// The cap was reached.
    Exhausted,
}

impl BudgetState {
    /// The word in the interface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Downgraded => "downgraded",
            Self::Exhausted => "exhausted",
        }
    }
}

/// How a budget stands in its present period. A budget that counts each value on its own shows sums of money, and the share and state of
/// the value that is closest to its cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetStatus {
    /// Start of the present period.
    pub period_start: DateTime<Utc>,
    /// Start of the next one; none for `total`.
    pub resets_at: Option<DateTime<Utc>>,
    /// The cap.
    pub cap: NanoUsd,
    /// Booked.
    pub settled: NanoUsd,
    /// Held by requests in flight, as live workers last reported.
    pub reserved: NanoUsd,
    /// Held by workers beyond that; everything that lost workers hold.
    pub leased: NanoUsd,
    /// Settled and reserved as a share of the cap.
    pub used: Fraction,
    /// How close to the cap.
    pub state: BudgetState,
}

impl BudgetStatus {
    const fn unused(period: Period, cap: NanoUsd) -> Self {
        Self {
            period_start: period.start,
            resets_at: period.end,
            cap,
            settled: NanoUsd::ZERO,
            reserved: NanoUsd::ZERO,
            leased: NanoUsd::ZERO,
            used: Fraction::from_ppm(0),
            state: BudgetState::Ok,
        }
    }
}

impl Ledger {
    /// [`load_budget_statuses`] at this ledger's time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn budget_statuses(&self, budgets: &[budget::Model]) -> Result<HashMap<String, BudgetStatus>, DbErr> {
        load_budget_statuses(self.database.read(), self.clock.now(), self.limits, budgets).await
    }
}

/// How `budgets` stand at `now`, by id, in three queries however many there are.
///
/// # Errors
/// When the database does not answer.
pub async fn load_budget_statuses(
    connection: &impl ConnectionTrait,
    now: DateTime<Utc>,
    limits: LeaseLimits,
    budgets: &[budget::Model],
) -> Result<HashMap<String, BudgetStatus>, DbErr> {
    let mut statuses = HashMap::new();
    let mut by_id = HashMap::new();
    for budget in budgets {
        if let Some(calendar) = calendar(budget) {
            statuses.insert(budget.id.clone(), BudgetStatus::unused(calendar.period_at(now), nano(budget.cap_nano)));
            by_id.insert(budget.id.as_str(), budget);
        }
    }
    let live = load_live_workers(connection, now, limits).await?;
    for some in pieces(by_id.keys().copied()) {
        let starts: HashSet<DateTime<Utc>> = statuses.values().map(|status| status.period_start).collect();
        let periods = budget_period::Entity::find()
            .filter(budget_period::Column::BudgetId.is_in(some))
            .filter(budget_period::Column::PeriodStart.is_in(starts))
            .all(connection)
            .await?;
        let leases = load_leases(connection, &periods).await?;
        for period in periods {
            let (Some(status), Some(budget)) = (statuses.get_mut(&period.budget_id), by_id.get(period.budget_id.as_str())) else {
                continue;
            };
            if status.period_start == period.period_start {
                add_account(status, budget, &period, leases.get(&period.id).map_or(&[], Vec::as_slice), &live);
            }
        }
    }
    Ok(statuses)
}

/// Active leases by account.
async fn load_leases(
    connection: &impl ConnectionTrait,
    periods: &[budget_period::Model],
) -> Result<HashMap<String, Vec<lease::Model>>, DbErr> {
    let mut leases: HashMap<String, Vec<lease::Model>> = HashMap::new();
    for some in pieces(periods.iter().map(|period| period.id.as_str())) {
        let rows = lease::Entity::find()
            .filter(lease::Column::BudgetPeriodId.is_in(some))
            .filter(lease::Column::State.eq(lease::State::Active))
            .all(connection)
            .await?;
        for row in rows {
            leases.entry(row.budget_period_id.clone()).or_default().push(row);
        }
    }
    Ok(leases)
}

fn add_account(
    status: &mut BudgetStatus,
    budget: &budget::Model,
    period: &budget_period::Model,
    leases: &[lease::Model],
    live: &HashSet<String>,
) {
    let settled = nano(period.settled_nano);
    let mut reserved = NanoUsd::ZERO;
    let mut leased = NanoUsd::ZERO;
    for lease in leases {
        let in_use = if live.contains(&lease.worker_id) { nano(lease.reserved_nano) } else { NanoUsd::ZERO };
        reserved = reserved.saturating_add(in_use);
        leased = leased.saturating_add(unspent(lease).saturating_sub(in_use).max(NanoUsd::ZERO));
    }
    status.settled = status.settled.saturating_add(settled);
    status.reserved = status.reserved.saturating_add(reserved);
    status.leased = status.leased.saturating_add(leased);
    let used = settled.saturating_add(reserved);
    let share = share_of(used, nano(budget.cap_nano));
    if share >= status.used {
        status.used = share;
        status.state = state_of(budget, used);
    }
}

/// In parts per million; a cap of zero is always used up.
fn share_of(used: NanoUsd, cap: NanoUsd) -> Fraction {
    let ppm = i128::from(used.nanos()).saturating_mul(1_000_000).checked_div(i128::from(cap.nanos())).unwrap_or(1_000_000);
    Fraction::from_ppm(u32::try_from(ppm.max(0)).unwrap_or(u32::MAX))
}

fn state_of(budget: &budget::Model, used: NanoUsd) -> BudgetState {
    let cap = nano(budget.cap_nano);
    let at_cap: AtCap = serde_json::from_value(budget.at_cap.clone()).unwrap_or_default();
    let downgrade_at = Fraction::from_ppm(u32::try_from(budget.downgrade_at_ppm).unwrap_or(u32::MAX));
    let thresholds: Vec<Fraction> = serde_json::from_value(budget.thresholds.clone()).unwrap_or_default();
    if matches!(at_cap, AtCap::Downgrade(_)) && downgrade_at.reached_by(used, cap) {
        return BudgetState::Downgraded;
    }
    if used >= cap {
        return BudgetState::Exhausted;
    }
    if thresholds.iter().any(|threshold| threshold.reached_by(used, cap)) { BudgetState::Warning } else { BudgetState::Ok }
}
