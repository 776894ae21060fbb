//! Latency that a proxy adds at a steady 500 requests a second, open loop. Quoted from the runs in which next to nothing was
//! stolen, or from the least stolen one: a pause of the host is tens of milliseconds.

use std::fmt::Write;

use anyhow::Context;

use super::{Bench, Entry, Load, Times};
use crate::contestant::{Contestant, Name};
use crate::load::{LoadReport, Peers, Shape, WARM_UP};
use crate::statistics::Spread;

const RATE: f64 = 500.0;
const CONNECTIONS: usize = 64;
const QUIET: f64 = 0.01;
const ROUNDS: usize = 3;

pub(crate) struct Latency(Vec<Row>);

struct Row {
    entry: Entry,
    runs: Vec<LoadReport>,
}

/// The chats, each with no proxy between and with each of the proxies.
pub(crate) fn entries(contestants: &[Contestant]) -> Vec<Entry> {
    Entry::of_all(&Shape::CHAT, contestants)
}

/// How long this section takes over each.
pub(crate) fn times(bench: &Bench<'_>) -> Times {
    Times { rounds: bench.rounds.min(ROUNDS), warm_up: WARM_UP, seconds: bench.seconds + 1.0 }
}

/// Steps this section announces.
pub(crate) fn steps(rounds: usize, contestants: usize) -> usize {
    rounds.min(ROUNDS) * contestants * Shape::CHAT.len()
}

pub(crate) fn measure(bench: &Bench<'_>, entries: &[Entry], times: Times) -> anyhow::Result<Latency> {
    let mut rows: Vec<Row> = entries.iter().map(|entry| Row { entry: entry.clone(), runs: Vec::new() }).collect();
    for round in 0..times.rounds {
        for Row { entry, runs } in &mut rows {
            bench.progress.step(&format!("latency {}: {}", round + 1, entry.title()));
            let load = Load {
                shape: entry.shape,
                connections: CONNECTIONS,
                rate: Some(RATE),
                seconds: times.seconds,
                warm_up: times.warm_up,
                peers: Peers::Asleep,
            };
            let report = bench.load(&entry.contestant, load).and_then(LoadReport::without_failures);
            runs.push(report.with_context(|| entry.title())?);
        }
    }
    Ok(Latency(rows))
}

impl Row {
    /// The runs to quote from.
    fn quiet(&self) -> Vec<&LoadReport> {
        let quiet: Vec<&LoadReport> = self.runs.iter().filter(|run| run.stolen <= QUIET).collect();
        if quiet.is_empty() { self.runs.iter().min_by(|a, b| a.stolen.total_cmp(&b.stolen)).into_iter().collect() } else { quiet }
    }

    fn median(&self, figure: impl Fn(&LoadReport) -> f64) -> f64 {
        Spread::of(self.quiet().into_iter().map(figure)).map_or(f64::NAN, |spread| spread.median)
    }
}

impl Latency {
    /// The same load without a proxy.
    fn base(&self, shape: Shape) -> Option<&Row> {
        self.0.iter().find(|base| base.entry.shape == shape && base.entry.contestant.name == Name::Direct)
    }

    /// What `name` adds to the first byte at the 99th percentile, in milliseconds.
    pub(crate) fn first_byte_added_p99_ms(&self, name: Name, shape: Shape) -> Option<f64> {
        let row = self.0.iter().find(|row| row.entry.shape == shape && row.entry.contestant.name == name)?;
        let figure = |run: &LoadReport| run.first_byte_p99_us;
        Some((row.median(figure) - self.base(shape)?.median(figure)) / 1e3)
    }

    pub(crate) fn table(&self) -> anyhow::Result<String> {
        let mut text = String::from(
            "| proxy | load | p50 ms | p99 ms | p99.9 ms | added p50 | added p99 | first byte, added p50 | first byte, added p99 \
             | CPU µs/request | runs, stolen % |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.0 {
            let Some(base) = self.base(row.entry.shape) else { continue };
            writeln!(text, "{}", line(row, base)?)?;
        }
        Ok(text)
    }
}

fn line(row: &Row, base: &Row) -> anyhow::Result<String> {
    let ms = |figure: fn(&LoadReport) -> f64| row.median(figure) / 1e3;
    let added = |figure: fn(&LoadReport) -> f64| (row.median(figure) - base.median(figure)) / 1e3;
    let Entry { shape, contestant } = &row.entry;
    let mut text = format!("| {} | {} @ {:.0}/s |", contestant.name.title(), shape.title(), row.median(LoadReport::rate));
    write!(text, " {:.2} | {:.2} | {:.2} |", ms(|run| run.p50_us), ms(|run| run.p99_us), ms(|run| run.p999_us))?;
    if contestant.name == Name::Direct {
        text.push_str(" | | | | |");
    } else {
        let (first_p50, first_p99) = (added(|run| run.first_byte_p50_us), added(|run| run.first_byte_p99_us));
        write!(text, " {:+.2} | {:+.2} | {first_p50:+.2} | {first_p99:+.2} |", added(|run| run.p50_us), added(|run| run.p99_us))?;
        write!(text, " {:.0} |", row.median(LoadReport::processor_us_per_request))?;
    }
    write!(text, " {}, {:.1} |", row.quiet().len(), row.median(|run| run.stolen) * 100.0)?;
    Ok(text)
}
