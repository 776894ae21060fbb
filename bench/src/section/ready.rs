//! How long a worker takes from its start to its first answer, with 10,000 keys: from nothing, and from what it kept on disk.

use super::Bench;
use crate::contestant::Fleet;
use crate::statistics::Spread;

const ROUNDS: usize = 3;

pub(crate) const STEPS: usize = 2 * ROUNDS;

pub(crate) struct Ready {
    fresh: Option<(Spread, Spread)>,
    restarted: Option<(Spread, Spread)>,
}

pub(crate) fn measure(bench: &Bench<'_>, fleet: &mut Fleet<'_>) -> anyhow::Result<Ready> {
    Ok(Ready { fresh: starts(bench, fleet, true)?, restarted: starts(bench, fleet, false)? })
}

fn starts(bench: &Bench<'_>, fleet: &mut Fleet<'_>, fresh: bool) -> anyhow::Result<Option<(Spread, Spread)>> {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        bench.progress.step(&format!("start {} {}", round + 1, if fresh { "from nothing" } else { "from disk" }));
        times.push(fleet.restart_worker(fresh)?);
    }
    let ready = Spread::of(times.iter().map(|time| time.ready.as_secs_f64() * 1e3));
    let answered = Spread::of(times.iter().map(|time| time.first_answer.as_secs_f64() * 1e3));
    Ok(ready.zip(answered))
}

impl Ready {
    pub(crate) fn table(&self) -> String {
        let line = |title: &str, found: &Option<(Spread, Spread)>| {
            let cell = |spread: &Spread| format!("{:.0} ({:.0}–{:.0})", spread.median, spread.least, spread.greatest);
            found.as_ref().map_or_else(String::new, |(ready, first)| format!("| {title} | {} | {} |\n", cell(ready), cell(first)))
        };
        format!(
            "| worker, 10,000 keys | `/readyz` says 200, ms | first completion, ms |\n|---|---|---|\n{}{}",
            line("empty data directory", &self.fresh),
            line("last good bundle on disk", &self.restarted)
        )
    }
}
