//! What is measured, a section of the printed table each.

pub(crate) mod decision;
pub(crate) mod dialects;
pub(crate) mod enforcement;
pub(crate) mod latency;
pub(crate) mod ledger;
pub(crate) mod memory;
pub(crate) mod open_streams;
pub(crate) mod ready;
pub(crate) mod saturation;
pub(crate) mod throughput;

use crate::contestant::Contestant;
use crate::load::{LoadReport, Peers, Shape};
use crate::process::{Placement, Program, Starter};
use crate::progress::Progress;

/// What every section needs.
pub(crate) struct Bench<'a> {
    pub(crate) starter: &'a Starter<'a>,
    pub(crate) progress: &'a Progress,
    pub(crate) rounds: usize,
    /// Length of a measured window.
    pub(crate) seconds: f64,
}

/// One contestant under one kind of load.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) shape: Shape,
    pub(crate) contestant: Contestant,
}

impl Entry {
    /// All contestants under all kinds of load, those under the same beside each other.
    pub(crate) fn of_all(shapes: &[Shape], contestants: &[Contestant]) -> Vec<Self> {
        let under = |shape: &Shape| {
            let shape = *shape;
            contestants.iter().map(move |contestant| Self { shape, contestant: contestant.clone() })
        };
        shapes.iter().flat_map(under).collect()
    }

    /// What a failure and a step are called.
    pub(crate) fn title(&self) -> String {
        format!("{}, {:?}", self.shape.title(), self.contestant.name)
    }
}

/// How load is sent.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) shape: Shape,
    pub(crate) connections: usize,
    /// Requests a second; nothing for as fast as it goes.
    pub(crate) rate: Option<f64>,
    pub(crate) seconds: f64,
    /// Seconds of load before these.
    pub(crate) warm_up: f64,
    pub(crate) peers: Peers,
}

/// How long it is sent.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) rounds: usize,
    pub(crate) warm_up: f64,
    /// Length of a measured window.
    pub(crate) seconds: f64,
}

impl Bench<'_> {
    /// Sends load from a process of its own and returns its report.
    pub(crate) fn load(&self, contestant: &Contestant, load: Load) -> anyhow::Result<LoadReport> {
        let path = std::env::current_exe()?;
        let program =
            Program { path: path.as_os_str(), arguments: arguments(contestant, load), environment: Vec::new(), placement: Placement::Load };
        let report: LoadReport = serde_json::from_str(&self.starter.output("bench load", program)?)?;
        anyhow::ensure!(report.finished > 0, "{:?} answered no request: the last was {:?}", contestant.name, report.last_failure);
        Ok(report)
    }
}

fn arguments(contestant: &Contestant, load: Load) -> Vec<String> {
    let processes: Vec<String> = contestant.processes.iter().map(u32::to_string).collect();
    let mut arguments = vec!["load".to_owned(), "--target".to_owned(), contestant.address.to_string()];
    arguments.extend(load.shape.arguments());
    arguments.extend(["--connections".to_owned(), load.connections.to_string(), "--seconds".to_owned(), load.seconds.to_string()]);
    arguments.extend(["--warm-up".to_owned(), load.warm_up.to_string()]);
    arguments.extend(["--key".to_owned(), contestant.key.clone(), "--model".to_owned(), contestant.model.clone()]);
    if let Some(rate) = load.rate {
        arguments.extend(["--rate".to_owned(), rate.to_string()]);
    }
    if load.peers == Peers::Awake {
        arguments.push("--awake".to_owned());
    }
    if !processes.is_empty() {
        arguments.extend(["--watch".to_owned(), processes.join(",")]);
    }
    arguments
}
