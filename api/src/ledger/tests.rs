//! Leases and booking on SQLite in memory, with workers that come, go and die.

#![expect(clippy::disallowed_methods, reason = "a test looks at rows and clocks from outside of the store")]

mod booking;
mod concurrency;
mod escrow;
mod interleaving;
mod world;
