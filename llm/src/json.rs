//! A forward reader over JSON bytes that never builds a tree.
//!
//! [`Cursor`] is pulled through a document: enter an object, look at a key, then either enter its value or take it whole as a
//! [`Value`], which is its place in the document and nothing more. Whatever is passed over is still checked against the grammar
//! of RFC 8259, so that one pass both validates a body and finds the few members that matter.
//!
//! Why not serde: a gateway needs *where* a member stands (to replace it and leave all other bytes alone), refuses duplicate
//! keys, and bounds the nesting of values that it does not look into. Skipping in `serde_json` gives none of the three.
//!
//! Promises: time linear in the length, memory constant, nesting bounded by [`MAX_DEPTH`], never a panic. UTF-8 is the business
//! of the caller for the document as a whole; text that is taken out is checked again. Escaped lone surrogates
//! (`\ud800`) are grammatical and are passed over; taken out as text they are no text.

mod cursor;
mod scan;
#[cfg(test)]
mod tests;
mod value;

pub use cursor::{Cursor, Walk};
pub use value::{Kind, Value};

/// How deep arrays and objects may nest in each other.
pub const MAX_DEPTH: u32 = 128;

/// Why bytes are not JSON; `at` is the offset of the offending byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The document stops in the middle.
    #[error("it ends unexpectedly at byte {at}")]
    End {
        /// Offset of the end.
        at: usize,
    },
    /// Some other byte was due here.
    #[error("unexpected character at byte {at}, where {expected} was expected")]
    Unexpected {
        /// Offset of the byte.
        at: usize,
        /// What would have been right.
        expected: &'static str,
    },
    /// A raw control character, or an escape that is none, inside a string.
    #[error("invalid string at byte {at}")]
    Text {
        /// Offset of the byte.
        at: usize,
    },
    /// A number that is written wrongly.
    #[error("invalid number at byte {at}")]
    Number {
        /// Offset of the byte.
        at: usize,
    },
    /// Arrays and objects nest deeper than [`MAX_DEPTH`].
    #[error("it nests deeper than {MAX_DEPTH} levels at byte {at}")]
    Depth {
        /// Offset of the opening bracket.
        at: usize,
    },
    /// Something follows the document.
    #[error("trailing characters at byte {at}")]
    Trailing {
        /// Offset of the first such byte.
        at: usize,
    },
}
