//! The harness: databases, Redis, control planes, workers and a provider, started for one test and gone after it.
//!
//! Promises: everything goes through public interfaces (programs, HTTP, GraphQL), never through the database behind them; ports are free
//! ones, files are in a directory of the test; only processes started here are ever ended; waiting is for a value with a limit; when a
//! test fails, its directory is kept and the ends of the logs are printed.
//!
//! Leaves out: assertions about the product. Those are in `it/`.

pub mod api;
pub mod caller;
pub mod collector;
pub mod config;
pub mod database;
pub mod fleet;
pub mod graphql;
mod guarded;
pub mod http;
pub mod process;
pub mod program;
pub mod provider;
pub mod redis;
pub mod scratch;
pub mod secured;
pub mod wait;
pub mod wire;
pub mod worker;
