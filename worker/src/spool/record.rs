//! One record of a segment file, as bytes.
//!
//! ```text
//! word 0   body length (32 bits) | kind (8) | 0 (8) | mark (16)       written last; zero means: nothing here
//! word 1   CRC-32 of word 0 and the body (32) | 0 (32)
//! body     length of the id (8 bits), the id, the event as CBOR; padded with zeros to whole words
//! ```
//!
//! A record counts once word 0 names its kind and the checksum agrees; anything else is a torn record, passed over by its length where that
//! is known. Pure: bytes in, records out, so that a test can cut and flip them at will.

use std::io::Write as _;

use policy::event::UsageEvent;

/// Bytes in a word; records start at whole words.
pub(super) const WORD: usize = 8;
/// Bytes before the first record of a segment.
pub(super) const SEGMENT_HEAD: usize = 64;
/// Bytes before the body of a record.
pub(super) const RECORD_HEAD: usize = 2 * WORD;

/// No id reaches beyond this many bytes of a body.
pub(super) const ID_REACH: usize = 1 + u8::MAX as usize;

const MARK: u64 = 0x4d4c;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The place is taken, the rest is being written.
    Claimed = 1,
    /// An exchange is about to send its first upstream byte.
    Open = 2,
    /// It ended.
    Close = 3,
    /// An exchange that is still open, copied so that its old segment can go.
    Reopen = 4,
    /// No record of this segment comes after this one.
    End = 5,
}

impl Kind {
    fn from_bits(bits: u64) -> Option<Self> {
        [Self::Claimed, Self::Open, Self::Close, Self::Reopen, Self::End].into_iter().find(|kind| *kind as u64 == bits)
    }
}

/// What is found at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole record.
    Record {
        /// What it says.
        kind: Kind,
        /// Of which event.
        id: &'a str,
        /// The event.
        event: &'a [u8],
        /// Where the next one starts.
        next: usize,
    },
    /// A record that was begun and not finished, or damaged.
    Torn {
        /// Where the next one starts.
        next: usize,
    },
    /// Nothing was written here.
    Empty,
    /// The end of the segment, or nothing that could be a record.
    End,
}

/// The first word of a record.
pub(super) const fn head_word(kind: Kind, body: u32) -> u64 {
    body as u64 | (kind as u64) << 32 | MARK << 48
}

/// Kind and body length of a first word, if it is one.
pub(super) fn read_head(word: u64) -> Option<(Kind, usize)> {
    if word >> 48 != MARK {
        return None;
    }
    let kind = Kind::from_bits((word >> 32) & 0xff)?;
    Some((kind, usize::try_from(word & 0xffff_ffff).ok()?))
}

/// Bytes that a record with this body takes.
pub(super) const fn record_size(body: usize) -> usize {
    RECORD_HEAD.saturating_add(body.div_ceil(WORD).saturating_mul(WORD))
}

/// Writes the record of `event` into `out`, replacing what was there.
pub(super) fn encode(out: &mut Vec<u8>, kind: Kind, event: &UsageEvent) {
    begin(out, &event.id);
    event.write(out);
    finish(out, kind);
}

/// As [`encode`], of an event that was written before.
pub(super) fn encode_raw(out: &mut Vec<u8>, kind: Kind, id: &str, written: &[u8]) {
    begin(out, id);
    out.extend_from_slice(written);
    finish(out, kind);
}

fn begin(out: &mut Vec<u8>, id: &str) {
    out.clear();
    out.extend_from_slice(&[0; RECORD_HEAD]);
    // Ids are 30 characters; one that does not fit is cut and still matches itself.
    let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend(id.bytes().take(usize::from(length)));
}

fn finish(out: &mut Vec<u8>, kind: Kind) {
    let body = out.len().saturating_sub(RECORD_HEAD);
    let head = head_word(kind, u32::try_from(body).unwrap_or(u32::MAX));
    let start = RECORD_HEAD.min(out.len());
    let (heads, rest) = out.split_at_mut(start);
    let sum = checksum(head, rest);
    let mut heads = &mut *heads;
    // Sixteen bytes were reserved by `begin`, so both writes fit.
    let written = heads.write_all(&head.to_le_bytes()).and_then(|()| heads.write_all(&u64::from(sum).to_le_bytes()));
    debug_assert!(written.is_ok(), "a record has room for its head");
    out.resize(record_size(body), 0);
}

fn checksum(head: u64, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

/// What is at `at` of `bytes`.
pub(super) fn read(bytes: &[u8], at: usize) -> Found<'_> {
    let Some(rest) = bytes.get(at..) else { return Found::End };
    let Some((word, rest)) = rest.split_first_chunk::<WORD>() else { return Found::End };
    let head = u64::from_le_bytes(*word);
    if head == 0 {
        return Found::Empty;
    }
    let Some((kind, length)) = read_head(head) else { return Found::End };
    if kind == Kind::End {
        return Found::End;
    }
    let next = at.saturating_add(record_size(length));
    let Some((sum, body)) = rest.split_first_chunk::<WORD>() else { return Found::End };
    // A body that reaches beyond the end was cut off: nothing can come after it.
    let Some(body) = body.get(..length) else { return Found::End };
    if kind == Kind::Claimed || u64::from_le_bytes(*sum) != u64::from(checksum(head, body)) {
        return Found::Torn { next };
    }
    match split_body(body) {
        Some((id, event)) => Found::Record { kind, id, event, next },
        None => Found::Torn { next },
    }
}

/// Id and event of a body, or of its beginning.
pub(super) fn split_body(body: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = body.split_first()?;
    let (id, written) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(id).ok()?, written))
}

/// All whole records of a segment file that nobody writes to any more, in order, starting at `from`.
///
/// A place that was claimed but not written (the process was killed in between) is passed over; where bytes make no sense the rest
/// is left out.
pub(super) fn records(bytes: &[u8], from: usize) -> impl Iterator<Item = (Kind, &str, &[u8], usize)> {
    let mut at = from.max(SEGMENT_HEAD);
    std::iter::from_fn(move || {
        loop {
            match read(bytes, at) {
                Found::Record { kind, id, event, next } => {
                    at = next;
                    return Some((kind, id, event, next));
                }
                Found::Torn { next } => at = next,
                Found::Empty => at = next_written(bytes, at)?,
                Found::End => return None,
            }
        }
    })
}

/// The first word after `at` that is not zero.
fn next_written(bytes: &[u8], at: usize) -> Option<usize> {
    let offset = bytes.get(at..)?.chunks_exact(WORD).position(|word| word.iter().any(|byte| *byte != 0))?;
    at.checked_add(offset.checked_mul(WORD)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(records: &[(Kind, String, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0; SEGMENT_HEAD];
        let mut record = Vec::new();
        for (kind, id, written) in records {
            encode_raw(&mut record, *kind, id, written);
            bytes.extend_from_slice(&record);
        }
        bytes
    }

    fn owned(bytes: &[u8]) -> Vec<(Kind, String, Vec<u8>)> {
        records(bytes, 0).map(|(kind, id, written, _)| (kind, id.to_owned(), written.to_vec())).collect()
    }

    fn some_records() -> impl Strategy<Value = Vec<(Kind, String, Vec<u8>)>> {
        let kind = prop_oneof![Just(Kind::Open), Just(Kind::Close), Just(Kind::Reopen)];
        proptest::collection::vec((kind, "[a-z0-9_]{0,40}", proptest::collection::vec(any::<u8>(), 0..60)), 0..6)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(written in some_records()) {
            prop_assert_eq!(owned(&segment(&written)), written);
        }

        #[test]
        fn a_file_cut_at_any_byte_gives_a_prefix(written in some_records()) {
            let bytes = segment(&written);
            for cut in 0..=bytes.len() {
                let read = owned(&bytes[..cut]);
                prop_assert_eq!(&read[..], &written[..read.len()]);
            }
        }

        #[test]
        fn a_file_whose_tail_was_never_written_gives_a_prefix(written in some_records()) {
            let whole = segment(&written);
            for cut in SEGMENT_HEAD..=whole.len() {
                let mut bytes = whole.clone();
                bytes[cut..].fill(0);
                bytes.resize(whole.len() + 256, 0);
                let read = owned(&bytes);
                prop_assert_eq!(&read[..], &written[..read.len()]);
            }
        }

        #[test]
        fn a_flipped_bit_never_gives_another_event(written in some_records(), place in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let mut bytes = segment(&written);
            let at = place.index(bytes.len());
            bytes[at] ^= 1 << bit;
            for found in owned(&bytes) {
                prop_assert!(written.contains(&found));
            }
        }
    }

    #[test]
    fn a_place_claimed_by_a_killed_writer_is_passed_over() {
        let mut bytes = segment(&[(Kind::Open, "a".into(), b"1".to_vec())]);
        let mut claimed = Vec::new();
        encode_raw(&mut claimed, Kind::Claimed, "b", b"22222222");
        bytes.extend_from_slice(&claimed);
        bytes.extend_from_slice(&[0; 64]);
        let mut last = Vec::new();
        encode_raw(&mut last, Kind::Close, "a", b"3");
        bytes.extend_from_slice(&last);
        let read: Vec<_> = owned(&bytes).into_iter().map(|(kind, id, _)| (kind, id)).collect();
        assert_eq!(read, [(Kind::Open, "a".to_owned()), (Kind::Close, "a".to_owned())]);
    }
}
