//! What every dialect's request has: the head, the places that are rewritten on the way to the provider, our body extensions, the
//! caller's metadata, and reading errors fit for a 400.
//!
//! A body is read with one pass of [`crate::json::Cursor`]; what is handed out borrows from it. [`Head`] is the outcome,
//! [`Layout`] the part of it that [`Rewrite`] needs.
//!
//! Promises: a value of the wrong type, a duplicate member and an unknown `mlx:` member are refused by name; nothing that
//! decides over money or rights is read differently here than the provider behind us would read it.
//!
//! Leaves out: precedence between body, headers and keys; that is the worker's identity stage.

mod canonical;
mod dimensions;
mod error;
mod extensions;
mod field;
mod head;
mod layout;
mod removal;
mod rewrite;
mod unstreamed;

pub use canonical::Canonical;
pub use dimensions::{dimensions_member, other_dimensions};
pub use error::ReadRequestError;
pub(crate) use extensions::PREFIX;
pub use extensions::{Extensions, Metadata};
pub(crate) use field::Field;
pub use head::{Addressed, Head, counted_bound};
pub use layout::Layout;
pub(crate) use removal::Removals;
pub use rewrite::{OutputField, OutputLimit, Rewrite};
pub use unstreamed::unstreamed;

/// Bytes from one offset to another.
fn length(start: usize, end: usize) -> u64 {
    u64::try_from(end.saturating_sub(start)).unwrap_or(u64::MAX)
}
