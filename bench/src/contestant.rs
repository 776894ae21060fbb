//! Those who are measured against each other, each in front of the same mock provider.

mod baseline;
mod fleet;
mod manifest;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

pub(crate) use self::baseline::{Baseline, Mock};
pub(crate) use self::fleet::{Fleet, FleetOptions, Programs};
use crate::clock;
use crate::load::{Connection, RequestText};
use crate::process::Process;

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// No proxy between.
    Direct,
    Nginx,
    BarePingora,
    /// Its provider speaks the caller's dialect, as that of all before it does.
    Worker,
    /// The worker, whose provider speaks another.
    Converting,
}

impl Name {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Direct => "(no proxy)",
            Self::Nginx => "nginx `proxy_pass`",
            Self::BarePingora => "bare Pingora",
            Self::Worker => "**modelux worker**",
            Self::Converting => "**modelux worker**, converting",
        }
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Worker | Self::Converting)
    }
}

/// Where to send load, and whose processor time it costs.
#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    pub(crate) name: Name,
    pub(crate) address: SocketAddr,
    pub(crate) processes: Vec<u32>,
    pub(crate) key: String,
    pub(crate) model: String,
}

/// Asks for `path` until the answer is 200; gives up at once when the process has ended.
pub(crate) fn wait_until_ready(process: &mut Process, address: SocketAddr, path: &str, limit: Duration) -> anyhow::Result<()> {
    let request = RequestText::get(path);
    let found = clock::poll(limit, Duration::from_millis(1), || match process.still_runs() {
        Ok(()) => answers(address, &request).filter(|status| *status == 200).map(|_| Ok(())),
        Err(ended) => Some(Err(ended)),
    });
    found.with_context(|| format!("`{address}{path}` was not ready within {} s", limit.as_secs()))?
}

/// The status of one request on a connection of its own.
pub(crate) fn answers(address: SocketAddr, request: &RequestText) -> Option<u16> {
    let mut connection = Connection::open(address).ok()?;
    connection.exchange(request.bytes()).ok().map(|answer| answer.status)
}
