//! The built programs, started with nothing in their environment but what the test says.

use std::process::Command;

use crate::config::CONFIG;

/// `name` from the directory of built programs.
pub fn command(name: &str) -> Command {
    let path = CONFIG.programs.join(name);
    assert!(path.exists(), "`{}` is not built: run `make test`, or `cargo build --workspace --bins`", path.display());
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("RUST_BACKTRACE", "1");
    command
}

/// The address after `http://` or `https://` in a line that `wanted` accepts.
pub(crate) fn address_in(text: &str, wanted: impl Fn(&str) -> bool) -> Option<std::net::SocketAddr> {
    text.lines().filter(|line| wanted(line)).find_map(|line| addresses(line).next())
}

/// Every `http://address` and `https://address` of a line, in order.
pub fn addresses(line: &str) -> impl Iterator<Item = std::net::SocketAddr> + '_ {
    line.split("://").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':' | '[' | ']'))).unwrap_or(rest.len());
        rest[..end].trim_end_matches(['.', ':']).parse().ok()
    })
}
