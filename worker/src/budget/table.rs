//! The budgets of one bundle, made ready for requests: by the bundle's own index, without a search for those with a fixed scope.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use policy::budget::{Calendar, Period};
use policy::bundle::v1::{Budget, Scope};
use policy::money::NanoUsd;
use policy::source::{AtCap, BudgetMode, PeriodKind};

use super::account::Account;

/// All budgets of one bundle.
#[derive(Debug)]
pub struct BudgetTable {
    slots: Vec<Slot>,
}

/// One budget.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) cap: NanoUsd,
    pub(super) at_cap: AtCap,
    pub(super) mode: BudgetMode,
    pub(super) kind: PeriodKind,
    /// Each end user or tag value has an account of its own.
    pub(super) per_value: bool,
    calendar: Calendar,
    period: ArcSwap<Period>,
    /// The account of this period, where there is only one.
    pub(super) fixed: ArcSwapOption<Account>,
}

impl BudgetTable {
    /// Reads the budgets of a bundle. Not for the request path.
    #[must_use]
    pub fn new(budgets: &[Budget]) -> Self {
        Self { slots: budgets.iter().map(Slot::new).collect() }
    }

    pub(super) fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(index).ok()?)
    }

    /// Budgets with one account only.
    pub(super) fn fixed(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.per_value)
    }
}

impl Slot {
    fn new(budget: &Budget) -> Self {
        // The compiler checked the zone; a bundle that names an unknown one all the same is counted in UTC rather than not at all.
        let time_zone: Tz = budget.time_zone.parse().unwrap_or(Tz::UTC);
        let calendar = Calendar { kind: budget.period, anchor_day: budget.anchor_day, time_zone };
        Self {
            id: Arc::clone(&budget.id),
            name: Arc::clone(&budget.name),
            cap: budget.cap,
            at_cap: budget.at_cap.clone(),
            mode: budget.mode,
            kind: budget.period,
            per_value: matches!(budget.scope, Scope::EachEndUser | Scope::EachTag(_)),
            calendar,
            // Covers nothing, so that the first request computes the real one.
            period: ArcSwap::from_pointee(Period { start: DateTime::<Utc>::MAX_UTC, end: None }),
            fixed: ArcSwapOption::empty(),
        }
    }

    /// Whether a request is refused when its worst case does not fit.
    pub(super) fn blocks(&self) -> bool {
        self.mode == BudgetMode::Enforce && self.at_cap == AtCap::Block
    }

    /// The period that `now` is in; computed once a period.
    pub(super) fn period_at(&self, now: DateTime<Utc>) -> Period {
        let period = **self.period.load();
        if period.start <= now && period.end.is_none_or(|end| now < end) {
            return period;
        }
        let period = self.calendar.period_at(now);
        self.period.store(Arc::new(period));
        period
    }
}
