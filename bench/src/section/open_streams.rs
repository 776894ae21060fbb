//! Memory of one open stream: the worker is started anew, streams are opened and held half-way by the mock provider, and the worker's memory is
//! read with none of them, with 500 and with 1,000.
//!
//! Started anew, because an allocator keeps what it was once given: streams after others would seem to cost nothing. Read in proportional
//! bytes. Every stream is let go on afterwards and has to come to its end.

use std::time::Duration;

use anyhow::Context;

use super::{Bench, Entry};
use crate::accounting;
use crate::contestant::{Fleet, Mock, Name};
use crate::load::{Begun, Connection, RequestText, Shape};

/// How many are open when memory is read.
const COUNTS: [usize; 2] = [500, 1_000];
/// After a start, what was only needed for it has been given back by then; and streams have come as far as they are held.
const SETTLING: Duration = Duration::from_secs(1);

/// Memory with streams of one kind open.
pub(crate) struct OpenStreams {
    pub(crate) shape: Shape,
    pub(crate) name: Name,
    idle: u64,
    /// With as many open as [`COUNTS`] says.
    held: Vec<u64>,
}

/// Steps that [`measure`] announces for so many kinds.
pub(crate) fn steps(kinds: usize) -> usize {
    kinds
}

/// Every one of `shapes`, passed through and converted.
pub(crate) fn measure(bench: &Bench<'_>, fleet: &mut Fleet<'_>, mock: &Mock, shapes: &[Shape]) -> anyhow::Result<Vec<OpenStreams>> {
    let mut found = Vec::new();
    for shape in shapes {
        for name in [Name::Worker, Name::Converting] {
            fleet.restart_worker(false)?;
            let entry = Entry { shape: *shape, contestant: fleet.speaking(shape.dialect, name)? };
            bench.progress.step(&format!("memory of open streams: {}", entry.title()));
            std::thread::sleep(SETTLING);
            mock.hold(true)?;
            let held = held(&entry, mock);
            mock.hold(false)?;
            found.push(held.with_context(|| entry.title())?);
        }
    }
    Ok(found)
}

fn held(entry: &Entry, mock: &Mock) -> anyhow::Result<OpenStreams> {
    let Entry { shape, contestant } = entry;
    let read = || contestant.processes.iter().map(|process| accounting::proportional_bytes(*process)).sum::<anyhow::Result<u64>>();
    let request = RequestText::new(*shape, &contestant.key, &contestant.model);
    let (mut open, mut held): (Vec<(Connection, Begun)>, _) = (Vec::new(), Vec::new());
    let idle = read()?;
    for count in COUNTS {
        while open.len() < count {
            let mut connection = Connection::open(contestant.address)?;
            let begun = connection.begin(request.bytes())?;
            open.push((connection, begun));
        }
        std::thread::sleep(SETTLING);
        held.push(read()?);
    }
    mock.hold(false)?;
    for (mut connection, begun) in open {
        let answer = connection.finish(begun)?;
        connection.check(&answer, shape.end()).map_err(anyhow::Error::msg)?;
    }
    Ok(OpenStreams { shape: *shape, name: contestant.name, idle, held })
}

impl OpenStreams {
    /// What one of `count` streams takes, in kibibytes.
    fn each(&self, count: usize, held: u64) -> f64 {
        held.saturating_sub(self.idle) as f64 / count as f64 / 1024.0
    }

    /// What one takes where it takes most.
    pub(crate) fn most_kib(&self) -> f64 {
        COUNTS.iter().zip(&self.held).map(|(count, held)| self.each(*count, *held)).fold(0.0, f64::max)
    }
}

pub(crate) fn table(found: &[OpenStreams]) -> String {
    let mut text = String::from("| worker | stream | memory without, MB |");
    for count in COUNTS {
        text.push_str(&format!(" KiB a stream, {count} open |"));
    }
    text.push_str("\n|---|---|---|---|---|\n");
    for streams in found {
        let idle = streams.idle as f64 / 1e6;
        text.push_str(&format!("| {} | {} | {idle:.1} |", streams.name.title(), streams.shape.title()));
        for (count, held) in COUNTS.iter().zip(&streams.held) {
            text.push_str(&format!(" {:.1} |", streams.each(*count, *held)));
        }
        text.push('\n');
    }
    text
}
