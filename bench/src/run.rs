//! The whole measurement: starts everyone, walks the sections, prints the table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::contestant::{Baseline, Contestant, Fleet, FleetOptions, Mock, Programs};
use crate::load::Peers;
use crate::process::{self, Starter};
use crate::progress::Progress;
use crate::section::{Bench, decision, dialects, enforcement, latency, ledger, memory, ready, throughput};

/// Loaded beside the one that is used.
const IDLE_KEYS: usize = 10_000;
/// A stream of 23 chunks then takes about half a second.
const SLOW_CHUNK: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Section {
    Ready,
    Memory,
    Throughput,
    Waking,
    Latency,
    Dialects,
    Decision,
    Ledger,
    Enforcement,
}

impl Section {
    /// Whether it is about the worker alone.
    fn needs_fleet(self) -> bool {
        !matches!(self, Self::Throughput | Self::Waking | Self::Latency)
    }
}

#[derive(Args)]
pub(crate) struct RunOptions {
    /// Interleaved rounds at saturation; fewer than five prove nothing.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of a measured window.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only these sections.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Only nginx and bare Pingora: needs none of the project's programs.
    #[arg(long)]
    baselines: bool,
    /// Where the built programs are; left out: beside this one.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Also write the table to this file.
    #[arg(long)]
    write: Option<PathBuf>,
}

impl RunOptions {
    fn sections(&self) -> BTreeSet<Section> {
        let all = Section::value_variants().iter().copied();
        all.filter(|section| self.only.is_empty() || self.only.contains(section))
            .filter(|section| !(self.baselines && section.needs_fleet()))
            .collect()
    }

    fn programs(&self) -> anyhow::Result<Programs> {
        let beside = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Programs(self.programs.clone().unwrap_or(beside)))
    }
}

/// Measures and prints.
pub(crate) fn run(options: &RunOptions) -> anyhow::Result<()> {
    raise_file_limit();
    let programs = options.programs()?;
    anyhow::ensure!(options.baselines || programs.are_built(), "build the programs first, or ask for `--baselines`");
    let directory = tempfile::tempdir()?;
    let starter = Starter { logs: directory.path(), real_time: process::real_time_is_permitted() };
    let text = measure(options, &starter, &programs, directory.path()).inspect_err(|_| keep_logs(&directory))?;
    if let Some(path) = &options.write {
        std::fs::write(path, &text)?;
    }
    crate::print(&text)
}

fn measure(options: &RunOptions, starter: &Starter<'_>, programs: &Programs, directory: &Path) -> anyhow::Result<String> {
    let sections = options.sections();
    let progress = Progress::new(steps(options, &sections))?;
    let bench = Bench { starter, progress: &progress, rounds: options.rounds, seconds: options.seconds };
    let mock = Mock::start(starter, Duration::ZERO)?;
    let slow_mock = Mock::start(starter, SLOW_CHUNK)?;
    let nginx = Baseline::nginx(starter, directory, mock.address)?;
    let bare = Baseline::bare_pingora(starter, mock.address)?;
    let mut fleet = if options.baselines {
        None
    } else {
        progress.step("starting control plane and worker, applying 10,000 keys");
        let fleet_options = FleetOptions { mock: mock.address, slow_mock: slow_mock.address, idle_keys: IDLE_KEYS, redis_url: None };
        Some(Fleet::start(starter, programs, directory, &fleet_options)?)
    };
    let mut text = heading(starter.real_time);
    let mut add = |title: &str, table: String| text.push_str(&format!("\n## {title}\n\n{table}"));
    if let Some(fleet) = &mut fleet {
        before_load(&bench, &sections, fleet, &mut add)?;
    }
    let baselines = [nginx.contestant(), bare.contestant()];
    under_load(&bench, &sections, &Grid { baselines: &baselines, fleet: fleet.as_ref(), mock: &mock }, &mut add)?;
    if let Some(fleet) = fleet.as_mut().filter(|_| sections.contains(&Section::Dialects)) {
        let setting = dialects::Setting { fleet, baselines: &baselines, mock: &mock };
        add("Dialects, passed through and converted", dialects::measure(&bench, setting)?.table()?);
    }
    if let Some(fleet) = fleet.take() {
        after_load(&bench, &sections, fleet, &mut add)?;
    }
    if sections.contains(&Section::Enforcement) {
        let setting = enforcement::Setting { programs, directory, mock: mock.address, slow_mock: slow_mock.address };
        add("From mutation to enforcement", enforcement::measure(&bench, &setting)?.table());
    }
    Ok(text)
}

/// What is only true of a worker that has served nothing yet.
fn before_load(
    bench: &Bench<'_>,
    sections: &BTreeSet<Section>,
    fleet: &mut Fleet<'_>,
    add: &mut impl FnMut(&str, String),
) -> anyhow::Result<()> {
    if sections.contains(&Section::Ready) {
        add("Start", ready::measure(bench, fleet)?.table());
    }
    if sections.contains(&Section::Memory) {
        add("Memory", memory::measure(bench, fleet)?.table());
    }
    Ok(())
}

/// Those who are compared.
struct Grid<'a> {
    baselines: &'a [Contestant],
    fleet: Option<&'a Fleet<'a>>,
    mock: &'a Mock,
}

/// The worker beside the others, and the others alone where there is none.
fn under_load(bench: &Bench<'_>, sections: &BTreeSet<Section>, grid: &Grid<'_>, add: &mut impl FnMut(&str, String)) -> anyhow::Result<()> {
    let worker = grid.fleet.map(Fleet::contestant).transpose()?;
    let proxies: Vec<Contestant> = grid.baselines.iter().cloned().chain(worker).collect();
    let contest = throughput::Contest { contestants: &proxies, fleet: grid.fleet, mock: grid.mock };
    if sections.contains(&Section::Throughput) {
        add("Processor time per request at saturation", throughput::measure(bench, &contest, Peers::Awake)?);
    }
    if sections.contains(&Section::Waking) {
        let title = "The same where provider and load sleep, and the proxy wakes them";
        add(title, throughput::measure(bench, &contest, Peers::Asleep)?);
    }
    if sections.contains(&Section::Latency) {
        let with_direct: Vec<Contestant> = std::iter::once(grid.mock.contestant()).chain(proxies).collect();
        let found = latency::measure(bench, &latency::entries(&with_direct), latency::times(bench))?;
        add("Added latency at 500 requests a second", found.table()?);
    }
    Ok(())
}

/// What may leave the worker with a full ledger and spent budgets. Ends the fleet.
fn after_load(bench: &Bench<'_>, sections: &BTreeSet<Section>, fleet: Fleet<'_>, add: &mut impl FnMut(&str, String)) -> anyhow::Result<()> {
    if sections.contains(&Section::Decision) {
        add("Decision", decision::measure(bench, &fleet)?);
    }
    if sections.contains(&Section::Ledger) {
        add("Usage events", ledger::measure(bench, &fleet)?.table());
    }
    Ok(())
}

fn steps(options: &RunOptions, sections: &BTreeSet<Section>) -> usize {
    let proxies = if options.baselines { 2 } else { 3 };
    let of = |section: &Section| match section {
        Section::Ready => ready::STEPS,
        Section::Memory => memory::STEPS,
        Section::Throughput | Section::Waking => throughput::steps(options.rounds, proxies),
        Section::Latency => latency::steps(options.rounds, proxies + 1),
        Section::Dialects => dialects::steps(options.rounds),
        Section::Decision => decision::STEPS,
        Section::Ledger => ledger::STEPS,
        Section::Enforcement => enforcement::STEPS,
    };
    sections.iter().map(of).sum::<usize>() + usize::from(!options.baselines)
}

fn heading(real_time: bool) -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        processor.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let priority = if real_time { "real-time priority" } else { "**ordinary priority: other work on this machine is in these figures**" };
    format!(
        "# Measured figures\n\n{cores} cores ({model}), loopback only; proxy on core 0, mock provider and load on core 1, {priority}. Everything on: key,\n\
         entry policy with 4 rules, 4 budgets, usage event, log. Quote the ratios: absolute figures move with the host.\n"
    )
}

/// Ten thousand connections need a file each. Best effort: the section says how many it held.
fn raise_file_limit() {
    let own = std::process::id().to_string();
    Command::new("prlimit").args(["--pid", &own, "--nofile=20000:20000"]).status().ok();
}

/// A failed run leaves what its processes said.
fn keep_logs(directory: &tempfile::TempDir) {
    let kept = std::env::temp_dir().join("modelux-bench-logs");
    std::fs::create_dir_all(&kept).ok();
    for log in std::fs::read_dir(directory.path())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "log"))
    {
        std::fs::copy(log.path(), kept.join(log.file_name())).ok();
    }
    crate::print(&format!("logs of the run: {}", kept.display())).ok();
}
