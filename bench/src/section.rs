//! What is measured, a section of the printed table each.

pub(crate) mod decision;
pub(crate) mod enforcement;
pub(crate) mod latency;
pub(crate) mod ledger;
pub(crate) mod memory;
pub(crate) mod ready;
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

/// How load is sent.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) shape: Shape,
    pub(crate) connections: usize,
    /// Requests a second; nothing for as fast as it goes.
    pub(crate) rate: Option<f64>,
    pub(crate) seconds: f64,
    pub(crate) peers: Peers,
}

impl Bench<'_> {
    /// Sends load from a process of its own and returns its report.
    pub(crate) fn load(&self, contestant: &Contestant, load: Load) -> anyhow::Result<LoadReport> {
        let path = std::env::current_exe()?;
        let program =
            Program { path: path.as_os_str(), arguments: arguments(contestant, load), environment: Vec::new(), placement: Placement::Load };
        let report: LoadReport = serde_json::from_str(&self.starter.output("bench load", program)?)?;
        anyhow::ensure!(report.finished > 0, "{:?} answered no request: last status {:?}", contestant.name, report.last_failure);
        Ok(report)
    }
}

fn arguments(contestant: &Contestant, load: Load) -> Vec<String> {
    let processes: Vec<String> = contestant.processes.iter().map(u32::to_string).collect();
    let shape = match load.shape {
        Shape::Short => "short",
        Shape::Long => "long",
        Shape::Stream => "stream",
    };
    let mut arguments =
        vec!["load".to_owned(), "--target".to_owned(), contestant.address.to_string(), "--shape".to_owned(), shape.to_owned()];
    arguments.extend(["--connections".to_owned(), load.connections.to_string(), "--seconds".to_owned(), load.seconds.to_string()]);
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
