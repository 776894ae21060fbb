//! A slice of a budget's money that only this worker spends from.
//!
//! Invariant: `available = granted − spent − reserved`, kept as one atomic so that taking is one compare-and-swap: two requests can't both
//! take the last cent. `granted` and `spent` stand beside it for reports. `available` goes below zero only when a provider billed more
//! than was reserved, or when the control plane took back what was already used; then nothing can be taken until it is positive again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// One lease.
#[derive(Debug)]
pub(super) struct Lease {
    id: Arc<str>,
    available: AtomicI64,
    granted: AtomicI64,
    spent: AtomicI64,
    /// On the worker's own monotonic clock, milliseconds.
    expires_ms: AtomicU64,
}

impl Lease {
    /// A lease of which `booked` was spent already, as far as the control plane knows; nothing for one that is really new.
    pub(super) fn new(id: Arc<str>, booked: i64) -> Self {
        Self {
            id,
            available: AtomicI64::new(booked.saturating_neg()),
            granted: AtomicI64::new(0),
            spent: AtomicI64::new(booked),
            expires_ms: AtomicU64::new(0),
        }
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Takes `amount` if it is there and the lease is good. A take of nothing always succeeds.
    pub(super) fn take(&self, amount: i64, now_ms: u64) -> bool {
        if amount <= 0 {
            return true;
        }
        if now_ms >= self.expires_ms.load(Ordering::Acquire) {
            return false;
        }
        let enough = |available: i64| (available >= amount).then(|| available.saturating_sub(amount));
        self.available.fetch_update(Ordering::SeqCst, Ordering::Acquire, enough).is_ok()
    }

    /// Ends what [`Lease::take`] began: `actual` was spent of the `reserved`.
    pub(super) fn settle(&self, reserved: i64, actual: i64) {
        // Spent first: a reader in between sees too much used, never too little.
        self.spent.fetch_add(actual, Ordering::SeqCst);
        self.available.fetch_add(reserved.saturating_sub(actual), Ordering::SeqCst);
    }

    pub(super) fn available(&self) -> i64 {
        self.available.load(Ordering::SeqCst)
    }

    pub(super) fn spent(&self) -> i64 {
        self.spent.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) fn granted(&self) -> i64 {
        self.granted.load(Ordering::SeqCst)
    }

    pub(super) fn is_good(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms.load(Ordering::Acquire)
    }

    /// The control plane says that `granted` is the whole of this lease, good until `expires_ms`. Answers how much more that is than
    /// before. Called by one task only.
    pub(super) fn renew(&self, granted: i64, expires_ms: u64) -> i64 {
        let before = self.granted.swap(granted, Ordering::SeqCst);
        let more = granted.saturating_sub(before);
        self.available.fetch_add(more, Ordering::SeqCst);
        self.expires_ms.store(expires_ms, Ordering::Release);
        more
    }

    /// Takes everything that is not reserved out of the lease, to be given back. Called by one task only.
    pub(super) fn drain(&self) -> i64 {
        let all = |available: i64| (available > 0).then_some(0);
        let taken = self.available.fetch_update(Ordering::SeqCst, Ordering::Acquire, all).unwrap_or(0);
        self.granted.fetch_sub(taken, Ordering::SeqCst);
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        Grant(i64),
        Take(i64),
        SettleOldest(i64),
        GiveBack { arrives: bool, answered: bool },
        Expire,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..1000_i64).prop_map(Op::Grant),
            (1..400_i64).prop_map(Op::Take),
            (0..400_i64).prop_map(Op::SettleOldest),
            any::<(bool, bool)>().prop_map(|(arrives, answered)| Op::GiveBack { arrives, answered: arrives && answered }),
            Just(Op::Expire),
        ]
    }

    proptest! {
        /// What is reserved or spent never exceeds what the control plane counts as leased, whatever happens to messages.
        #[test]
        fn reserved_and_spent_stay_within_what_was_granted(ops in proptest::collection::vec(op(), 0..60)) {
            let lease = Lease::new("lse_1".into(), 0);
            let (mut granted, mut spent, mut now) = (0_i64, 0_i64, 0_u64);
            let mut reserved = std::collections::VecDeque::new();
            lease.renew(0, 1_000_000);
            for op in ops {
                now += 1;
                match op {
                    Op::Grant(more) => {
                        granted += more;
                        lease.renew(granted, now + 1_000_000);
                    }
                    Op::Take(amount) => {
                        let held: i64 = reserved.iter().sum();
                        if lease.take(amount, now) {
                            prop_assert!(held + spent + amount <= granted);
                            reserved.push_back(amount);
                        }
                    }
                    Op::SettleOldest(actual) => {
                        if let Some(amount) = reserved.pop_front() {
                            let actual = actual.min(amount);
                            spent += actual;
                            lease.settle(amount, actual);
                        }
                    }
                    Op::GiveBack { arrives, answered } => {
                        let given = lease.drain();
                        if arrives {
                            granted -= given;
                        }
                        // Without an answer nobody uses the money, until the next one says what is true.
                        if answered {
                            lease.renew(granted, now + 1_000_000);
                        }
                    }
                    Op::Expire => {
                        lease.renew(granted, now);
                        prop_assert!(!lease.take(1, now));
                        lease.renew(granted, now + 1_000_000);
                    }
                }
                prop_assert_eq!(lease.spent(), spent);
                let held: i64 = reserved.iter().sum();
                prop_assert!(lease.available().max(0) + held + spent <= granted.max(held + spent));
            }
        }
    }

    #[test]
    fn a_give_back_that_never_arrived_is_there_again_with_the_next_answer() {
        let lease = Lease::new("lse_1".into(), 0);
        lease.renew(100, 1_000_000);
        assert_eq!(lease.drain(), 100);
        assert!(!lease.take(1, 20));
        lease.renew(100, 1_000_000);
        assert!(lease.take(100, 20));
    }

    #[test]
    fn a_provider_that_bills_more_than_reserved_leaves_the_lease_in_debt() {
        let lease = Lease::new("lse_1".into(), 0);
        lease.renew(100, 1_000_000);
        assert!(lease.take(100, 0));
        lease.settle(100, 130);
        assert_eq!((lease.available(), lease.spent(), lease.granted()), (-30, 130, 100));
        assert!(!lease.take(1, 0));
        lease.renew(131, 1_000_000);
        assert!(lease.take(1, 0));
    }

    #[test]
    fn threads_that_race_for_the_last_cent_never_take_more_than_there_is() {
        let lease = Lease::new("lse_1".into(), 0);
        lease.renew(10_000, u64::MAX);
        let spent: i64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread: i64| {
                    let lease = &lease;
                    scope.spawn(move || {
                        let mut spent = 0;
                        for round in 0..5_000_i64 {
                            let amount = 1 + (round + thread) % 7;
                            if lease.take(amount, 0) {
                                let actual = amount - round % 2;
                                lease.settle(amount, actual);
                                spent += actual;
                            }
                        }
                        spent
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(spent <= 10_000);
        assert_eq!((lease.spent(), lease.available()), (spent, 10_000 - spent));
    }
}
