//! The load generator: a process of its own, so that its work is not the orchestrator's. A blocking thread a connection,
//! one write and (mostly) one read a request. It measures inside a window that begins after a warm-up, and reads the
//! processor time of the processes it is told to watch at both edges of that window, so both belong to the same requests.

mod closed;
mod connection;
mod open;
mod request;
mod shape;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};

pub(crate) use self::connection::{Answer, Begun, Connection};
pub(crate) use self::request::RequestText;
pub(crate) use self::shape::{Prompt, Shape};
use crate::accounting::{self, ProcessorTime};
use crate::{clock, statistics};

/// What mock provider and load generator do while nothing is there for them.
///
/// On loopback it is the sender who wakes the receiver, and a processor that idles deeply is dear to wake: so a proxy that leaves the load's
/// core idle for a while pays for that, and one that keeps it busy does not. Peers that stay awake cost every proxy the same, as peers on
/// other machines would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// They poll.
    Awake,
    /// They wait to be woken, by whoever sends them something.
    Asleep,
}

/// Seconds of load before the window.
pub(crate) const WARM_UP: f64 = 0.5;

#[derive(Args, Clone)]
pub(crate) struct LoadOptions {
    /// Where the requests go.
    #[arg(long)]
    pub(crate) target: SocketAddr,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// Connections, each with a thread.
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,
    /// Length of the measured window.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Load before the window.
    #[arg(long, default_value_t = WARM_UP)]
    pub(crate) warm_up: f64,
    /// Requests a second in open loop with Poisson arrivals; left out: closed loop, as fast as it goes.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Poll instead of waiting to be woken.
    #[arg(long)]
    pub(crate) awake: bool,
    /// Sent as the bearer credential.
    #[arg(long, default_value = "bench")]
    pub(crate) key: String,
    /// Sent as the model.
    #[arg(long, default_value = "openai/gpt-test")]
    pub(crate) model: String,
    /// Processes whose processor time is read at both edges of the window.
    #[arg(long, value_delimiter = ',')]
    pub(crate) watch: Vec<u32>,
}

/// What one run found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    /// Answered with 200 and to the end inside the window.
    pub(crate) finished: u64,
    /// Anything else inside the window.
    pub(crate) failed: u64,
    /// What one of them was.
    pub(crate) last_failure: Option<String>,
    pub(crate) seconds: f64,
    /// Processor time of the watched processes inside the window, user and system.
    pub(crate) processor_us: f64,
    /// Share of the machine's time that the hypervisor gave to others.
    pub(crate) stolen: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Until the first byte of the body.
    pub(crate) first_byte_p50_us: f64,
    pub(crate) first_byte_p99_us: f64,
}

impl LoadReport {
    pub(crate) fn rate(&self) -> f64 {
        self.finished as f64 / self.seconds
    }

    pub(crate) fn processor_us_per_request(&self) -> f64 {
        self.processor_us / (self.finished.max(1)) as f64
    }

    /// The report, where every request was answered as it should be: what fails is cheap, and would be counted as fast.
    pub(crate) fn without_failures(self) -> anyhow::Result<Self> {
        let Self { failed, finished, .. } = self;
        let of = failed + finished;
        anyhow::ensure!(failed == 0, "{failed} of {of} requests failed, one of them with {}", self.last_failure.as_deref().unwrap_or("?"));
        Ok(self)
    }
}

/// What every connection sends, and where.
struct Asked {
    target: SocketAddr,
    peers: Peers,
    request: RequestText,
    shape: Shape,
}

impl Asked {
    fn connect(&self) -> std::io::Result<Connection> {
        Connection::open_as(self.peers, self.target)
    }
}

/// One finished request.
#[derive(Clone, Copy)]
struct Sample {
    latency: Duration,
    first_byte: Duration,
}

/// What one thread brings back.
#[derive(Default)]
struct Tally {
    samples: Vec<Sample>,
    failed: u64,
    last_failure: Option<String>,
}

impl Tally {
    fn fail(&mut self, why: impl Into<String>) {
        self.failed += 1;
        self.last_failure = Some(why.into());
    }

    /// Takes an answer to what was sent at `started`.
    fn take(&mut self, connection: &Connection, answer: &Answer, asked: &Asked, started: Instant) {
        match connection.check(answer, asked.shape.end()) {
            Ok(()) => self.samples.push(Sample { latency: answer.done - started, first_byte: answer.first_byte - started }),
            Err(fault) => self.fail(fault),
        }
    }
}

/// The measured part of a run.
#[derive(Clone, Copy)]
struct Window {
    opens: Instant,
    closes: Instant,
}

impl Window {
    fn holds(&self, moment: Instant) -> bool {
        (self.opens..self.closes).contains(&moment)
    }
}

/// Runs and prints the report as one line of JSON.
pub(crate) fn run(options: &LoadOptions) -> anyhow::Result<()> {
    let report = measure(options)?;
    crate::print(&serde_json::to_string(&report)?)
}

/// Runs in this process.
pub(crate) fn measure(options: &LoadOptions) -> anyhow::Result<LoadReport> {
    let opens = clock::now() + Duration::from_secs_f64(options.warm_up);
    let window = Window { opens, closes: opens + Duration::from_secs_f64(options.seconds) };
    let asked = Asked {
        target: options.target,
        peers: if options.awake { Peers::Awake } else { Peers::Asleep },
        request: RequestText::new(options.shape, &options.key, &options.model),
        shape: options.shape,
    };
    let arrivals = options.rate.map(|rate| open::Arrivals::new(rate, options, window));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.connections)
            .map(|_| {
                scope.spawn(|| match &arrivals {
                    Some(arrivals) => open::run(&asked, arrivals, window),
                    None => closed::run(&asked, window),
                })
            })
            .collect();
        let edges = watch(&options.watch, window);
        let tallies: Vec<Tally> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        Ok(report(&tallies, edges?, window))
    })
}

/// Processor time and stolen time between the edges of the window.
fn watch(processes: &[u32], window: Window) -> anyhow::Result<(Duration, f64)> {
    clock::sleep_until(window.opens);
    let (before, machine_before) = (ProcessorTime::of_all(processes)?, accounting::MachineTime::read()?);
    clock::sleep_until(window.closes);
    let (after, machine_after) = (ProcessorTime::of_all(processes)?, accounting::MachineTime::read()?);
    Ok((after.since(&before), machine_after.stolen_since(&machine_before)))
}

fn report(tallies: &[Tally], (processor, stolen): (Duration, f64), window: Window) -> LoadReport {
    let samples: Vec<Sample> = tallies.iter().flat_map(|tally| tally.samples.iter().copied()).collect();
    // No sample, no number: then the count of failures says why, and JSON knows no other word for it.
    let at = |sorted: &[f64], share| if sorted.is_empty() { 0.0 } else { statistics::quantile(sorted, share) };
    let latencies = statistics::sorted(samples.iter().map(|sample| micros(sample.latency)));
    let first_bytes = statistics::sorted(samples.iter().map(|sample| micros(sample.first_byte)));
    LoadReport {
        finished: samples.len() as u64,
        failed: tallies.iter().map(|tally| tally.failed).sum(),
        last_failure: tallies.iter().find_map(|tally| tally.last_failure.clone()),
        seconds: (window.closes - window.opens).as_secs_f64(),
        processor_us: micros(processor),
        stolen,
        p50_us: at(&latencies, 0.5),
        p99_us: at(&latencies, 0.99),
        p999_us: at(&latencies, 0.999),
        first_byte_p50_us: at(&first_bytes, 0.5),
        first_byte_p99_us: at(&first_bytes, 0.99),
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
