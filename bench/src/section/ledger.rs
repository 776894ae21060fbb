//! How fast the control plane books usage events: load as fast as it goes, then until the last event is in the ledger. Counted by
//! the worker, which keeps an event until the control plane says that it is booked: a query over the ledger would be load itself.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::{Bench, Load};
use crate::clock;
use crate::contestant::Fleet;
use crate::load::{Peers, Shape, WARM_UP};

const SECONDS: f64 = 5.0;
const CONNECTIONS: usize = 32;
/// Unchanged for this long while nothing waits, the ledger has everything: a batch gathers for a sixth of that.
const QUIET: Duration = Duration::from_millis(300);
const LIMIT: Duration = Duration::from_secs(180);

pub(crate) const STEPS: usize = 1;

pub(crate) struct Ledger {
    booked: u64,
    /// From the first request to the last booking.
    took: Duration,
    /// Of these, after the load had ended.
    behind: Duration,
}

pub(crate) fn measure(bench: &Bench<'_>, fleet: &Fleet<'_>) -> anyhow::Result<Ledger> {
    bench.progress.step("events booked");
    let (before, _) = settled(fleet)?;
    let started = clock::now();
    bench.load(
        &fleet.contestant()?,
        Load { shape: Shape::SHORT, connections: CONNECTIONS, rate: None, seconds: SECONDS, warm_up: WARM_UP, peers: Peers::Asleep },
    )?;
    let load_ended = clock::now();
    let (after, last_change) = settled(fleet)?;
    Ok(Ledger { booked: after - before, took: last_change - started, behind: last_change.saturating_duration_since(load_ended) })
}

/// The count of booked events once it no longer grows, and when it last did.
fn settled(fleet: &Fleet<'_>) -> anyhow::Result<(u64, Instant)> {
    let (mut count, mut changed) = (fleet.events()?.booked, clock::now());
    clock::poll(LIMIT, Duration::from_millis(100), || {
        let now = fleet.events().ok()?;
        if now.booked != count || now.waiting > 0 {
            (count, changed) = (now.booked, clock::now());
        }
        (clock::since(changed) > QUIET).then_some((count, changed))
    })
    .context("the ledger still grows")
}

/// Returns once the ledger has every event of the requests so far.
pub(crate) fn wait_until_booked(fleet: &Fleet<'_>) -> anyhow::Result<()> {
    settled(fleet).map(drop)
}

impl Ledger {
    pub(crate) fn table(&self) -> String {
        format!(
            "| ledger (SQLite) | |\n|---|---|\n| events booked | {} |\n| events/s booked, while the load shares the core | {:.0} |\n\
             | last event booked after the load's end | {:.1} s |\n",
            self.booked,
            self.booked as f64 / self.took.as_secs_f64(),
            self.behind.as_secs_f64()
        )
    }
}
