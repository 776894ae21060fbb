//! Load as fast as it goes on one contestant after the other, and the processor time that each request cost there. With peers that stay awake
//! the figure does not depend on who is the bottleneck; the same with peers that sleep is kept beside it, since a proxy on the machine of its
//! callers pays for waking them.
//!
//! Rounds are interleaved, forwards and backwards in turn, and a ratio is taken inside a round: the machine's speed moves by
//! a third within minutes. A run in which the hypervisor took more than a little is left out of the ratios; one in which a request
//! failed is an error.
//!
//! While the load takes all of core 1, the control plane gets next to nothing of it and usage events wait on the worker's disk.
//! They are shipped after each run of the worker, and the processor time of that is added: it belongs to those requests.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;

use super::{Bench, Entry, Load, Times, ledger};
use crate::accounting::ProcessorTime;
use crate::clock;
use crate::contestant::{Contestant, Fleet, Mock, Name};
use crate::load::{LoadReport, Peers, Shape};
use crate::statistics::Spread;

/// How long the worker is watched doing nothing.
const IDLE: Duration = Duration::from_secs(3);
/// Above this share of stolen time a run says more about the host than about the proxy.
const STOLEN_LIMIT: f64 = 0.08;

struct Run {
    round: usize,
    shape: Shape,
    name: Name,
    /// Of the report's processor time, what was spent after the window on bringing usage events home.
    shipping_us: f64,
    report: LoadReport,
}

/// What all rounds found.
pub(crate) struct Saturation(Vec<Run>);

/// Who takes part, and how.
pub(crate) struct Field<'a> {
    pub(crate) entries: &'a [Entry],
    pub(crate) fleet: Option<&'a Fleet<'a>>,
    pub(crate) mock: &'a Mock,
    pub(crate) peers: Peers,
    pub(crate) times: Times,
}

pub(crate) fn measure(bench: &Bench<'_>, field: &Field<'_>) -> anyhow::Result<Saturation> {
    let Field { entries, peers, times, .. } = field;
    let mut runs = Vec::new();
    let idle = idle_share(entries)?;
    for round in 0..times.rounds {
        for entry in in_turn(entries, round) {
            bench.progress.step(&format!("saturation, peers {peers:?} {}/{}: {}", round + 1, times.rounds, entry.title()));
            runs.push(run(bench, field, entry, (round, idle)).with_context(|| entry.title())?);
        }
    }
    Ok(Saturation(runs))
}

fn run(bench: &Bench<'_>, field: &Field<'_>, entry: &Entry, (round, idle): (usize, f64)) -> anyhow::Result<Run> {
    let Field { fleet, mock, peers, times, .. } = field;
    let Entry { shape, contestant } = entry;
    let load =
        Load { shape: *shape, connections: shape.connections(), rate: None, seconds: times.seconds, warm_up: times.warm_up, peers: *peers };
    mock.stay(*peers)?;
    let loaded = bench.load(contestant, load);
    mock.stay(Peers::Asleep)?;
    let mut report = loaded?.without_failures()?;
    let shipping_us = match fleet.filter(|_| contestant.name.is_ours()) {
        Some(fleet) => shipping_us(contestant, fleet, idle)? * times.seconds / (times.seconds + times.warm_up),
        None => 0.0,
    };
    report.processor_us += shipping_us;
    Ok(Run { round, shape: *shape, name: contestant.name, shipping_us, report })
}

/// Waits until all events are booked; what that cost the worker beyond doing nothing for as long.
fn shipping_us(contestant: &Contestant, fleet: &Fleet<'_>, idle: f64) -> anyhow::Result<f64> {
    let (before, started) = (ProcessorTime::of_all(&contestant.processes)?, clock::now());
    ledger::wait_until_booked(fleet)?;
    let spent = ProcessorTime::of_all(&contestant.processes)?.since(&before).as_secs_f64();
    Ok((spent - idle * clock::since(started).as_secs_f64()).max(0.0) * 1e6)
}

/// Share of a core that a worker without traffic takes.
fn idle_share(entries: &[Entry]) -> anyhow::Result<f64> {
    let Some(worker) = entries.iter().map(|entry| &entry.contestant).find(|contestant| contestant.name.is_ours()) else { return Ok(0.0) };
    let before = ProcessorTime::of_all(&worker.processes)?;
    std::thread::sleep(IDLE);
    Ok(ProcessorTime::of_all(&worker.processes)?.since(&before).as_secs_f64() / IDLE.as_secs_f64())
}

fn in_turn(entries: &[Entry], round: usize) -> Vec<&Entry> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Saturation {
    fn usable(&self, name: Name, shape: Shape) -> impl Iterator<Item = &Run> {
        self.0.iter().filter(move |run| run.name == name && run.shape == shape && run.report.stolen <= STOLEN_LIMIT)
    }

    pub(crate) fn processor_us(&self, name: Name, shape: Shape) -> Option<Spread> {
        Spread::of(self.usable(name, shape).map(|run| run.report.processor_us_per_request()))
    }

    /// Paired: each round against the same round of `base`.
    pub(crate) fn ratio(&self, name: Name, base: Name, shape: Shape) -> Option<Spread> {
        let pairs = self.usable(name, shape).filter_map(|run| {
            let partner = self.usable(base, shape).find(|other| other.round == run.round)?;
            Some(run.report.processor_us_per_request() / partner.report.processor_us_per_request())
        });
        Spread::of(pairs)
    }

    /// A cell with the median of the processor time.
    pub(crate) fn processor_cell(&self, name: Name, shape: Shape) -> String {
        self.processor_us(name, shape).map_or_else(|| "–".into(), |spread| format!("{:.1}", spread.median))
    }

    /// A cell with a paired ratio.
    pub(crate) fn ratio_cell(&self, name: Name, base: Name, shape: Shape) -> String {
        let cell = |spread: Spread| format!("{:.2} ({:.2}–{:.2})", spread.median, spread.least, spread.greatest);
        self.ratio(name, base, shape).map_or_else(|| "–".into(), cell)
    }

    /// How far the runs can be trusted, and what is in them.
    pub(crate) fn notes(&self) -> anyhow::Result<String> {
        let stolen = Spread::of(self.0.iter().map(|run| run.report.stolen * 100.0));
        let left_out = self.0.iter().filter(|run| run.report.stolen > STOLEN_LIMIT).count();
        let mut text = format!("{} runs; ", self.0.len());
        if let Some(stolen) = stolen {
            write!(
                text,
                "stolen time {:.1} % ({:.1}–{:.1}); {left_out} runs above 8 % left out.",
                stolen.median, stolen.least, stolen.greatest
            )?;
        }
        let shipping = self.0.iter().filter(|run| run.name.is_ours()).map(|run| run.shipping_us / run.report.finished as f64);
        if let Some(shipping) = Spread::of(shipping) {
            write!(
                text,
                " In the worker's figures: {:.1} µs ({:.1}–{:.1}) for shipping the usage event.",
                shipping.median, shipping.least, shipping.greatest
            )?;
        }
        text.push('\n');
        Ok(text)
    }
}
