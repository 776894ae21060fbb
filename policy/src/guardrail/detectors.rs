//! Finds what must not go out in a text.
//!
//! A detector is a pattern that proposes candidates and a check that takes them, cuts them or leaves them. Patterns are compiled once, when
//! the first bundle asks for them; they know ASCII only, which keeps them in the engine that is linear and fast. What most texts lack (an `@`,
//! digits enough for a number) is asked for first.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use smallvec::SmallVec;

use super::FindingKind;

mod checks;
mod numbers;
mod patterns;
#[cfg(test)]
mod tests;

use patterns::{Needs, PATTERNS, Pattern};

/// Fewer digits than this are none of the numbers that are looked for.
const LEAST_DIGITS: usize = 6;

/// A part of a text that is of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Where, in bytes.
    pub range: Range<usize>,
    /// What it is.
    pub kind: FindingKind,
}

/// The detectors of one project.
#[derive(Debug, Clone)]
pub struct Detectors {
    kinds: SmallVec<[FindingKind; 9]>,
}

/// A pattern that is ready.
struct Ready {
    pattern: &'static Pattern,
    regex: Regex,
}

static READY: LazyLock<Vec<Ready>> = LazyLock::new(|| {
    let ready = PATTERNS.iter().map(|pattern| Regex::new(pattern.source).ok().map(|regex| Ready { pattern, regex }));
    ready.flatten().collect()
});

impl Detectors {
    /// Detectors of `kinds`. Compiles the patterns where nobody has yet, so this is for when a bundle is loaded.
    #[must_use]
    pub fn new(kinds: &[FindingKind]) -> Self {
        LazyLock::force(&READY);
        Self { kinds: kinds.iter().copied().filter(|kind| kind.is_detected()).collect() }
    }

    /// What `text` has of their kinds, in order, without overlaps. Where two kinds claim one part, the graver one has all of it.
    #[must_use]
    pub fn scan(&self, text: &str) -> SmallVec<[Match; 4]> {
        let mut found = SmallVec::new();
        let at_sign = text.contains('@');
        let digits = text.bytes().filter(u8::is_ascii_digit).take(LEAST_DIGITS).count() >= LEAST_DIGITS;
        for ready in READY.iter() {
            let worth_it = match ready.pattern.needs {
                Needs::AtSign => at_sign,
                Needs::Digits => digits,
                Needs::Nothing => true,
            };
            if worth_it && self.kinds.contains(&ready.pattern.kind) {
                ready.find_in(text, &mut found);
            }
        }
        merge(found)
    }
}

impl Ready {
    fn find_in(&self, text: &str, found: &mut SmallVec<[Match; 4]>) {
        let mut from = 0;
        while let Some(captures) = self.regex.captures_at(text, from) {
            let Some(whole) = captures.get(0) else { return };
            let part = captures.get(1).unwrap_or(whole);
            let candidate = Candidate { text, range: part.range() };
            match (self.pattern.check)(&candidate) {
                Some(length) => {
                    let end = part.start().saturating_add(length);
                    found.push(Match { range: part.start()..end, kind: self.pattern.kind });
                    from = end.max(whole.start().saturating_add(1));
                }
                None if matches!(self.pattern.needs, Needs::Digits) => from = next_begin(text, whole.start()),
                None => from = whole.end(),
            }
        }
    }
}

/// Where the next number may begin, if none does at `at`: not within the same word, or a long one would be looked at again and again.
fn next_begin(text: &str, at: usize) -> usize {
    let mut rest = text.get(at..).unwrap_or_default().char_indices();
    let first = rest.next().map_or(1, |(_, character)| character.len_utf8());
    let word = rest.find(|(_, character)| !character.is_alphanumeric() && *character != '_').map(|(length, _)| length);
    word.map_or(text.len(), |length| at.saturating_add(length.max(first)))
}

/// What a pattern proposes, with the text around it.
struct Candidate<'t> {
    text: &'t str,
    range: Range<usize>,
}

impl<'t> Candidate<'t> {
    fn as_str(&self) -> &'t str {
        self.text.get(self.range.clone()).unwrap_or_default()
    }

    /// The character before it.
    fn before(&self) -> Option<char> {
        self.text.get(..self.range.start)?.chars().next_back()
    }

    /// The character behind its first `length` bytes.
    fn behind(&self, length: usize) -> Option<char> {
        self.text.get(self.range.start.saturating_add(length)..)?.chars().next()
    }

    /// Whether its first `length` bytes stand on their own: neither end is within a word or a longer number.
    fn is_apart(&self, length: usize) -> bool {
        let joins = |character: char| character.is_alphanumeric() || character == '_';
        !self.before().is_some_and(joins) && !self.behind(length).is_some_and(joins)
    }
}

/// Matches in order, those that overlap made one.
fn merge(mut found: SmallVec<[Match; 4]>) -> SmallVec<[Match; 4]> {
    found.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    let mut merged: SmallVec<[Match; 4]> = SmallVec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.range.start < last.range.end => {
                last.range.end = last.range.end.max(next.range.end);
                if rank(next.kind) < rank(last.kind) {
                    last.kind = next.kind;
                }
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// Which of two kinds a part is: the graver one, then the one whose form says more.
const fn rank(kind: FindingKind) -> u8 {
    match kind {
        FindingKind::PrivateKey => 0,
        FindingKind::ProviderSecret => 1,
        FindingKind::CloudSecret => 2,
        FindingKind::AccessToken => 3,
        FindingKind::Iban => 4,
        FindingKind::Card => 5,
        FindingKind::NationalId => 6,
        FindingKind::Email => 7,
        FindingKind::Phone => 8,
        FindingKind::Other => 9,
    }
}
