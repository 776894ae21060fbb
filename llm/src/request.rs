//! What every dialect's request has: our body extensions, the caller's metadata, and reading errors fit for a 400.
//!
//! A dialect reads its body with one pass of [`crate::json::Cursor`] and hands these parts out. They borrow from the body.
//!
//! Promises: a value of the wrong type, a duplicate member and an unknown `mlx:` member are refused by name; nothing that
//! decides over money or rights is read differently here than the provider behind us would read it.
//!
//! Leaves out: precedence between body, headers and keys; that is the worker's identity stage.

mod error;
mod extensions;
mod field;

pub use error::ReadRequestError;
pub(crate) use extensions::PREFIX;
pub use extensions::{Extensions, Metadata};
pub(crate) use field::Field;
