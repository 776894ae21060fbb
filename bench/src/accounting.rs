//! What the kernel says a process has used, and what the hypervisor took. Read from `/proc`: processor time in nanoseconds, thread by thread,
//! because the ticks of a whole process's account are as long as a fortieth of a short window.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;

/// User and system time of the threads of processes.
///
/// Special case: what a thread spent between two readings is lost when it has ended by the second. The proxies that are measured keep theirs.
pub(crate) struct ProcessorTime(HashMap<u32, u64>);

impl ProcessorTime {
    pub(crate) fn of_all(processes: &[u32]) -> anyhow::Result<Self> {
        let mut threads = HashMap::new();
        for process in processes {
            let listed = std::fs::read_dir(format!("/proc/{process}/task")).with_context(|| format!("process {process} is gone"))?;
            for thread in listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
                // One that has ended since it was listed has no file any more.
                let Ok(account) = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")) else { continue };
                let spent = account.split_whitespace().next().and_then(|first| first.parse().ok());
                threads.insert(thread, spent.context("`/proc/…/schedstat` reads differently here")?);
            }
        }
        anyhow::ensure!(processes.is_empty() || !threads.is_empty(), "this kernel keeps no `/proc/…/schedstat`");
        Ok(Self(threads))
    }

    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let spent = self.0.iter().map(|(thread, now)| now.saturating_sub(earlier.0.get(thread).copied().unwrap_or(0)));
        Duration::from_nanos(spent.sum())
    }
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_bytes(process: u32) -> anyhow::Result<u64> {
    of_table(&format!("/proc/{process}/status"), "VmRSS:")
}

/// Memory of a process in bytes, of what it shares only its part: what it holds for its work, and not how often a library is mapped.
pub(crate) fn proportional_bytes(process: u32) -> anyhow::Result<u64> {
    of_table(&format!("/proc/{process}/smaps_rollup"), "Pss:")
}

/// A line of one of the tables in `/proc`, which are in kibibytes.
fn of_table(path: &str, name: &str) -> anyhow::Result<u64> {
    let table = std::fs::read_to_string(path).with_context(|| format!("read `{path}`"))?;
    let line = table.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no `{name}` in `{path}`"))?;
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
        assert!(proportional_bytes(own).unwrap() > 256 * 1024);
        let before = ProcessorTime::of_all(&[own]).unwrap();
        let mut work = 0_u64;
        while ProcessorTime::of_all(&[own]).unwrap().since(&before).is_zero() {
            work = std::hint::black_box(work + 1);
        }
        assert!(ProcessorTime::of_all(&[u32::MAX]).is_err());
    }
}
