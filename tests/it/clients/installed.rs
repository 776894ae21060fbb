//! Where the clients are, and how they are run: with nothing of the environment but what they need, and with a limit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tests::config::CONFIG;
use tests::process::Process;
use tests::scratch::Scratch;

/// The ecosystems, each with its folder in `tests/clients`, its lock file and the one that says what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ecosystem {
    Python,
    Node,
}

impl Ecosystem {
    fn lock(self) -> (&'static str, &'static str) {
        match self {
            Self::Python => ("python", "requirements.txt"),
            Self::Node => ("node", "package-lock.json"),
        }
    }

    /// Scripts and lock files.
    pub(super) fn sources(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(self.lock().0)
    }

    /// What was installed by the lock file at hand.
    pub(super) fn directory(self) -> PathBuf {
        let (name, lock) = self.lock();
        let digest = Sha256::digest(std::fs::read(self.sources().join(lock)).expect("a lock file"));
        let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let directory = CONFIG.clients.join(format!("{name}-{digest}"));
        assert!(directory.is_dir(), "`{}` is not there: run `make test`, or scripts/install-clients", directory.display());
        directory
    }

    /// The version that is asked for.
    pub(super) fn version(self, package: &str) -> String {
        let found = match self {
            Self::Python => {
                let text = std::fs::read_to_string(self.sources().join("requirements.in")).expect("requirements.in");
                text.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("==").map(str::to_owned))
            }
            Self::Node => {
                let text = std::fs::read(self.sources().join("package.json")).expect("package.json");
                let asked: Value = serde_json::from_slice(&text).expect("JSON");
                asked["dependencies"][package].as_str().map(str::to_owned)
            }
        };
        found.unwrap_or_else(|| panic!("`{package}` is not asked for"))
    }

    /// A script of `tests/clients`, which finds its packages.
    pub(super) fn script(self, name: &str, scratch: &Scratch) -> Command {
        let source = self.sources().join(name);
        match self {
            Self::Python => {
                let mut python = bare("python3", scratch);
                python.arg(source).env("PYTHONPATH", self.directory()).env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
            Self::Node => {
                // Modules are looked for beside the script, wherever it is run.
                let beside = scratch.join("scripts");
                std::fs::create_dir_all(&beside).expect("a directory");
                for script in std::fs::read_dir(self.sources()).expect("the scripts").flatten() {
                    std::fs::copy(script.path(), beside.join(script.file_name())).expect("a copy");
                }
                std::os::unix::fs::symlink(self.directory().join("node_modules"), beside.join("node_modules")).expect("a link");
                let mut node = bare("node", scratch);
                node.arg(beside.join(name));
                node
            }
        }
    }

    /// A program of an installed Node package, by its path below `node_modules`.
    pub(super) fn program(self, path: &str, scratch: &Scratch) -> Command {
        let mut node = bare("node", scratch);
        node.arg(self.directory().join("node_modules").join(path));
        node
    }
}

/// A program with a home of its own.
pub(super) fn bare(program: impl AsRef<std::ffi::OsStr>, scratch: &Scratch) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", &CONFIG.path).env("HOME", scratch.path()).env("LANG", "C.UTF-8").current_dir(scratch.path());
    command
}

/// Runs a client to its end, whatever that is; status, output, errors.
pub(super) async fn finished(name: &str, command: Command, scratch: &Scratch, limit: Duration) -> (Option<i32>, String, String) {
    let mut process = Process::start(name, scratch.path(), command);
    let status = process.end(limit).await;
    (status.code(), process.stdout(), process.stderr())
}
