//! The rows of the control plane's database: one file a table, the columns and nothing else.
//!
//! Promises: every table of the database has its entity here, and [`TABLES`] lists them all; a test holds that list
//! against the database. Ids are prefixed text, money is nano-USD in `i64`, every integer is an `i64`, and every
//! time is UTC. Whoever writes a time truncates it to microseconds: SQLite would keep more, PostgreSQL does not.
//!
//! Leaves out: queries, rules and anything that the web sees. Rows become domain types in the control plane.

pub mod audit_event;
pub mod budget;
pub mod budget_entry;
pub mod budget_period;
pub mod bundle;
pub mod deployment_key;
pub mod idempotency_key;
pub mod lease;
pub mod management_key;
pub mod membership;
pub mod model;
pub mod model_price;
pub mod organization;
pub mod outbox;
pub mod project;
pub mod provider;
pub mod proxy_key;
pub mod request_log;
pub mod request_tag;
pub mod routing_config;
pub mod routing_config_version;
pub mod session;
mod tables;
pub mod usage_ledger;
pub mod user;
pub mod worker;
pub mod worker_health;
pub mod worker_revision;
pub mod worker_token;

pub use tables::{Column, TABLES, Table};
