//! What the kernel says a process has used, and what the hypervisor took. Read from `/proc`, in the clock ticks it counts in.

use std::time::Duration;

use anyhow::Context;

/// `USER_HZ`, the unit of these files: 100 on every Linux this runs on.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of processes.
#[derive(Clone, Copy)]
pub(crate) struct ProcessorTime(Duration);

impl ProcessorTime {
    pub(crate) fn of_all(processes: &[u32]) -> anyhow::Result<Self> {
        let mut ticks = 0;
        for process in processes {
            ticks += ticks_of(*process)?;
        }
        Ok(Self(TICK * ticks))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

fn ticks_of(process: u32) -> anyhow::Result<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).with_context(|| format!("process {process} is gone"))?;
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th fields behind it.
    let (_, fields) = stat.rsplit_once(')').context("`/proc/…/stat` reads differently here")?;
    let ticks: Result<Vec<u32>, _> = fields.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum())
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_bytes(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no `VmRSS` in `/proc/…/status`")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

/// Children of a process that have not ended.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The first line of `/proc/stat`.
pub(crate) struct MachineTime {
    all: u64,
    stolen: u64,
}

impl MachineTime {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().context("`/proc/stat` is empty")?;
        // user nice system idle iowait irq softirq steal; what follows is counted in these already.
        let fields: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
        Ok(Self { all: fields.iter().sum(), stolen: fields.get(7).copied().unwrap_or(0) })
    }

    /// Share of the time between two readings that was stolen.
    pub(crate) fn stolen_since(&self, earlier: &Self) -> f64 {
        (self.stolen - earlier.stolen) as f64 / (self.all - earlier.all).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_read_its_own_account() {
        let own = std::process::id();
        assert!(resident_bytes(own).unwrap() > 1024 * 1024);
        ProcessorTime::of_all(&[own]).unwrap();
        assert!(ProcessorTime::of_all(&[u32::MAX]).is_err());
    }
}
