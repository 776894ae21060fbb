//! One segment file, mapped into memory and appended to by many threads at once.
//!
//! A writer claims its place by moving the tail, writes the body, and publishes the first word last. The mapping is shared with the file,
//! so what was published is still there when the process is killed at the next instruction; a crash of the host is what
//! [`Segment::sync`] is for.
//!
//! Invariant: a claimed place is written by its claimer only, and never again after its first word was published.
//!
//! The bytes are seen as atomic words, so concurrent access is defined whatever anybody does; the one `unsafe` block of the
//! repository is the cast that says so.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use memmap2::{Advice, MmapRaw};

use super::record::{self, Header, Kind, RECORD_HEAD, SEGMENT_HEAD, WORD};

const MAGIC: u64 = u64::from_le_bytes(*b"MLXSPL03");
/// Word of the segment's head that holds how far it was acknowledged.
const ACKNOWLEDGED_WORD: usize = 2;
/// The same as an offset in the file.
pub(super) const ACKNOWLEDGED_AT: u64 = (ACKNOWLEDGED_WORD * WORD) as u64;

/// Said to be acknowledged of a segment of which nothing is needed any more.
pub(super) const TAKEN_BACK: usize = usize::MAX;

/// A segment that this process writes.
pub(super) struct Segment {
    map: MmapRaw,
    path: PathBuf,
    number: u64,
    /// First byte that nobody has claimed; may point beyond the end once the segment is full.
    tail: AtomicUsize,
    /// The tail at the last two syncs; equal ones mean that nothing can be unwritten.
    synced: [AtomicUsize; 2],
}

/// What is at a place of a segment that is still written to.
pub(super) enum Live {
    /// A whole record, and where the next one starts.
    Record(Header, usize),
    /// Nothing yet.
    Pending,
    /// The segment is full and this is its end.
    End,
}

impl Segment {
    /// Makes the file `path` of `size` bytes, with its blocks reserved so that a full disk shows here and not as a fault later, and its pages
    /// in place: one call here costs less than the page faults it spares, and those would be on a request's path.
    pub(super) fn create(path: PathBuf, number: u64, size: usize) -> io::Result<Self> {
        let size = size.div_ceil(4096).saturating_mul(4096);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        reserve(&file, size)?;
        let map = MmapRaw::map_raw(&file)?;
        if let Err(error) = map.advise(Advice::PopulateWrite) {
            // A kernel before 5.14: pages come as they are written.
            tracing::debug!(%error, "pages of a spool segment are not in place");
        }
        let segment = Self { map, path, number, tail: AtomicUsize::new(SEGMENT_HEAD), synced: [const { AtomicUsize::new(0) }; 2] };
        segment.store(0, MAGIC);
        segment.store(1, number);
        Ok(segment)
    }

    /// Makes a new, empty segment out of one whose records are all booked: its pages are in place already.
    ///
    /// Killed at any point of this, the file says either that it was taken back or that it is empty.
    pub(super) fn renew(self, path: PathBuf, number: u64) -> io::Result<Self> {
        std::fs::rename(&self.path, &path)?;
        self.acknowledge(TAKEN_BACK);
        let written = self.words().get(SEGMENT_HEAD / WORD..self.tail().div_ceil(WORD)).unwrap_or_default();
        for word in written {
            word.store(0, Ordering::Relaxed);
        }
        std::sync::atomic::fence(Ordering::Release);
        self.store(1, number);
        self.acknowledge(0);
        Ok(Self { map: self.map, path, number, tail: AtomicUsize::new(SEGMENT_HEAD), synced: [const { AtomicUsize::new(0) }; 2] })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn size(&self) -> usize {
        self.map.len()
    }

    /// First byte that nobody has claimed.
    pub(super) fn tail(&self) -> usize {
        self.tail.load(Ordering::Acquire).min(self.size())
    }

    /// The mapping as words.
    #[expect(unsafe_code, reason = "memory shared with a file has no safe view")]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the pointer is the start of a mapping of `len` bytes, page-aligned and so aligned for `AtomicU64`, and it lives as long as
        // `self.map`, to which the slice's lifetime is tied. Every access by this process goes through these atomics. Other processes
        // are kept out by the spool's lock file, in a directory of the worker's own; the file is never truncated while mapped. Any
        // bit pattern is a valid `AtomicU64`.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.map.len() / WORD) }
    }

    fn store(&self, word: usize, value: u64) {
        if let Some(slot) = self.words().get(word) {
            slot.store(value.to_le(), Ordering::Release);
        }
    }

    fn load(&self, word: usize) -> u64 {
        self.words().get(word).map_or(0, |slot| u64::from_le(slot.load(Ordering::Acquire)))
    }

    /// Appends a whole record; answers where it is, or nothing when the segment is full.
    pub(super) fn append(&self, record: &[u8]) -> Option<usize> {
        let at = self.tail.fetch_add(record.len(), Ordering::AcqRel);
        if at.checked_add(record.len())? > self.size() {
            if at < self.size() {
                self.store(at / WORD, record::head_word(Kind::End, 0));
            }
            return None;
        }
        let (head, body) = record.split_first_chunk::<WORD>()?;
        let head = u64::from_le_bytes(*head);
        let (_, length) = record::read_head(head)?;
        let first = at / WORD;
        self.store(first, record::head_word(Kind::Claimed, u32::try_from(length).unwrap_or(u32::MAX)));
        let places = self.words().get(first.saturating_add(1)..)?;
        let (chunks, _) = body.as_chunks::<WORD>();
        for (slot, chunk) in places.iter().zip(chunks) {
            // As bytes in memory order; the release below orders them before the first word.
            slot.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
        }
        self.store(first, head);
        Some(at)
    }

    /// What is at `at`. What was published by this process is whole: no checksum is needed.
    pub(super) fn look(&self, at: usize) -> Live {
        if at.saturating_add(RECORD_HEAD) > self.size() {
            return Live::End;
        }
        let first = at / WORD;
        let head = self.load(first);
        match record::read_head(head) {
            Some((Kind::End, _)) => return Live::End,
            None | Some((Kind::Claimed, _)) => return Live::Pending,
            Some(_) => {}
        }
        let [lengths, segment, offset] = [1, 2, 3].map(|word| self.load(first.saturating_add(word)));
        match Header::of([head, lengths, segment, offset]) {
            Some(header) => Live::Record(header, at.saturating_add(record::record_size(header.length))),
            None => Live::Pending,
        }
    }

    /// Appends `length` bytes to `out`, the first ones of the body of the record at `at`, which was published.
    pub(super) fn copy_body(&self, at: usize, length: usize, out: &mut Vec<u8>) {
        let first = at.saturating_add(RECORD_HEAD) / WORD;
        let words = self.words().get(first..first.saturating_add(length.div_ceil(WORD))).unwrap_or_default();
        let start = out.len();
        out.resize(start.saturating_add(length.next_multiple_of(WORD)), 0);
        let (places, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<WORD>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        out.truncate(start.saturating_add(length));
    }

    /// Remembers in the file that everything before `at` was booked.
    pub(super) fn acknowledge(&self, at: usize) {
        self.store(ACKNOWLEDGED_WORD, u64::try_from(at).unwrap_or(u64::MAX));
    }

    /// Writes what was published to the disk. Blocks.
    pub(super) fn sync(&self) -> io::Result<()> {
        let tail = self.tail();
        let [last, before] = &self.synced;
        let (newer, older) = (last.load(Ordering::Acquire), before.load(Ordering::Acquire));
        if tail == newer && tail == older {
            return Ok(());
        }
        // A record claimed but not yet published at the last sync is below its tail: so the range starts at the one before.
        self.map.flush_range(0, SEGMENT_HEAD)?;
        self.map.flush_range(older.min(tail), tail.saturating_sub(older))?;
        before.store(newer, Ordering::Release);
        last.store(tail, Ordering::Release);
        Ok(())
    }
}

/// What the head of a segment file says was acknowledged.
pub(super) fn acknowledged(bytes: &[u8]) -> Option<usize> {
    let word = |index: usize| {
        let start = index.checked_mul(WORD)?;
        bytes.get(start..)?.first_chunk::<WORD>().map(|word| u64::from_le_bytes(*word))
    };
    (word(0)? == MAGIC).then_some(())?;
    usize::try_from(word(ACKNOWLEDGED_WORD)?).ok()
}

/// Whether these are the bytes of a segment that this version can't read.
pub(super) fn is_of_another_version(bytes: &[u8]) -> bool {
    let first = bytes.first_chunk::<WORD>().map(|word| u64::from_le_bytes(*word));
    first.is_some_and(|first| first != 0 && first != MAGIC)
}

/// Gives the file its size and its blocks.
fn reserve(file: &File, size: usize) -> io::Result<()> {
    let length = u64::try_from(size).map_err(io::Error::other)?;
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
            // A file system without reservation: writing zeros reserves as well.
            let mut writer = file;
            io::copy(&mut io::Read::take(io::repeat(0), length), &mut writer).map(drop)
        }
        Err(error) => Err(error.into()),
    }
}
