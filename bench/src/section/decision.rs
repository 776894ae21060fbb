//! What a decision and its budgets cost in nanoseconds: the share of a request that is the worker's own thinking.

use super::Bench;
use crate::contestant::Fleet;
use crate::decision::Cost;

pub(crate) const STEPS: usize = 1;

/// Measures and returns the table.
pub(crate) fn measure(bench: &Bench<'_>, fleet: &Fleet<'_>) -> anyhow::Result<String> {
    bench.progress.step("decision");
    let report = fleet.decision()?;
    let line = |title: &str, cost: Cost| format!("| {title} | {:.0} | {:.0} |\n", cost.best_ns, cost.median_ns);
    Ok(format!(
        "| step, one thread | best ns | median ns |\n|---|---|---|\n{}{}{}",
        line("find the key among 10,000", report.identify),
        line("decide: entry policy of 4 rules, route, claims", report.decide),
        line(&format!("budgets: reserve and settle in {}", report.budgets), report.reserve_and_settle)
    ))
}
