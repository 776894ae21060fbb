//! What is allowed, what it costs, and the messages between the two planes.
//!
//! Pure: no sockets, no files, no clock, no database, so that control plane and data plane agree on what a bundle means without
//! linking each other's frameworks, and so that everything here can be tested in microseconds.
//!
//! The way through it: [`source`] is what operators meant, [`compile`] turns it into a [`bundle`], [`engine`] decides one request
//! against a bundle, [`budget`] and [`price`] know about periods and costs, [`guardrail`] about what must not go out, [`event`] and [`link`]
//! are what the planes say to each other, [`redis`] is where they meet, [`options`] how both are configured, [`time`] is how times are written.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::float_arithmetic, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::arithmetic_side_effects)
)]

pub mod budget;
pub mod bundle;
pub mod catalogue;
mod cbor;
pub mod compile;
pub mod decision;
pub mod engine;
pub mod event;
pub mod facts;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod guardrail;
pub mod id;
pub mod link;
pub mod money;
pub mod options;
pub mod price;
pub mod redis;
pub mod replay;
pub mod rule;
pub mod seal;
pub mod source;
pub mod time;

#[cfg(test)]
mod testing;
