//! One record of a segment file, as bytes.
//!
//! ```text
//! word 0   body length (32 bits) | kind (8) | 0 (8) | mark (16)       written last; zero means: nothing here
//! word 1   CRC-32 of all but itself (32) | length of the opening in the body (32)
//! word 2   segment of the first record of this exchange; zero: this is it, or there is no other
//! word 3   offset of that record in its segment
//! body     opening and outcome of an event as CBOR ([`policy::event::wire`]); padded with zeros to whole words
//! ```
//!
//! A record counts once word 0 names its kind and the checksum agrees; anything else is a torn record, passed over by its length where that
//! is known. Pure: bytes in, records out, so that a test can cut and flip them at will.

use policy::decision::Trace;
use policy::event::wire::{Opening, Outcome};

use super::Place;

/// Bytes in a word; records start at whole words.
pub(super) const WORD: usize = 8;
/// Bytes before the first record of a segment.
pub(super) const SEGMENT_HEAD: usize = 64;
/// Bytes before the body of a record.
pub(super) const RECORD_HEAD: usize = 4 * WORD;

const MARK: u64 = 0x4d4c;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The place is taken, the rest is being written.
    Claimed = 1,
    /// An exchange is about to send the first upstream byte of an attempt: opening, and the outcome should nothing more be heard of it.
    Open = 2,
    /// It ended: its outcome.
    Close = 3,
    /// An exchange that is still open, copied so that its old segment can go.
    Reopen = 4,
    /// No record of this segment comes after this one.
    End = 5,
    /// An exchange whose beginning was not written, or is not to be looked for: opening and outcome.
    Whole = 6,
}

impl Kind {
    fn from_bits(bits: u64) -> Option<Self> {
        [Self::Claimed, Self::Open, Self::Close, Self::Reopen, Self::End, Self::Whole].into_iter().find(|kind| *kind as u64 == bits)
    }
}

/// What the head of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes of the body.
    pub(super) length: usize,
    /// Bytes of it that are the opening.
    pub(super) opening: usize,
    /// Where the first record of the exchange is; absent where this is it.
    pub(super) exchange: Option<Place>,
}

impl Header {
    /// Of its four words; the second one's checksum is not looked at.
    pub(super) fn of(words: [u64; 4]) -> Option<Self> {
        let [head, lengths, segment, offset] = words;
        let (kind, length) = read_head(head)?;
        let opening = usize::try_from(lengths >> 32).ok().filter(|opening| *opening <= length)?;
        let exchange = if segment == 0 { None } else { Some((segment, usize::try_from(offset).ok()?)) };
        Some(Self { kind, length, opening, exchange })
    }
}

/// What is found at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole record.
    Record {
        /// What its head says.
        header: Header,
        /// Its body.
        body: &'a [u8],
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

/// Writes a record into `out`, replacing what was there. Without `opening` it is the end of an exchange that began at `exchange`.
pub(super) fn encode(
    out: &mut Vec<u8>,
    (kind, exchange): (Kind, Option<Place>),
    opening: Option<&Opening>,
    (outcome, trace): (&Outcome, &Trace),
) {
    begin(out);
    if let Some(opening) = opening {
        opening.write(out);
    }
    let opening = out.len().saturating_sub(RECORD_HEAD);
    outcome.write(trace, out);
    finish(out, kind, opening, exchange);
}

/// As [`encode`], of an opening and an outcome that were written before.
pub(super) fn encode_raw(out: &mut Vec<u8>, kind: Kind, exchange: Option<Place>, (opening, written): (usize, &[u8])) {
    begin(out);
    out.extend_from_slice(written);
    finish(out, kind, opening, exchange);
}

fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; RECORD_HEAD]);
}

fn finish(out: &mut Vec<u8>, kind: Kind, opening: usize, exchange: Option<Place>) {
    let short = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let body = out.len().saturating_sub(RECORD_HEAD);
    let (segment, offset) = exchange.unwrap_or_default();
    let [head, lengths] = [head_word(kind, short(body)), u64::from(short(opening)) << 32];
    let [segment, offset] = [segment, u64::try_from(offset).unwrap_or(u64::MAX)];
    let sum = checksum([head, lengths, segment, offset], out.get(RECORD_HEAD..).unwrap_or_default());
    out.resize(record_size(body), 0);
    let (places, _) = out.as_chunks_mut::<WORD>();
    for (place, word) in places.iter_mut().zip([head, lengths | u64::from(sum), segment, offset]) {
        *place = word.to_le_bytes();
    }
}

/// Of the four words, the second without its checksum, and the body.
fn checksum(words: [u64; 4], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    words.iter().for_each(|word| crc.update(&word.to_le_bytes()));
    crc.update(body);
    crc.finalize()
}

/// What is at `at` of `bytes`.
pub(super) fn read(bytes: &[u8], at: usize) -> Found<'_> {
    let Some(rest) = bytes.get(at..) else { return Found::End };
    let Some((word, _)) = rest.split_first_chunk::<WORD>() else { return Found::End };
    let head = u64::from_le_bytes(*word);
    if head == 0 {
        return Found::Empty;
    }
    let Some((kind, length)) = read_head(head) else { return Found::End };
    if kind == Kind::End {
        return Found::End;
    }
    let next = at.saturating_add(record_size(length));
    let Some((words, body)) = rest.split_first_chunk::<RECORD_HEAD>() else { return Found::End };
    // A body that reaches beyond the end was cut off: nothing can come after it.
    let Some(body) = body.get(..length) else { return Found::End };
    let (words, _) = words.as_chunks::<WORD>();
    let [_, lengths, segment, offset] = std::array::from_fn(|index| words.get(index).map_or(0, |word| u64::from_le_bytes(*word)));
    let sum = checksum([head, lengths & !u64::from(u32::MAX), segment, offset], body);
    match Header::of([head, lengths, segment, offset]) {
        Some(header) if kind != Kind::Claimed && lengths & u64::from(u32::MAX) == u64::from(sum) => Found::Record { header, body, next },
        _ => Found::Torn { next },
    }
}

/// A record that was found.
pub(super) struct Seen<'a> {
    pub(super) header: Header,
    pub(super) body: &'a [u8],
    /// Where it is.
    pub(super) at: usize,
    /// Where the next one starts.
    pub(super) next: usize,
}

/// All whole records of a segment file that nobody writes to any more, in order, starting at `from`.
///
/// A place that was claimed but not written (the process was killed in between) is passed over; where bytes make no sense the rest
/// is left out.
pub(super) fn records(bytes: &[u8], from: usize) -> impl Iterator<Item = Seen<'_>> {
    let mut at = from.max(SEGMENT_HEAD);
    std::iter::from_fn(move || {
        loop {
            match read(bytes, at) {
                Found::Record { header, body, next } => return Some(Seen { header, body, at: std::mem::replace(&mut at, next), next }),
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

    type Written = (Kind, Option<Place>, usize, Vec<u8>);

    fn segment(records: &[Written]) -> Vec<u8> {
        let mut bytes = vec![0; SEGMENT_HEAD];
        let mut record = Vec::new();
        for (kind, exchange, opening, written) in records {
            encode_raw(&mut record, *kind, *exchange, (*opening, written));
            bytes.extend_from_slice(&record);
        }
        bytes
    }

    fn owned(bytes: &[u8]) -> Vec<Written> {
        let seen = |seen: Seen<'_>| (seen.header.kind, seen.header.exchange, seen.header.opening, seen.body.to_vec());
        records(bytes, 0).map(seen).collect()
    }

    fn some_records() -> impl Strategy<Value = Vec<Written>> {
        let kind = prop_oneof![Just(Kind::Open), Just(Kind::Close), Just(Kind::Reopen), Just(Kind::Whole)];
        let place = proptest::option::of((1..u64::MAX, 0..1_usize << 40));
        let body = proptest::collection::vec(any::<u8>(), 0..60);
        let record = (kind, place, any::<prop::sample::Index>(), body)
            .prop_map(|(kind, place, opening, body)| (kind, place, opening.index(body.len() + 1), body));
        proptest::collection::vec(record, 0..6)
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
        let mut bytes = segment(&[(Kind::Open, None, 1, b"1".to_vec())]);
        let mut claimed = Vec::new();
        encode_raw(&mut claimed, Kind::Claimed, None, (0, b"22222222"));
        bytes.extend_from_slice(&claimed);
        bytes.extend_from_slice(&[0; 64]);
        let mut last = Vec::new();
        encode_raw(&mut last, Kind::Close, Some((1, 64)), (0, b"3"));
        bytes.extend_from_slice(&last);
        let read: Vec<_> = owned(&bytes).into_iter().map(|(kind, exchange, ..)| (kind, exchange)).collect();
        assert_eq!(read, [(Kind::Open, None), (Kind::Close, Some((1, 64)))]);
    }
}
