//! Resident memory of the worker: idle, with 500 streams open at once, and with 10,000 connections that do nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Bench, Load};
use crate::accounting;
use crate::contestant::Fleet;
use crate::load::{Connection, Peers, RequestText, Shape, WARM_UP};

const BUSY_CONNECTIONS: usize = 500;
const IDLE_CONNECTIONS: usize = 10_000;
/// After a start, what was only needed for it has been given back by then.
const SETTLING: Duration = Duration::from_secs(3);

pub(crate) const STEPS: usize = 3;

pub(crate) struct Memory {
    idle: u64,
    busy: u64,
    connected: u64,
    /// How many of the idle connections were still open when it was read.
    open: usize,
}

pub(crate) fn measure(bench: &Bench<'_>, fleet: &Fleet<'_>) -> anyhow::Result<Memory> {
    let worker = fleet.contestant()?;
    bench.progress.step("memory, idle");
    std::thread::sleep(SETTLING);
    let idle = resident(&worker.processes)?;
    bench.progress.step("memory, 500 streams");
    let busy = with_streams(bench, fleet)?;
    bench.progress.step("memory, 10,000 idle connections");
    let (connected, open) = with_idle_connections(worker.address, &worker.processes)?;
    Ok(Memory { idle, busy, connected, open })
}

fn resident(processes: &[u32]) -> anyhow::Result<u64> {
    processes.iter().map(|process| accounting::resident_bytes(*process)).sum()
}

/// Each has been used once, as a client's pool would have done.
fn with_idle_connections(address: SocketAddr, processes: &[u32]) -> anyhow::Result<(u64, usize)> {
    let request = RequestText::get("/healthz");
    let mut connections = Vec::with_capacity(IDLE_CONNECTIONS);
    for _ in 0..IDLE_CONNECTIONS {
        let mut connection = Connection::open(address)?;
        connection.exchange(request.bytes())?;
        connections.push(connection.idle());
    }
    std::thread::sleep(SETTLING);
    let resident = resident(processes)?;
    let open = connections.iter().filter(|connection| connection.is_open()).count();
    Ok((resident, open))
}

/// The greatest reading while 500 streams are under way.
fn with_streams(bench: &Bench<'_>, fleet: &Fleet<'_>) -> anyhow::Result<u64> {
    let slow = fleet.slow_contestant()?;
    let load =
        Load { shape: Shape::STREAM, connections: BUSY_CONNECTIONS, rate: None, seconds: 4.0, warm_up: WARM_UP, peers: Peers::Asleep };
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| -> anyhow::Result<u64> {
            let mut greatest = 0;
            for _ in 0..8 {
                std::thread::sleep(Duration::from_millis(500));
                greatest = greatest.max(resident(&slow.processes)?);
            }
            Ok(greatest)
        });
        bench.load(&slow, load)?;
        sampler.join().map_err(|_| anyhow::anyhow!("the sampler panicked"))?
    })
}

impl Memory {
    pub(crate) fn table(&self) -> String {
        let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        format!(
            "| worker, 10,000 keys loaded | resident |\n|---|---|\n| idle | {} |\n| {BUSY_CONNECTIONS} streams at once | {} |\n| {} idle connections | {} |\n",
            mb(self.idle),
            mb(self.busy),
            self.open,
            mb(self.connected)
        )
    }
}
