//! How many of a target's last outcomes were good: counted by minute, over five of them.
//!
//! Counts that race with the turn of a minute may lose an outcome, nothing else.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const MINUTE_MS: u64 = 60_000;
/// Minutes that are counted, the one that is under way among them.
const MINUTES: u64 = 5;
/// One more than is counted, so that a minute is not written while it is still read.
const SLOTS: usize = 6;

/// Outcomes of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    slots: [Slot; SLOTS],
    /// Milliseconds of the last outcome, plus one; zero: there was none.
    seen: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    /// Which minute, plus one; zero: none.
    minute: AtomicU64,
    successes: AtomicU32,
    failures: AtomicU32,
}

/// What the last minutes come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) successes: u64,
    pub(super) failures: u64,
}

impl Recent {
    /// Something came of an attempt at `now`.
    pub(super) fn note(&self, now: u64, good: bool) {
        self.seen.store(now.saturating_add(1), Ordering::Relaxed);
        let minute = (now / MINUTE_MS).saturating_add(1);
        let Some(slot) = usize::try_from(minute).ok().and_then(|minute| self.slots.get(minute % SLOTS)) else { return };
        if slot.minute.swap(minute, Ordering::Relaxed) != minute {
            slot.successes.store(0, Ordering::Relaxed);
            slot.failures.store(0, Ordering::Relaxed);
        }
        let counted = if good { &slot.successes } else { &slot.failures };
        counted.fetch_add(1, Ordering::Relaxed);
    }

    /// What the minutes up to `now` come to.
    pub(super) fn counts(&self, now: u64) -> Counts {
        let minute = (now / MINUTE_MS).saturating_add(1);
        let counted = |slot: &&Slot| {
            let of = slot.minute.load(Ordering::Relaxed);
            of > 0 && of <= minute && minute - of < MINUTES
        };
        self.slots.iter().filter(counted).fold(Counts::default(), |counts, slot| Counts {
            successes: counts.successes.saturating_add(slot.successes.load(Ordering::Relaxed).into()),
            failures: counts.failures.saturating_add(slot.failures.load(Ordering::Relaxed).into()),
        })
    }

    /// How many milliseconds before `now` the last outcome was.
    pub(super) fn seen_ago(&self, now: u64) -> Option<u64> {
        let seen = self.seen.load(Ordering::Relaxed).checked_sub(1)?;
        Some(now.saturating_sub(seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_are_counted_and_what_is_older_is_not() {
        let recent = Recent::default();
        assert_eq!((recent.counts(0), recent.seen_ago(0)), (Counts::default(), None));
        for minute in 0..10 {
            recent.note(minute * MINUTE_MS, true);
            recent.note(minute * MINUTE_MS + 1, minute % 2 == 0);
        }
        let now = 9 * MINUTE_MS + 30_000;
        assert_eq!(recent.counts(now), Counts { successes: 7, failures: 3 });
        assert_eq!(recent.seen_ago(now), Some(29_999));
        assert_eq!(recent.counts(now + 4 * MINUTE_MS), Counts { successes: 1, failures: 1 });
        assert_eq!(recent.counts(now + 5 * MINUTE_MS), Counts::default());
    }
}
