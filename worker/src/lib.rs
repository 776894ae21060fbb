//! The data plane: one worker of the fleet, on Pingora.
//!
//! A request moves one way: [`exchange`] reads it (`ingress`), finds on whose behalf it comes (`identity`), asks `policy::engine`, and gives an
//! answer that was kept (`cache`) or turns the permit into an admission (`enforce`), walks the route (`route`), sends (`upstream`), passes the
//! answer on while it is measured (`relay`, `metering`) and books what it cost. Everything a refused caller sees is written in `respond`.
//!
//! Promises: no admission, no upstream; no network on the path but the provider's, and where a config keeps answers Redis for a bounded
//! moment; no request without an event; nothing internal, no key
//! and no prompt in an answer, a log or a metric.
//!
//! Leaves out: the database, which this crate never opens, and whatever an operator may change while it runs, which arrives as bundles.

mod admin;
pub mod budget;
pub mod cache;
pub mod clock;
pub mod config;
mod enforce;
pub mod exchange;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gateway;
mod guard;
pub mod health;
mod identity;
mod ingress;
pub mod link;
mod metering;
mod models;
pub mod policy_feed;
mod redis;
mod relay;
mod respond;
mod route;
pub mod server;
pub mod spool;
pub mod telemetry;
mod tokenizer;
mod upstream;

pub use server::{Bound, RunError, run};
