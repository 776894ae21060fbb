//! Periods: every instant is in exactly one, whatever the zone.

use proptest::prelude::*;

use super::*;

fn calendar(kind: PeriodKind, anchor_day: u32, time_zone: Tz) -> Calendar {
    Calendar { kind, anchor_day, time_zone }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_month_starts_at_local_midnight_of_its_anchor_day() {
    let period = calendar(PeriodKind::Monthly, 15, chrono_tz::Europe::Berlin).period_at(at("2026-11-14T23:30:00Z"));
    assert_eq!(period.start, at("2026-11-14T23:00:00Z"));
    assert_eq!(period.end, Some(at("2026-12-14T23:00:00Z")));
}

#[test]
fn a_day_in_which_the_clocks_change_is_23_or_25_hours_long() {
    let daily = calendar(PeriodKind::Daily, 1, chrono_tz::Europe::Berlin);
    let hours = |now: &str| {
        let period = daily.period_at(at(now));
        (period.end.unwrap() - period.start).num_hours()
    };
    assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
    assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
}

#[test]
fn where_midnight_is_skipped_the_day_starts_after_the_gap() {
    let daily = calendar(PeriodKind::Daily, 1, chrono_tz::America::Sao_Paulo);
    assert_eq!(daily.period_at(at("2018-11-04T12:00:00Z")).start, at("2018-11-04T03:00:00Z"));
}

#[test]
fn weeks_quarters_and_years_follow_their_anchor() {
    let start = |kind, anchor| calendar(kind, anchor, Tz::UTC).period_at(at("2026-11-22T10:00:00Z")).start;
    assert_eq!(start(PeriodKind::Weekly, 1), at("2026-11-16T00:00:00Z"));
    assert_eq!(start(PeriodKind::Weekly, 7), at("2026-11-22T00:00:00Z"));
    assert_eq!(start(PeriodKind::Quarterly, 1), at("2026-10-01T00:00:00Z"));
    assert_eq!(start(PeriodKind::Yearly, 1), at("2026-01-01T00:00:00Z"));
    assert_eq!(start(PeriodKind::Total, 1), DateTime::UNIX_EPOCH);
}

/// In Newfoundland clocks went back at a minute past midnight.
#[test]
fn a_day_that_began_goes_on_where_clocks_go_back_over_its_midnight() {
    let daily = calendar(PeriodKind::Daily, 1, chrono_tz::America::St_Johns);
    let period = daily.period_at(at("2010-11-07T02:45:00Z"));
    assert_eq!((period.start, period.end), (at("2010-11-07T02:30:00Z"), Some(at("2010-11-08T03:30:00Z"))));
    assert_eq!(daily.period_at(at("2010-11-07T02:29:59Z")).end, Some(period.start));
}

proptest! {
    #[test]
    fn periods_contain_their_instant_and_join_without_gap(
        seconds in 0_i64..4_000_000_000,
        kind in 0_usize..5,
        anchor in 1_u32..29,
        zone in 0_usize..chrono_tz::TZ_VARIANTS.len(),
    ) {
        let kinds = [PeriodKind::Daily, PeriodKind::Weekly, PeriodKind::Monthly, PeriodKind::Quarterly, PeriodKind::Yearly];
        let calendar = calendar(kinds[kind], anchor, chrono_tz::TZ_VARIANTS[zone]);
        let now = DateTime::from_timestamp(seconds, 0).unwrap();
        let period = calendar.period_at(now);
        let end = period.end.unwrap();
        prop_assert!(period.start <= now && now < end);
        prop_assert_eq!(calendar.period_at(end).start, end);
        prop_assert_eq!(calendar.period_at(end.checked_sub_signed(TimeDelta::seconds(1)).unwrap()), period);
    }
}
