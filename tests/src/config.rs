//! What the tests are started with: the one place of this crate that reads the environment.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `MODELUX_TEST_PROGRAMS` | directory of the three built programs | two levels above the test binary |
//! | `MODELUX_BUILD_CACHE` | in its `clients`, what scripts/install-clients has installed | `~/.cache/modelux` |
//! | `PATH` | where interpreters of clients are found | `/usr/bin:/bin` |
//! | `TEST_DATABASE_URL` | a PostgreSQL in which databases may be created | a server is started for each database |
//! | `TEST_REDIS_URL` | not used: every Redis here is started, frozen and stopped by its test | |

use std::path::PathBuf;
use std::sync::LazyLock;

/// All of it.
#[derive(Debug)]
pub struct Config {
    /// Where `modelux`, `modelux-api` and `modelux-worker` are.
    pub programs: PathBuf,
    /// Where installed clients are.
    pub clients: PathBuf,
    /// Where programs that are not ours are looked for.
    pub path: String,
    /// PostgreSQL to create databases in.
    pub database_url: Option<String>,
}

/// Read once a process.
pub static CONFIG: LazyLock<Config> = LazyLock::new(|| Config {
    programs: variable("MODELUX_TEST_PROGRAMS").map_or_else(beside_the_tests, PathBuf::from),
    clients: variable("MODELUX_BUILD_CACHE").map_or_else(in_the_home, PathBuf::from).join("clients"),
    path: variable("PATH").unwrap_or_else(|| "/usr/bin:/bin".to_owned()),
    database_url: variable("TEST_DATABASE_URL"),
});

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// `target/debug/deps/it-…` → `target/debug`.
fn beside_the_tests() -> PathBuf {
    let binary = std::env::current_exe().expect("the test binary has a path");
    binary.parent().and_then(|deps| deps.parent()).expect("the test binary is in a target directory").to_owned()
}

fn in_the_home() -> PathBuf {
    PathBuf::from(variable("HOME").unwrap_or_default()).join(".cache/modelux")
}
