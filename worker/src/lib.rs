//! The data plane: one worker of the fleet, on Pingora.
//!
//! A request moves one way: [`exchange`] reads it (`ingress`), finds on whose behalf it comes (`identity`), asks `policy::engine`, turns the
//! permit into an admission (`enforce`), walks the route (`route`), sends (`upstream`), passes the answer on while it is measured (`relay`,
//! `metering`) and books what it cost. Everything a refused caller sees is written in `respond`.
//!
//! Promises: no admission, no upstream; no network on the path but the provider's; no request without an event; nothing internal, no key
//! and no prompt in an answer, a log or a metric.
//!
//! Leaves out: the database, which this crate never opens, and whatever an operator may change while it runs, which arrives as bundles.

pub mod budget;
pub mod clock;
pub mod config;
pub mod link;
pub mod policy_feed;
pub mod spool;
