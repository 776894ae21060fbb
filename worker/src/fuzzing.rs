//! What must hold for any bytes: one property for each target of `fuzz/`, which the fuzzer tries on what it makes up and `make test` on the
//! inputs that are kept in `fuzz/corpus`.
//!
//! Promises: a property panics where an input disproves it, and does nothing else. Built for tests and with the feature `fuzzing` only.
//! Leaves out: bodies and streams, which are `llm`'s, and rules, which are `policy`'s.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a property says that it does not hold by failing")]

mod frames;
mod headers;
#[cfg(test)]
mod tests;

/// Panics where the bytes disprove it.
pub type Property = fn(&[u8]);

/// Every target whose property is here, by its name.
pub const TARGETS: &[(&str, Property)] = &[("tags", tags), ("bedrock_frames", bedrock_frames)];

/// The value of a header of tags: what is read keeps to the limits, and written again it is read as the same.
pub fn tags(input: &[u8]) {
    headers::holds(input);
}

/// Frames of Bedrock's streams are said the same in every cut, and damage ends them. The first line says what is spoken (`0` Converse, `1`
/// Anthropic's) and what follows: `0` the bytes themselves, `1` a frame a line.
pub fn bedrock_frames(input: &[u8]) {
    frames::holds(input);
}
