//! What must hold for any bytes: one property for each target of `fuzz/`, which the fuzzer tries on what it makes up and `make test` on the
//! inputs that are kept in `fuzz/corpus`.
//!
//! Promises: a property panics where an input disproves it, and does nothing else. Built for tests and with the feature `fuzzing` only.

#[cfg(test)]
mod tests;

/// Panics where the bytes disprove it.
pub type Property = fn(&[u8]);

/// Every target whose property is here, by its name.
pub const TARGETS: &[(&str, Property)] = &[("rules", rules)];

/// A rule that compiles keeps to its bounds and answers, and both ways of evaluating it answer alike. The first line says what the rule does
/// (`0` routes, `1` denies, `2` accepts), the rest is its source.
pub fn rules(input: &[u8]) {
    crate::rule::property::holds(input);
}
