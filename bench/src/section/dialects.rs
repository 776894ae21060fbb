//! Every dialect passed through and converted: processor time of a request beside nginx and a bare Pingora proxy on the very same bytes, memory
//! of an open stream, and what is added to the first byte; each against the aim that the project has set itself.
//!
//! nginx and bare Pingora get the request that the worker gets where it passes it through, key and model included, and the same answer.
//! Where the worker converts, the request differs from that in the model's name alone, the answer is the same provider's in the other
//! dialect, and what the caller reads is the caller's own: its ratios say what converting costs beside a proxy that need not.
//!
//! Every dialect is asked once of everybody before anything is measured, so that what would not count is said at once.

use std::fmt::Write;

use anyhow::Context;

use super::latency::{self, Latency};
use super::open_streams::{self, OpenStreams};
use super::saturation::{self, Field, Saturation};
use super::{Bench, Entry, Load, Times};
use crate::contestant::{Contestant, Fleet, Mock, Name};
use crate::load::{Connection, Peers, Prompt, RequestText, Shape};

/// Everybody, in the order of the table.
const NAMES: [Name; 4] = [Name::Nginx, Name::BarePingora, Name::Worker, Name::Converting];
/// Of a second that the command line asks for at saturation, a window here: there are five times as many of them.
const WINDOW: f64 = 1.0 / 8.0;
const WARM_UP: f64 = 0.1;
const LATENCY_ROUNDS: usize = 2;
/// The same for the windows in which latency is measured.
const LATENCY_WINDOW: f64 = 2.0 / 3.0;
const LATENCY_WARM_UP: f64 = 0.2;
/// How long the worker is loaded before all else, so that its leases have the size that saturation needs.
const LEASES: f64 = 3.0;

/// A section's participants.
pub(crate) struct Setting<'a, 'f> {
    pub(crate) fleet: &'a mut Fleet<'f>,
    /// nginx and bare Pingora.
    pub(crate) baselines: &'a [Contestant],
    pub(crate) mock: &'a Mock,
}

pub(crate) struct Dialects {
    saturation: Saturation,
    open_streams: Vec<OpenStreams>,
    latency: Latency,
}

/// Steps this section announces.
pub(crate) fn steps(rounds: usize) -> usize {
    let (shapes, streams) = (Shape::all().len(), Shape::streams().len());
    open_streams::steps(2 * streams) + 1 + rounds * shapes * NAMES.len() + rounds.min(LATENCY_ROUNDS) * streams * NAMES.len()
}

pub(crate) fn measure(bench: &Bench<'_>, setting: Setting<'_, '_>) -> anyhow::Result<Dialects> {
    let Setting { fleet, baselines, mock } = setting;
    let open_streams = open_streams::measure(bench, fleet, mock, &Shape::streams())?;
    let fleet: &Fleet<'_> = fleet;
    let entries = entries(fleet, baselines)?;
    bench.progress.step("one of each");
    make_ready(bench, fleet, &entries)?;
    let times = Times { rounds: bench.rounds, warm_up: WARM_UP, seconds: bench.seconds * WINDOW };
    let field = Field { entries: &entries, fleet: Some(fleet), mock, peers: Peers::Awake, times };
    let saturation = saturation::measure(bench, &field)?;
    let times = Times { rounds: bench.rounds.min(LATENCY_ROUNDS), warm_up: LATENCY_WARM_UP, seconds: bench.seconds * LATENCY_WINDOW };
    let latency = latency::measure(bench, &with_direct(&entries, mock), times)?;
    Ok(Dialects { saturation, open_streams, latency })
}

fn entries(fleet: &Fleet<'_>, baselines: &[Contestant]) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for shape in Shape::all() {
        let passing = fleet.speaking(shape.dialect, Name::Worker)?;
        let (key, model) = (&passing.key, &passing.model);
        let same_bytes = |baseline: &Contestant| Contestant { key: key.clone(), model: model.clone(), ..baseline.clone() };
        let mut contestants: Vec<Contestant> = baselines.iter().map(same_bytes).collect();
        contestants.extend([passing, fleet.speaking(shape.dialect, Name::Converting)?]);
        entries.extend(Entry::of_all(&[shape], &contestants));
    }
    Ok(entries)
}

/// The streams of `entries`, and before each of them the same without a proxy; nginx is left out, as latency is measured beside it elsewhere.
fn with_direct(entries: &[Entry], mock: &Mock) -> Vec<Entry> {
    let streamed = entries.iter().filter(|entry| entry.shape.streamed);
    let direct = |entry: &Entry| {
        let Contestant { key, model, .. } = entry.contestant.clone();
        Entry { contestant: Contestant { key, model, ..mock.contestant() }, ..entry.clone() }
    };
    streamed.map(|entry| if entry.contestant.name == Name::Nginx { direct(entry) } else { entry.clone() }).collect()
}

/// Lets the worker lease what it will need, and asks everybody once.
fn make_ready(bench: &Bench<'_>, fleet: &Fleet<'_>, entries: &[Entry]) -> anyhow::Result<()> {
    let shape = Shape::SHORT;
    let load = Load { shape, connections: shape.connections(), rate: None, seconds: LEASES, warm_up: WARM_UP, peers: Peers::Asleep };
    bench.load(&fleet.contestant()?, load)?;
    entries.iter().try_for_each(|entry| ask_once(entry).with_context(|| entry.title()))
}

fn ask_once(entry: &Entry) -> anyhow::Result<()> {
    let Entry { shape, contestant } = entry;
    let mut connection = Connection::open(contestant.address)?;
    let answer = connection.exchange(RequestText::new(*shape, &contestant.key, &contestant.model).bytes())?;
    connection.check(&answer, shape.end()).map_err(anyhow::Error::msg)
}

/// Something the project wants to hold, and the kind of load for which it holds least.
struct Aim {
    what: &'static str,
    limit: f64,
    unit: &'static str,
    found: Option<(f64, String)>,
}

impl Dialects {
    pub(crate) fn table(&self) -> anyhow::Result<String> {
        Ok(format!(
            "{}\n### Processor time per request at saturation\n\n{}\n{}\n### Memory of an open stream\n\n{}\n\
             ### Streams at 500 requests a second\n\n{}",
            self.aims()?,
            self.processor()?,
            self.saturation.notes()?,
            open_streams::table(&self.open_streams),
            self.latency.table()?
        ))
    }

    fn processor(&self) -> anyhow::Result<String> {
        let mut text = String::from(
            "| load | nginx: CPU µs | bare Pingora: CPU µs | passed through: CPU µs | × nginx | × bare Pingora \
             | converted: CPU µs | × nginx | × bare Pingora |\n|---|---|---|---|---|---|---|---|---|\n",
        );
        for shape in Shape::all() {
            write!(text, "| {} |", shape.title())?;
            for name in NAMES {
                write!(text, " {} |", self.saturation.processor_cell(name, shape))?;
                for base in [Name::Nginx, Name::BarePingora].into_iter().filter(|_| name.is_ours()) {
                    write!(text, " {} |", self.saturation.ratio_cell(name, base, shape))?;
                }
            }
            text.push('\n');
        }
        Ok(text)
    }

    fn aims(&self) -> anyhow::Result<String> {
        let mut text = String::from("| aim | at most | least favourable | where | |\n|---|---|---|---|---|\n");
        for Aim { what, limit, unit, found } in self.every_aim() {
            let (value, place) = found.with_context(|| format!("nothing was measured of: {what}"))?;
            let verdict = if value <= limit { "met" } else { "**missed**" };
            writeln!(text, "| {what} | {limit:.2}{unit} | {value:.2}{unit} | {place} | {verdict} |")?;
        }
        Ok(text)
    }

    fn every_aim(&self) -> [Aim; 6] {
        let passed = |kind: fn(&Shape) -> bool| self.worst_ratio(Name::Worker, Name::BarePingora, kind);
        let of_streams = |shape: &Shape| shape.streamed;
        let short = |shape: &Shape| !shape.streamed && shape.prompt == Prompt::Short;
        let longer = |shape: &Shape| shape.prompt != Prompt::Short;
        let converted = self.worst_ratio(Name::Converting, Name::Nginx, of_streams);
        let memory = self.open_streams.iter().map(|streams| (streams.most_kib(), place(streams.name, streams.shape)));
        let ours = [Name::Worker, Name::Converting];
        let kinds = Shape::streams().into_iter().flat_map(|shape| ours.map(|name| (name, shape)));
        let first = kinds.filter_map(|(name, shape)| Some((self.latency.first_byte_added_p99_ms(name, shape)?, place(name, shape))));
        let aim = |what, limit, unit, found| Aim { what, limit, unit, found };
        [
            aim("processor time, streams converted", 2.5, " × nginx", converted),
            aim("processor time, 1 kB passed through", 1.10, " × bare Pingora", passed(short)),
            aim("processor time, 32 kB and more passed through", 1.20, " × bare Pingora", passed(longer)),
            aim("processor time, streams passed through", 1.06, " × bare Pingora", passed(of_streams)),
            aim("memory of an open stream", 64.0, " KiB", worst(memory)),
            aim("added to the first byte at 500 requests/s, p99", 0.7, " ms", worst(first)),
        ]
    }

    /// The greatest median ratio over all kinds of load that `of` picks.
    fn worst_ratio(&self, name: Name, base: Name, of: fn(&Shape) -> bool) -> Option<(f64, String)> {
        let shapes = Shape::all().into_iter().filter(of);
        worst(shapes.filter_map(|shape| Some((self.saturation.ratio(name, base, shape)?.median, place(name, shape)))))
    }
}

fn worst(found: impl Iterator<Item = (f64, String)>) -> Option<(f64, String)> {
    found.max_by(|(one, _), (other, _)| one.total_cmp(other))
}

fn place(name: Name, shape: Shape) -> String {
    let way = if name == Name::Converting { "converted" } else { "passed through" };
    format!("{}, {way}", shape.title())
}
