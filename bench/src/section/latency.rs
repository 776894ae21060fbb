//! Latency that a proxy adds at a steady 500 requests a second, open loop. Quoted from the runs in which next to nothing was
//! stolen, or from the least stolen one: a pause of the host is tens of milliseconds.

use std::fmt::Write;

use super::{Bench, Load};
use crate::contestant::{Contestant, Name};
use crate::load::{LoadReport, Peers, Shape};
use crate::statistics::Spread;

const RATE: f64 = 500.0;
const CONNECTIONS: usize = 64;
const QUIET: f64 = 0.01;
const ROUNDS: usize = 3;

pub(crate) struct Latency(Vec<Row>);

struct Row {
    shape: Shape,
    name: Name,
    runs: Vec<LoadReport>,
}

/// Steps this section announces.
pub(crate) fn steps(rounds: usize, contestants: usize) -> usize {
    rounds.min(ROUNDS) * contestants * Shape::ALL.len()
}

pub(crate) fn measure(bench: &Bench<'_>, contestants: &[Contestant]) -> anyhow::Result<Latency> {
    let mut rows: Vec<Row> = Shape::ALL
        .iter()
        .flat_map(|shape| contestants.iter().map(|contestant| Row { shape: *shape, name: contestant.name, runs: Vec::new() }))
        .collect();
    for round in 0..bench.rounds.min(ROUNDS) {
        for row in &mut rows {
            let Some(contestant) = contestants.iter().find(|contestant| contestant.name == row.name) else { continue };
            bench.progress.step(&format!("latency {}: {}, {:?}", round + 1, row.shape.title(), row.name));
            let load =
                Load { shape: row.shape, connections: CONNECTIONS, rate: Some(RATE), seconds: bench.seconds + 1.0, peers: Peers::Asleep };
            row.runs.push(bench.load(contestant, load)?);
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
    pub(crate) fn table(&self) -> anyhow::Result<String> {
        let mut text = String::from(
            "| proxy | load | p50 ms | p99 ms | p99.9 ms | added p50 | added p99 | first byte, added p50 | CPU µs/request | runs, stolen % |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.0 {
            let Some(base) = self.0.iter().find(|base| base.shape == row.shape && base.name == Name::Direct) else { continue };
            writeln!(text, "{}", line(row, base)?)?;
        }
        Ok(text)
    }
}

fn line(row: &Row, base: &Row) -> anyhow::Result<String> {
    let ms = |figure: fn(&LoadReport) -> f64| row.median(figure) / 1e3;
    let added = |figure: fn(&LoadReport) -> f64| (row.median(figure) - base.median(figure)) / 1e3;
    let (p50, p99, p999, first) = (
        |run: &LoadReport| run.p50_us,
        |run: &LoadReport| run.p99_us,
        |run: &LoadReport| run.p999_us,
        |run: &LoadReport| run.first_byte_p50_us,
    );
    let mut text = format!("| {} | {} @ {:.0}/s |", row.name.title(), row.shape.title(), row.median(LoadReport::rate));
    write!(text, " {:.2} | {:.2} | {:.2} |", ms(p50), ms(p99), ms(p999))?;
    if row.name == Name::Direct {
        text.push_str(" | | | |");
    } else {
        write!(
            text,
            " +{:.2} | +{:.2} | +{:.2} | {:.0} |",
            added(p50),
            added(p99),
            added(first),
            row.median(LoadReport::processor_us_per_request)
        )?;
    }
    write!(text, " {}, {:.1} |", row.quiet().len(), row.median(|run| run.stolen) * 100.0)?;
    Ok(text)
}
