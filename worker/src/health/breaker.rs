//! The circuit breaker of one target, or of all targets of a provider that is checked.
//!
//! Behaviour: closed, requests go through and their outcomes are watched. Open, the target rests, and whoever has another one takes that.
//! After its rest it is half-open: one request at a time goes through as a probe; while it is on its way the target still counts as open.
//!
//! Why this way: outcomes of the requests that flow anyway cost nothing and are about what callers need. An address that answers a check of
//! our own says nothing about a model; one that does not says enough about all models behind it, which is what [`Breaker::hold`] is for.
//!
//! Conditions: it opens after [`STREAK`] failures in a row, or when of the last outcomes ([`LEAST`] to 32 of them) half are failures. A
//! failure is no answer, a broken or late one, one that is none or not whole, 5xx or 429; a stream is a success when it has ended; a refusal of the request itself (any other 4xx) is neither failure nor success.
//!
//! Cold start: closed. Outcomes are counted from the first failure on, and no more once 32 successes have followed the last one, so that a
//! healthy target costs one load for each request.
//!
//! Recovery: the first success closes it, whoever had it, and forgets everything. A probe that fails begins another rest, twice as long as the last
//! one: 5, 10, 20, 40, then 60 seconds. A probe of which nothing is heard (its caller left, the provider refused the request) makes room
//! for the next one after [`PROBE_LIMIT`].
//!
//! Checks: a failed one opens it until the next check has had its time ([`Breaker::hold`]), so that no request is spent on finding out; a good
//! one ends its rest or makes room for another probe ([`Breaker::wake`]). What closes it is a request.
//!
//! Special cases: where all targets of a request are open, it goes through as if there were no breakers; a failure then changes nothing. Each
//! worker has its own breakers, and none outlives it.
//!
//! Pure: times are milliseconds that the caller brings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many failures in a row open it.
const STREAK: u32 = 5;
/// Outcomes of which half may open it, at least.
const LEAST: u32 = 20;
/// Outcomes that are remembered.
const WINDOW: u32 = u32::BITS;
/// The first rest, in milliseconds; each further one is twice as long.
const REST_MS: u64 = 5_000;
/// The longest one.
const LONGEST_REST_MS: u64 = 60_000;
/// So long a probe may take until another one is let through, in milliseconds.
pub(super) const PROBE_LIMIT: u64 = 30_000;

/// What a breaker makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It goes through.
    Closed,
    /// It may go through and find out, if it is the only one.
    HalfOpen,
    /// Another target is to be taken.
    Open,
}

/// What an outcome changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    Opened,
    Recovered,
}

/// The breaker of one target.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// False as long as there is nothing to look up in `state`.
    troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed(Outcomes),
    Open { until: u64, rests: u32 },
    Probing { until: u64, rests: u32 },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Outcomes::default())
    }
}

/// The last outcomes, a bit each, the latest lowest; 1 is a failure.
#[derive(Debug, Clone, Copy, Default)]
struct Outcomes {
    bits: u32,
    seen: u32,
}

impl Outcomes {
    fn push(&mut self, failed: bool) {
        self.bits = (self.bits << 1) | u32::from(failed);
        self.seen = (self.seen + 1).min(WINDOW);
    }

    /// Whether they say that the target is broken.
    fn are_bad(self) -> bool {
        let half = self.seen >= LEAST && self.bits.count_ones() * 2 >= self.seen;
        half || self.bits.trailing_ones() >= STREAK
    }
}

impl Breaker {
    /// How it stands at `now`.
    pub(super) fn standing(&self, now: u64) -> Standing {
        if !self.troubled.load(Ordering::Relaxed) {
            return Standing::Closed;
        }
        standing(*self.lock(), now)
    }

    /// The same, for a request that will go through: where it is half-open, that request is the probe and others see it open.
    pub(super) fn enter(&self, now: u64) -> Standing {
        if !self.troubled.load(Ordering::Relaxed) {
            return Standing::Closed;
        }
        let mut state = self.lock();
        let standing = standing(*state, now);
        if let (Standing::HalfOpen, State::Open { rests, .. } | State::Probing { rests, .. }) = (standing, *state) {
            *state = State::Probing { until: now.saturating_add(PROBE_LIMIT), rests };
        }
        standing
    }

    /// The target answered.
    pub(super) fn succeeded(&self) -> Change {
        if !self.troubled.load(Ordering::Relaxed) {
            return Change::Nothing;
        }
        let mut state = self.lock();
        match &mut *state {
            State::Closed(outcomes) => {
                outcomes.push(false);
                if outcomes.bits == 0 {
                    *state = State::default();
                    self.troubled.store(false, Ordering::Relaxed);
                }
                Change::Nothing
            }
            State::Open { .. } | State::Probing { .. } => {
                *state = State::default();
                self.troubled.store(false, Ordering::Relaxed);
                Change::Recovered
            }
        }
    }

    /// The target failed at `now`.
    pub(super) fn failed(&self, now: u64) -> Change {
        let mut state = self.lock();
        self.troubled.store(true, Ordering::Relaxed);
        match &mut *state {
            State::Closed(outcomes) => {
                outcomes.push(true);
                if !outcomes.are_bad() {
                    return Change::Nothing;
                }
                *state = State::Open { until: now.saturating_add(REST_MS), rests: 1 };
                Change::Opened
            }
            State::Probing { rests, .. } => {
                let rest = REST_MS.checked_shl(*rests).unwrap_or(LONGEST_REST_MS).min(LONGEST_REST_MS);
                *state = State::Open { until: now.saturating_add(rest), rests: rests.saturating_add(1).min(8) };
                Change::Nothing
            }
            State::Open { .. } => Change::Nothing,
        }
    }

    /// A check of our own failed: it rests until `until` at least, however it stood.
    pub(super) fn hold(&self, until: u64) -> Change {
        let mut state = self.lock();
        self.troubled.store(true, Ordering::Relaxed);
        let (held, change) = match *state {
            State::Closed(_) => (State::Open { until, rests: 1 }, Change::Opened),
            State::Open { until: before, rests } => (State::Open { until: until.max(before), rests }, Change::Nothing),
            State::Probing { rests, .. } => (State::Open { until, rests }, Change::Nothing),
        };
        *state = held;
        change
    }

    /// A check of our own was good at `now`: where it is not closed, the next request may find out. Answers whether it was not.
    pub(super) fn wake(&self, now: u64) -> bool {
        if !self.troubled.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        match *state {
            State::Closed(_) => false,
            State::Open { until, rests } | State::Probing { until, rests } => {
                *state = State::Open { until: until.min(now), rests };
                true
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and half a change would be a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(state: State, now: u64) -> Standing {
    match state {
        State::Closed(_) => Standing::Closed,
        State::Open { until, .. } | State::Probing { until, .. } if now >= until => Standing::HalfOpen,
        State::Open { .. } | State::Probing { .. } => Standing::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        for _ in 1..STREAK {
            assert_eq!(breaker.failed(0), Change::Nothing);
        }
        assert_eq!(breaker.failed(0), Change::Opened);
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_success_between_them_does_not() {
        let breaker = Breaker::default();
        for _ in 0..4 {
            breaker.failed(0);
        }
        assert_eq!(breaker.succeeded(), Change::Nothing);
        assert_eq!(breaker.failed(0), Change::Nothing);
        assert_eq!(breaker.standing(0), Standing::Closed);
        assert_eq!(opened().standing(0), Standing::Open);
    }

    #[test]
    fn half_of_the_last_outcomes_failing_opens_it() {
        let breaker = Breaker::default();
        let changes: Vec<Change> = (0..20).map(|at| if at % 2 == 0 { breaker.failed(0) } else { breaker.succeeded() }).collect();
        assert!(changes.iter().all(|change| *change == Change::Nothing), "{changes:?}");
        assert_eq!(breaker.failed(0), Change::Opened);
        // One in three is not enough, however long it goes on.
        let breaker = Breaker::default();
        for at in 0..300 {
            if at % 3 == 0 {
                breaker.failed(0);
            } else {
                breaker.succeeded();
            }
        }
        assert_eq!(breaker.standing(0), Standing::Closed);
    }

    #[test]
    fn after_its_rest_one_probe_goes_through_and_a_success_closes_it() {
        let breaker = opened();
        assert_eq!((breaker.standing(4_999), breaker.standing(5_000)), (Standing::Open, Standing::HalfOpen));
        assert_eq!(breaker.enter(5_000), Standing::HalfOpen);
        assert_eq!(breaker.enter(5_000), Standing::Open, "the probe is on its way");
        assert_eq!(breaker.succeeded(), Change::Recovered);
        assert_eq!(breaker.enter(5_001), Standing::Closed);
        // Nothing is held against it.
        for _ in 0..4 {
            assert_eq!(breaker.failed(5_002), Change::Nothing);
        }
    }

    #[test]
    fn each_failed_probe_doubles_the_rest_up_to_a_minute() {
        let breaker = opened();
        let mut now = 5_000;
        for rest in [10_000, 20_000, 40_000, 60_000, 60_000] {
            assert_eq!(breaker.enter(now), Standing::HalfOpen);
            breaker.failed(now);
            assert_eq!(breaker.standing(now + rest - 1), Standing::Open, "{rest}");
            now += rest;
            assert_eq!(breaker.standing(now), Standing::HalfOpen, "{rest}");
        }
    }

    #[test]
    fn a_probe_of_which_nothing_is_heard_makes_room_for_another() {
        let breaker = opened();
        assert_eq!(breaker.enter(5_000), Standing::HalfOpen);
        assert_eq!(breaker.enter(5_000 + PROBE_LIMIT - 1), Standing::Open);
        assert_eq!(breaker.enter(5_000 + PROBE_LIMIT), Standing::HalfOpen);
        assert_eq!(breaker.enter(5_000 + PROBE_LIMIT), Standing::Open);
    }

    #[test]
    fn a_failed_check_holds_it_open_and_a_good_one_lets_one_request_find_out() {
        let breaker = Breaker::default();
        assert!(!breaker.wake(0), "there is nothing to wake");
        assert_eq!((breaker.hold(60_000), breaker.hold(90_000)), (Change::Opened, Change::Nothing));
        assert_eq!((breaker.standing(89_999), breaker.standing(90_000)), (Standing::Open, Standing::HalfOpen));
        assert!(breaker.wake(70_000));
        assert_eq!((breaker.enter(70_000), breaker.enter(70_000)), (Standing::HalfOpen, Standing::Open));
        assert!(breaker.wake(71_000), "nothing was heard of the probe, and the check says that another may be made");
        assert_eq!(breaker.enter(71_000), Standing::HalfOpen);
        assert_eq!(breaker.hold(100_000), Change::Nothing);
        assert_eq!(breaker.standing(99_999), Standing::Open);
        assert_eq!(breaker.succeeded(), Change::Recovered);
        assert_eq!(breaker.standing(0), Standing::Closed);
    }

    #[test]
    fn old_failures_are_forgotten_after_a_window_of_successes() {
        let breaker = Breaker::default();
        breaker.failed(0);
        for _ in 0..WINDOW {
            breaker.succeeded();
        }
        assert!(!breaker.troubled.load(Ordering::Relaxed));
    }
}
