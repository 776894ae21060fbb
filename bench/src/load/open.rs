//! Open loop: requests arrive when they arrive (Poisson), whether or not the last one is answered. A request that had to
//! wait because all connections were busy counts from its intended arrival: no coordinated omission.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::Rng;

use super::{Asked, LoadOptions, Tally, Window};
use crate::clock;

/// Pause after a broken connection, so that a refused one is not tried in a tight loop.
pub(super) const RECONNECT_AFTER: Duration = Duration::from_millis(10);

/// When each request is due, and which is next.
pub(super) struct Arrivals {
    due: Vec<Instant>,
    next: AtomicUsize,
}

impl Arrivals {
    pub(super) fn new(rate: f64, options: &LoadOptions, window: Window) -> Self {
        let mut random = rand::rng();
        let mut at = clock::now();
        let mut due = Vec::with_capacity((rate * (options.seconds + options.warm_up) * 1.2) as usize);
        while at < window.closes {
            // An exponential gap; `1 - x` keeps the logarithm away from zero.
            at += Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() / rate);
            due.push(at);
        }
        Self { due, next: AtomicUsize::new(0) }
    }

    fn take(&self) -> Option<Instant> {
        self.due.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

pub(super) fn run(asked: &Asked, arrivals: &Arrivals, window: Window) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while let Some(due) = arrivals.take() {
        let late = clock::now() > due;
        clock::sleep_until(due);
        let started = if late { due } else { clock::now() };
        let open = connection.take().map_or_else(|| asked.connect(), Ok);
        let answer = open.and_then(|mut open| open.exchange(asked.request.bytes()).map(|answer| (open, answer)));
        match answer {
            Ok((open, answer)) => {
                if window.holds(due) {
                    tally.take(&open, &answer, asked, started);
                }
                connection = Some(open);
            }
            Err(fault) => {
                tally.fail(format!("a broken connection: {fault}"));
                std::thread::sleep(RECONNECT_AFTER);
            }
        }
    }
    tally
}
