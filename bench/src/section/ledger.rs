//! How fast the control plane books usage events: load as fast as it goes, then until the last event is in the ledger.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::{Bench, Load};
use crate::clock;
use crate::contestant::Fleet;
use crate::load::Shape;

const SECONDS: f64 = 5.0;
const CONNECTIONS: usize = 32;
/// Unchanged for this long, the ledger has everything.
const QUIET: Duration = Duration::from_secs(5);
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
    bench.load(&fleet.contestant()?, Load { shape: Shape::Short, connections: CONNECTIONS, rate: None, seconds: SECONDS })?;
    let load_ended = clock::now();
    let (after, last_change) = settled(fleet)?;
    Ok(Ledger { booked: after - before, took: last_change - started, behind: last_change.saturating_duration_since(load_ended) })
}

/// The count of booked requests once it no longer grows, and when it last did.
fn settled(fleet: &Fleet<'_>) -> anyhow::Result<(u64, Instant)> {
    let (mut count, mut changed) = (booked(fleet)?, clock::now());
    clock::poll(LIMIT, Duration::from_millis(100), || {
        let now = booked(fleet).unwrap_or(count);
        if now != count {
            (count, changed) = (now, clock::now());
        }
        (clock::since(changed) > QUIET).then_some((count, changed))
    })
    .context("the ledger still grows")
}

fn booked(fleet: &Fleet<'_>) -> anyhow::Result<u64> {
    let query = r#"{ spend(from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z", groupBy: [PROJECT]) { requests } }"#;
    let data = fleet.query(query, &Value::Null)?;
    data.pointer("/spend/requests").and_then(Value::as_u64).context("`spend` without `requests`")
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
