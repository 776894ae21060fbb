//! Edits a body in place of decoding and writing it again.
//!
//! Promises: bytes that no edit covers come out exactly as they went in; with no edit the very same [`Bytes`] come out;
//! the result is made in one allocation of the exact length, or written straight behind what is already in a buffer.
//!
//! Leaves out: knowing what the ranges mean. A range that is out of order, overlaps or runs past the body is ignored rather
//! than half applied; dialects hand in ranges that a parse of the same body gave them.

use std::{borrow::Cow, ops::Range};

use bytes::{BufMut, Bytes, BytesMut};

/// One replaced range; an empty range inserts, an empty replacement removes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit<'a> {
    range: Range<usize>,
    with: Cow<'a, [u8]>,
}

/// Replacements for one body.
///
/// Invariant: the edits are sorted, do not overlap and lie within `0..length`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits<'a> {
    edits: Vec<Edit<'a>>,
    length: usize,
}

impl<'a> Edits<'a> {
    /// No edits yet, for a body of `length` bytes.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { edits: Vec::new(), length }
    }

    /// Replaces `range`; says whether the edit was taken (not if it runs past the body or overlaps another).
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Cow<'a, [u8]>>) -> bool {
        if range.start > range.end || range.end > self.length {
            return false;
        }
        let place = self.edits.partition_point(|edit| edit.range.start <= range.start && edit.range.end <= range.start);
        let clear = self.edits.get(place).is_none_or(|next| range.end <= next.range.start);
        if clear {
            self.edits.insert(place, Edit { range, with: with.into() });
        }
        clear
    }

    /// Removes `range`.
    pub fn remove(&mut self, range: Range<usize>) -> bool {
        self.replace(range, Cow::Borrowed(&[][..]))
    }

    /// Inserts before the byte at `at`; what is inserted first at one place comes first.
    pub fn insert(&mut self, at: usize, text: impl Into<Cow<'a, [u8]>>) -> bool {
        self.replace(at..at, text)
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Length of the edited body.
    #[must_use]
    pub fn edited_length(&self) -> usize {
        let removed: usize = self.edits.iter().map(|edit| edit.range.len()).sum();
        let added: usize = self.edits.iter().map(|edit| edit.with.len()).sum();
        self.length.saturating_sub(removed).saturating_add(added)
    }

    /// The edited body. `body` must be the one that the edits were made for; with no edits it is handed back itself.
    #[must_use]
    pub fn apply(&self, body: &Bytes) -> Bytes {
        if self.edits.is_empty() {
            return body.clone();
        }
        let mut edited = BytesMut::with_capacity(self.edited_length());
        self.write_to(body, &mut edited);
        edited.freeze()
    }

    /// Writes the edited body behind what `out` already holds, so that head and body can leave in one write.
    pub fn write_to(&self, body: &[u8], out: &mut impl BufMut) {
        let mut from = 0;
        for edit in &self.edits {
            out.put_slice(body.get(from..edit.range.start).unwrap_or_default());
            out.put_slice(&edit.with);
            from = edit.range.end;
        }
        out.put_slice(body.get(from..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_without_edits_is_the_same_allocation() {
        let body = Bytes::from(b"{\"a\":1}".to_vec());
        assert_eq!(Edits::new(body.len()).apply(&body).as_ptr(), body.as_ptr());
    }

    #[test]
    fn overlapping_and_overlong_edits_are_refused() {
        let mut edits = Edits::new(10);
        assert!(edits.replace(2..5, &b"x"[..]));
        assert!(!edits.replace(4..6, &b"y"[..]));
        assert!(!edits.replace(0..3, &b"y"[..]));
        assert!(!edits.replace(8..11, &b"y"[..]));
        assert!(edits.replace(5..6, &b"z"[..]));
        assert_eq!(edits.apply(&Bytes::from_static(b"0123456789")), "01xz6789");
    }

    #[test]
    fn inserts_at_one_place_keep_their_order() {
        let mut edits = Edits::new(2);
        assert!(edits.insert(1, &b"first"[..]));
        assert!(edits.insert(1, &b"second"[..]));
        assert!(edits.remove(1..2));
        assert_eq!(edits.apply(&Bytes::from_static(b"[]")), "[firstsecond");
    }

    proptest! {
        #[test]
        fn edits_change_their_ranges_and_nothing_else(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            wanted in proptest::collection::vec((0_usize..200, 0_usize..20, proptest::collection::vec(any::<u8>(), 0..9)), 0..8),
        ) {
            let mut edits = Edits::new(body.len());
            let mut taken: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
            for (start, length, with) in wanted {
                if length > 0 && edits.replace(start..start + length, with.clone()) {
                    taken.push((start..start + length, with));
                }
            }
            taken.sort_by_key(|edit| std::cmp::Reverse(edit.0.start));
            let mut expected = body.clone();
            for (range, with) in taken {
                expected.splice(range, with);
            }
            prop_assert_eq!(edits.edited_length(), expected.len());
            prop_assert_eq!(edits.apply(&Bytes::from(body)).to_vec(), expected);
        }
    }
}
