//! From a byte offset in a rule to the line and column an operator sees.

use super::RuleError;

/// An error at `offset` bytes into `source`.
pub(super) fn at(source: &str, offset: usize, message: impl Into<String>) -> RuleError {
    let before = source.as_bytes().get(..offset).unwrap_or(source.as_bytes());
    let before = String::from_utf8_lossy(before);
    let lines = before.matches('\n').count();
    let last = before.rsplit('\n').next().unwrap_or_default().chars().count();
    RuleError { line: counted_from_one(lines), column: counted_from_one(last), message: message.into() }
}

/// An error at a place the parser named itself, both counted from 1; what is out of range becomes the start.
pub(super) fn named(line: isize, column: isize, message: impl Into<String>) -> RuleError {
    let place = |number: isize| u32::try_from(number).unwrap_or(1).max(1);
    RuleError { line: place(line), column: place(column), message: message.into() }
}

fn counted_from_one(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1)
}
