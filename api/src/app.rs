//! The use cases of the control plane, one file a resource: authorise → load → change → publish → audit.
//!
//! Every change goes through [`run`], in one transaction that is taken back whole if any step fails: the organization's lock, the rows,
//! the compiled and signed bundle, the audit event, the kept answer for an idempotency key. What a use case itself does is a
//! [`Command`]; what kinds of things share is in [`managed`].
//!
//! Promises: a mutation that is answered with success has exactly one audit event, one that is refused has none and has changed
//! nothing. The name of a command, of its GraphQL field and of its audit action is one word.

pub(crate) mod budget;
mod change;
mod document;
mod failure;
pub(crate) mod managed;
pub(crate) mod management_key;
pub(crate) mod manifest;
pub(crate) mod member;
pub(crate) mod model;
pub(crate) mod organization;
mod price_change;
pub(crate) mod project;
pub(crate) mod provider;
pub(crate) mod provider_health;
pub(crate) mod proxy_key;
mod read;
pub(crate) mod replay;
pub(crate) mod routing_config;
mod valid;

pub(crate) use change::{Call, Change, Command, Done, foresee, run, try_out};
pub use failure::OperationError;
pub(crate) use price_change::publish_begun_prices;
pub(crate) use read::{Misread, read_field, read_value};
