//! Real clients, as their makers ship them, against real planes and a provider that follows a script (issue 3 point 11).
//!
//! The clients are in the versions that `tests/clients` pins; `scripts/install-clients` installs them. What each of them could do is kept in
//! `docs/compatibility.md`, which these tests compare and write.

mod agents;
mod compatibility;
mod installed;
mod scenario;
mod sdks;
