//! Budget periods: when one starts and ends, in the budget's own time zone.
//!
//! Periods start at local midnight of their anchor day. Where daylight saving skips that midnight, the period starts at the first instant
//! after it; where midnight comes twice, at the first of the two. Both planes compute periods with this code from the budget in the
//! bundle, so they agree on the name of a period without asking each other.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::source::PeriodKind;

/// One period: from `start` until just before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First instant.
    pub start: DateTime<Utc>,
    /// First instant after it; none for `total`.
    pub end: Option<DateTime<Utc>>,
}

/// How the periods of a budget follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// How long.
    pub kind: PeriodKind,
    /// First day: 1 (Monday) to 7 for weekly, 1 to 28 for longer ones.
    pub anchor_day: u32,
    /// Where midnight is.
    pub time_zone: Tz,
}

impl Calendar {
    /// The period that `now` is in.
    #[must_use]
    pub fn period_at(&self, now: DateTime<Utc>) -> Period {
        if self.kind == PeriodKind::Total {
            return Period { start: DateTime::UNIX_EPOCH, end: None };
        }
        let today = now.with_timezone(&self.time_zone).date_naive();
        let mut first = self.first_day(today);
        // The local date can be ahead of the period's first instant only where midnight was skipped.
        if self.midnight(first) > now {
            first = self.first_day(first.checked_sub_days(Days::new(1)).unwrap_or(first));
        }
        // And behind its end only where clocks went back over midnight: that day has begun, and what it says again of the one before is in it.
        if self.midnight(self.next(first)) <= now {
            first = self.next(first);
        }
        Period { start: self.midnight(first), end: Some(self.midnight(self.next(first))) }
    }

    /// The first day of the period that `day` is in.
    fn first_day(&self, day: NaiveDate) -> NaiveDate {
        let months_back = |anchor_months: u32| {
            let anchor = self.anchor_day.clamp(1, 28);
            let in_month = day.with_day(anchor).unwrap_or(day);
            let month = if day.day() >= anchor { in_month } else { in_month.checked_sub_months(Months::new(1)).unwrap_or(in_month) };
            let behind = month.month0().checked_rem(anchor_months).unwrap_or(0);
            month.checked_sub_months(Months::new(behind)).unwrap_or(month)
        };
        match self.kind {
            PeriodKind::Daily | PeriodKind::Total => day,
            PeriodKind::Weekly => {
                let anchor = self.anchor_day.clamp(1, 7).saturating_sub(1);
                let behind = day.weekday().num_days_from_monday().saturating_add(7).saturating_sub(anchor).checked_rem(7).unwrap_or(0);
                day.checked_sub_days(Days::new(u64::from(behind))).unwrap_or(day)
            }
            PeriodKind::Monthly => months_back(1),
            PeriodKind::Quarterly => months_back(3),
            PeriodKind::Yearly => months_back(12),
        }
    }

    /// The first day of the period after the one that starts on `first`.
    fn next(&self, first: NaiveDate) -> NaiveDate {
        let months = |count: u32| first.checked_add_months(Months::new(count)).unwrap_or(NaiveDate::MAX);
        match self.kind {
            PeriodKind::Daily | PeriodKind::Total => first.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX),
            PeriodKind::Weekly => first.checked_add_days(Days::new(7)).unwrap_or(NaiveDate::MAX),
            PeriodKind::Monthly => months(1),
            PeriodKind::Quarterly => months(3),
            PeriodKind::Yearly => months(12),
        }
    }

    /// The first instant of a local day.
    fn midnight(&self, day: NaiveDate) -> DateTime<Utc> {
        let mut local = day.and_time(NaiveTime::MIN);
        // No zone has ever skipped more than a day; half-hour steps find the end of any gap.
        for _ in 0..=48 {
            if let Some(instant) = self.time_zone.from_local_datetime(&local).earliest() {
                return instant.with_timezone(&Utc);
            }
            local = local.checked_add_signed(TimeDelta::minutes(30)).unwrap_or(local);
        }
        local.and_utc()
    }
}

#[cfg(test)]
mod tests;
