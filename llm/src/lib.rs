//! Provider wire formats: read, rewrite, stream, count.
//!
//! Promises: pure functions and small state machines over bytes; no sockets, no policy, no clock, no async. A body that passes
//! through in its own dialect keeps every byte that was not asked to change. Nothing here panics, whatever bytes come in.
//!
//! Leaves out: whether a request is allowed, what it costs and where it goes; those are `policy` and `worker`.
//!
//! The rooms: [`json`] reads JSON without a tree, [`splice`] edits bytes in place, [`request`], [`response`], [`usage`], [`tokens`]
//! and [`error`] are the forms all dialects share, [`dialect`] has one file an API, [`stream`] frames and meters event streams,
//! [`texts`] finds what was said where it stands, [`convert`] says in one dialect what was said in another, [`operation`] is the table of what is
//! passed through unread.

#![warn(missing_docs)]

pub mod convert;
pub mod dialect;
pub mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod json;
pub mod operation;
pub mod request;
pub mod response;
pub mod splice;
pub mod stream;
pub mod texts;
pub mod tokens;
pub mod usage;

#[cfg(test)]
mod golden;
