//! Processor time per request at saturation: the main figure. With peers that stay awake it does not depend on who is the bottleneck; the same
//! with peers that sleep is kept beside it, since a proxy on the machine of its callers pays for waking them.
//!
//! Rounds are interleaved, forwards and backwards in turn, and a ratio is taken inside a round: the machine's speed moves by
//! a third within minutes. A run in which the hypervisor took more than a little is left out of the ratios.
//!
//! While the load takes all of core 1, the control plane gets next to nothing of it and usage events wait on the worker's disk.
//! They are shipped after each run of the worker, and the processor time of that is added: it belongs to those requests.

use std::fmt::Write;
use std::time::Duration;

use super::{Bench, Load, ledger};
use crate::accounting::ProcessorTime;
use crate::clock;
use crate::contestant::{Contestant, Fleet, Mock, Name};
use crate::load::{LoadReport, Peers, Shape, WARM_UP};
use crate::statistics::Spread;

const CONNECTIONS: usize = 32;
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

pub(crate) struct Throughput {
    runs: Vec<Run>,
    names: Vec<Name>,
}

/// Steps this section announces.
pub(crate) fn steps(rounds: usize, contestants: usize) -> usize {
    rounds * contestants * Shape::ALL.len()
}

/// Who takes part in it.
pub(crate) struct Field<'a> {
    pub(crate) contestants: &'a [Contestant],
    pub(crate) fleet: Option<&'a Fleet<'a>>,
    pub(crate) mock: &'a Mock,
}

pub(crate) fn measure(bench: &Bench<'_>, field: &Field<'_>, peers: Peers) -> anyhow::Result<Throughput> {
    let Field { contestants, fleet, mock } = field;
    let mut runs = Vec::new();
    let idle = idle_share(contestants)?;
    for round in 0..bench.rounds {
        for shape in Shape::ALL {
            for contestant in in_turn(contestants, round) {
                bench.progress.step(&format!(
                    "saturation, peers {peers:?} {}/{}: {}, {:?}",
                    round + 1,
                    bench.rounds,
                    shape.title(),
                    contestant.name
                ));
                let load = Load { shape, connections: CONNECTIONS, rate: None, seconds: bench.seconds, peers };
                mock.stay(peers)?;
                let loaded = bench.load(contestant, load);
                mock.stay(Peers::Asleep)?;
                let mut report = loaded?;
                let shipping_us = match fleet.filter(|_| contestant.name == Name::Worker) {
                    Some(fleet) => shipping_us(contestant, fleet, idle, &report)?,
                    None => 0.0,
                };
                report.processor_us += shipping_us;
                runs.push(Run { round, shape, name: contestant.name, shipping_us, report });
            }
        }
    }
    Ok(Throughput { runs, names: contestants.iter().map(|contestant| contestant.name).collect() })
}

/// Waits until all events are booked; the window's share of what that cost the worker beyond doing nothing for as long.
fn shipping_us(contestant: &Contestant, fleet: &Fleet<'_>, idle: f64, report: &LoadReport) -> anyhow::Result<f64> {
    let (before, started) = (ProcessorTime::of_all(&contestant.processes)?, clock::now());
    ledger::wait_until_booked(fleet)?;
    let spent = ProcessorTime::of_all(&contestant.processes)?.since(before).as_secs_f64();
    let shipping = (spent - idle * clock::since(started).as_secs_f64()).max(0.0);
    Ok(shipping * 1e6 * report.seconds / (report.seconds + WARM_UP))
}

/// Share of a core that a worker without traffic takes.
fn idle_share(contestants: &[Contestant]) -> anyhow::Result<f64> {
    let Some(worker) = contestants.iter().find(|contestant| contestant.name == Name::Worker) else { return Ok(0.0) };
    let before = ProcessorTime::of_all(&worker.processes)?;
    std::thread::sleep(IDLE);
    Ok(ProcessorTime::of_all(&worker.processes)?.since(before).as_secs_f64() / IDLE.as_secs_f64())
}

fn in_turn(contestants: &[Contestant], round: usize) -> Vec<&Contestant> {
    let mut order: Vec<&Contestant> = contestants.iter().collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Throughput {
    fn usable(&self, name: Name, shape: Shape) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.name == name && run.shape == shape && run.report.stolen <= STOLEN_LIMIT)
    }

    fn processor_us(&self, name: Name, shape: Shape) -> Option<Spread> {
        Spread::of(self.usable(name, shape).map(|run| run.report.processor_us_per_request()))
    }

    /// Paired: each round against the same round of `base`.
    fn ratio(&self, name: Name, base: Name, shape: Shape) -> Option<Spread> {
        let pairs = self.usable(name, shape).filter_map(|run| {
            let partner = self.usable(base, shape).find(|other| other.round == run.round)?;
            Some(run.report.processor_us_per_request() / partner.report.processor_us_per_request())
        });
        Spread::of(pairs)
    }

    /// Answers that were not 200, of all.
    fn failures(&self, name: Name) -> (u64, u64, Option<u16>) {
        let runs = || self.runs.iter().filter(|run| run.name == name);
        let failed = runs().map(|run| run.report.failed).sum();
        let finished: u64 = runs().map(|run| run.report.finished).sum();
        (failed, finished + failed, runs().find_map(|run| run.report.last_failure))
    }

    pub(crate) fn table(&self) -> anyhow::Result<String> {
        let mut text = String::from("| proxy |");
        for shape in Shape::ALL {
            write!(text, " {}: CPU µs | × nginx | × bare Pingora |", shape.title())?;
        }
        text.push_str(" requests/s per full core: 1 kB / 32 kB / stream |\n|---|");
        text.push_str(&"---|".repeat(Shape::ALL.len() * 3 + 1));
        for name in &self.names {
            write!(text, "\n| {} |{} {} |", name.title(), self.cells(*name)?, self.rates(*name))?;
        }
        text.push_str("\n\n");
        text.push_str(&self.notes()?);
        Ok(text)
    }

    fn cells(&self, name: Name) -> anyhow::Result<String> {
        let mut text = String::new();
        for shape in Shape::ALL {
            let median = self.processor_us(name, shape).map_or_else(|| "–".into(), |spread| format!("{:.1}", spread.median));
            write!(
                text,
                " {median} | {} | {} |",
                ratio(self.ratio(name, Name::Nginx, shape)),
                ratio(self.ratio(name, Name::BarePingora, shape))
            )?;
        }
        Ok(text)
    }

    fn rates(&self, name: Name) -> String {
        let rate = |shape| self.processor_us(name, shape).map_or_else(|| "–".into(), |spread| format!("{:.0}", 1e6 / spread.median));
        Shape::ALL.map(rate).join(" / ")
    }

    fn notes(&self) -> anyhow::Result<String> {
        let stolen = Spread::of(self.runs.iter().map(|run| run.report.stolen * 100.0));
        let left_out = self.runs.iter().filter(|run| run.report.stolen > STOLEN_LIMIT).count();
        let mut text = format!("{} runs; ", self.runs.len());
        if let Some(stolen) = stolen {
            write!(
                text,
                "stolen time {:.1} % ({:.1}–{:.1}); {left_out} runs above 8 % left out.",
                stolen.median, stolen.least, stolen.greatest
            )?;
        }
        let shipping = self.runs.iter().filter(|run| run.name == Name::Worker).map(|run| run.shipping_us / run.report.finished as f64);
        if let Some(shipping) = Spread::of(shipping) {
            write!(
                text,
                " In the worker's figures: {:.1} µs ({:.1}–{:.1}) for shipping the usage event.",
                shipping.median, shipping.least, shipping.greatest
            )?;
        }
        for name in &self.names {
            let (failed, all, status) = self.failures(*name);
            if failed > 0 {
                write!(text, " **{}: {failed} of {all} requests failed, the last with {status:?}.**", name.title())?;
            }
        }
        text.push('\n');
        Ok(text)
    }
}

fn ratio(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".into(), |spread| format!("{:.2} ({:.2}–{:.2})", spread.median, spread.least, spread.greatest))
}
