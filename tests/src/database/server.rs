//! A PostgreSQL server of the test's own, for runs without the services that `make test` starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, output};
use crate::scratch::Scratch;
use crate::wait::until;
use crate::wire::free_address;

/// Runs until dropped.
#[derive(Debug)]
pub struct LocalServer {
    address: SocketAddr,
    _process: Process,
    _directory: Scratch,
}

impl LocalServer {
    /// Starts one; PostgreSQL refuses to run as root, so its package's user runs it there.
    pub async fn start() -> Self {
        let directory = Scratch::new("postgres");
        let data = directory.join("data");
        std::fs::create_dir(&data).expect("a directory");
        let as_root = rustix::process::getuid().is_root();
        if as_root {
            let given = output("chown", &["postgres", &data.to_string_lossy(), &directory.path().to_string_lossy()]);
            assert!(given.status.success(), "no user `postgres` to run the server as: install Debian's `postgresql`");
        }
        let made = server_command("initdb", as_root)
            .args(["--username=modelux", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata"])
            .arg(&data)
            .output()
            .expect("`initdb`");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let address = free_address();
        let mut command = server_command("postgres", as_root);
        let port = address.port().to_string();
        command.arg("-D").arg(&data).args(["-p", &port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        command.arg("-c").arg(format!("unix_socket_directories={}", data.display()));
        let process = Process::start("postgres", directory.path(), command);
        until("PostgreSQL listens", Duration::from_secs(30), || async {
            server_command("pg_isready", false).args(["-h", "127.0.0.1", "-p", &port]).output().ok().filter(|said| said.status.success())
        })
        .await;
        Self { address, _process: process, _directory: directory }
    }

    /// Its maintenance database.
    pub fn url(&self) -> String {
        format!("postgres://modelux@{}/postgres", self.address)
    }
}

/// Debian keeps the server's programs out of the path.
fn server_command(name: &str, as_postgres: bool) -> Command {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)).filter(|path| path.exists()))
        .collect();
    versions.sort();
    let program = versions.pop().unwrap_or_else(|| PathBuf::from(name));
    if !as_postgres {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=QUIT"]).arg(program);
    command
}
