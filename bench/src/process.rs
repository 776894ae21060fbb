//! Processes that a measurement starts: each on the core it belongs to, with the priority that keeps other work on the
//! machine from deciding the result, and ended with the measurement whatever happens to it.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use crate::clock;

/// How long a process gets to end by itself.
const ORDERLY_END: Duration = Duration::from_secs(20);

/// Which core a process runs on, and whether it may be interrupted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Core 0, real-time: the proxy that is measured, alone.
    Measured,
    /// Core 1, real-time: mock provider and load generator.
    Load,
    /// Core 1, ordinary: what must be there but is not measured.
    Beside,
    /// Wherever the kernel puts it.
    Anywhere,
}

impl Placement {
    /// The commands in front of the program's own. `setpriv` ends it with this process, even a killed one.
    fn prefix(self, real_time: bool) -> Vec<&'static str> {
        let mut words = vec!["setpriv", "--pdeathsig", "TERM"];
        if real_time && matches!(self, Self::Measured | Self::Load) {
            words.extend(["chrt", "-f", "5"]);
        }
        match self {
            Self::Measured => words.extend(["taskset", "-c", "0"]),
            Self::Load | Self::Beside => words.extend(["taskset", "-c", "1"]),
            Self::Anywhere => {}
        }
        words
    }
}

/// What to start.
pub(crate) struct Program<'a> {
    pub(crate) path: &'a OsStr,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) placement: Placement,
}

/// Starts processes the same way, into one directory of logs.
pub(crate) struct Starter<'a> {
    pub(crate) logs: &'a Path,
    /// Whether this machine lets us use real-time priority.
    pub(crate) real_time: bool,
}

/// A running process; ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Starter<'_> {
    pub(crate) fn start(&self, name: &str, program: Program<'_>) -> anyhow::Result<Process> {
        let log = File::create(self.logs.join(format!("{name}.log")))?;
        let mut command = self.command(&program);
        let child = command.stdout(log.try_clone()?).stderr(log).spawn().with_context(|| format!("start `{name}`"))?;
        Ok(Process { child, name: name.to_owned() })
    }

    /// Runs to the end and returns what was printed.
    pub(crate) fn output(&self, name: &str, program: Program<'_>) -> anyhow::Result<String> {
        let output =
            self.command(&program).stdout(Stdio::piped()).stderr(Stdio::piped()).output().with_context(|| format!("run `{name}`"))?;
        let said = String::from_utf8(output.stdout)?;
        anyhow::ensure!(output.status.success(), "`{name}` failed: {said}{}", String::from_utf8_lossy(&output.stderr));
        Ok(said)
    }

    fn command(&self, program: &Program<'_>) -> Command {
        let prefix = program.placement.prefix(self.real_time);
        let mut command = Command::new(prefix.first().copied().unwrap_or("env"));
        command.args(prefix.iter().skip(1)).arg(program.path).args(&program.arguments);
        command.envs(program.environment.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error once the process has ended, so that nobody waits for it any longer.
    pub(crate) fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("`{}` ended: {status}", self.name),
        }
    }

    fn end(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.id().to_string()]).stderr(Stdio::null()).status();
        let ended = clock::poll(ORDERLY_END, Duration::from_millis(5), || self.child.try_wait().ok().flatten());
        if asked.is_err() || ended.is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether `chrt` works for us: it needs root or a limit that allows it.
pub(crate) fn real_time_is_permitted() -> bool {
    let tried = Command::new("chrt").args(["-f", "5", "true"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// A loopback address nobody listens on.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
