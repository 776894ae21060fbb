//! Answers in this process's memory, bounded in bytes.
//!
//! Beyond the bound what was asked for least gives way, a new answer too that nobody has asked for yet. An answer is gone the instant its
//! time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::figures::Figures;
use super::kept::Kept;
use super::key::Key;

/// Answers by what they hang on.
pub(super) struct Memory(Cache<Key, Arc<Kept>>);

/// Each for its own time, counted from when it came.
struct ForItsTime;

impl Expiry<Key, Arc<Kept>> for ForItsTime {
    fn expire_after_create(&self, _: &Key, kept: &Arc<Kept>, _: Instant) -> Option<Duration> {
        Some(kept.lasts)
    }

    fn expire_after_update(&self, _: &Key, kept: &Arc<Kept>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(kept.lasts)
    }
}

impl Memory {
    pub(super) fn new(bytes: u64, figures: &Figures) -> Self {
        let evicted = figures.evicted();
        let count = move |_, _, cause| {
            if cause == RemovalCause::Size {
                evicted.inc();
            }
        };
        let answers = Cache::builder().max_capacity(bytes).weigher(|_, kept: &Arc<Kept>| kept.weight());
        Self(answers.expire_after(ForItsTime).eviction_listener(count).build())
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: Key, kept: Arc<Kept>) {
        self.0.insert(key, kept);
    }

    /// How many there are, and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        self.0.run_pending_tasks();
        (self.0.entry_count(), self.0.weighted_size())
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::tests::kept;
    use super::*;

    fn memory(bytes: u64) -> (Memory, Figures) {
        let figures = Figures::new(&prometheus::Registry::new()).unwrap();
        (Memory::new(bytes, &figures), figures)
    }

    #[test]
    fn memory_never_holds_more_bytes_than_it_may_and_counts_what_gave_way() {
        let (memory, figures) = memory(10_000);
        for byte in 0..100 {
            memory.insert(Key::of_test(byte), Arc::new(kept("an answer", Duration::from_secs(60))));
        }
        let (count, bytes) = memory.size();
        assert!(count > 0 && bytes <= 10_000, "{count} of {bytes} bytes");
        assert_eq!(figures.evicted().get(), 100 - count);
    }

    #[test]
    fn an_answer_that_is_kept_again_begins_its_time_again() {
        let (memory, _) = memory(10_000);
        memory.insert(Key::of_test(1), Arc::new(kept("old", Duration::from_secs(60))));
        memory.insert(Key::of_test(1), Arc::new(kept("new", Duration::ZERO)));
        assert!(memory.get(&Key::of_test(1)).is_none(), "the time of the new answer is over");
    }
}
