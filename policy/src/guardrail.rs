//! What must not go out, and how it is recognised: kinds of findings, and the detectors that find them in a text.
//!
//! Promises: what was found is told by kind and count and place, never by its text; a detector looks at a text once and in time linear in
//! its length. What has a check digit is checked, so that a number is not taken for a card because it is long enough.
//!
//! Leaves out: names, addresses and whatever has no form to know it by. A webhook may find those ([`FindingKind::Other`]).

mod detectors;
mod findings;

pub use detectors::{Detectors, Match};
pub use findings::{FindingKind, Findings, GROUPS};
