//! A program that runs beside the test, its output in files.
//!
//! Signals go to the one process that was started here, by its id. A process that still runs when the value is dropped is killed; when
//! the test is failing, the ends of its logs are printed first.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::until;

/// How much of a log is printed when a test fails.
const TAIL: usize = 6_000;

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` with no input and its output in `directory`.
    pub fn start(name: &str, directory: &Path, mut command: Command) -> Self {
        let file = |ending: &str| (1..).map(|run| directory.join(format!("{name}.{run}.{ending}"))).find(|path| !path.exists());
        let (stdout, stderr) = (file("out").expect("a free name"), file("err").expect("a free name"));
        let open = |path: &Path| Stdio::from(File::create(path).expect("a log file"));
        command.stdin(Stdio::null()).stdout(open(&stdout)).stderr(open(&stderr));
        let child = command.spawn().unwrap_or_else(|error| panic!("`{}` does not start: {error}", name_of(&command)));
        Self { name: name.to_owned(), child, stdout, stderr }
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has logged so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until `find` finds something in what was printed; panics when the process ends before.
    pub async fn printed<T>(&mut self, what: &str, limit: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let what = format!("{} prints {what}", self.name);
        let this = std::cell::RefCell::new(self);
        until(&what, limit, || async {
            let mut process = this.borrow_mut();
            let found = find(&process.stdout());
            if found.is_none()
                && let Some(status) = process.ended()
            {
                panic!("{} ended with {status}\n{}", process.name, tail(&process.stderr()));
            }
            found
        })
        .await
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("a child of this process");
    }

    /// Stops it where it is (SIGSTOP).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of this process")
    }

    /// Waits for its end.
    pub async fn end(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let this = std::cell::RefCell::new(self);
        until(&what, limit, || async { this.borrow_mut().ended() }).await
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).unwrap_or_else(|error| panic!("{} can't be signalled: {error}", self.name));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        if std::thread::panicking() {
            eprintln!("--- {} ({ended:?})\n{}{}", self.name, tail(&self.stdout()), tail(&self.stderr()));
        }
        if ended.is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(TAIL);
    let start = (start..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[start..]
}

/// Runs `program` to its end and returns its output.
pub fn output(program: impl AsRef<OsStr>, arguments: &[&str]) -> std::process::Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("a program that can be started")
}
