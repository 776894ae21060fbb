//! What an earlier process left in the spool directory.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::record::{self, Kind};
use super::{Place, segment};

/// A segment of an earlier process; nobody writes to it any more.
pub(super) struct OldSegment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Everything before this offset was booked.
    pub(super) acknowledged: usize,
}

/// An exchange without an end.
pub(super) struct Unclosed {
    /// Where its first record is.
    pub(super) exchange: Place,
    /// Bytes of `written` that are the opening.
    pub(super) opening: usize,
    /// Opening and outcome.
    pub(super) written: Vec<u8>,
}

/// Everything that was left.
pub(super) struct Left {
    /// In the order they were written.
    pub(super) segments: Vec<OldSegment>,
    /// Exchanges without an end, in the order they began.
    pub(super) unclosed: Vec<Unclosed>,
    /// Number of the first segment of this process.
    pub(super) next_number: u64,
}

/// Reads all segment files below `dir`.
pub(super) fn scan(dir: &Path) -> io::Result<Left> {
    let mut files = segment_files(dir)?;
    files.sort_unstable();
    let next_number = files.last().map_or(1, |(number, _)| number.saturating_add(1));
    let mut segments = Vec::new();
    let mut open: HashMap<Place, (usize, Vec<u8>)> = HashMap::new();
    for (number, path) in files {
        let bytes = std::fs::read(&path)?;
        let Some(acknowledged) = segment::acknowledged(&bytes) else {
            if segment::is_of_another_version(&bytes) {
                let name = path.file_name().unwrap_or_default().display();
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("`{name}` was written by another version of the worker: start that one until it has shipped its events"),
                ));
            }
            // A spare that was made and never used, or a file whose first page never reached the disk: nothing was published in it.
            std::fs::remove_file(&path)?;
            continue;
        };
        if acknowledged == segment::TAKEN_BACK {
            std::fs::remove_file(&path)?;
            continue;
        }
        for seen in record::records(&bytes, 0) {
            let exchange = seen.header.exchange.unwrap_or((number, seen.at));
            match seen.header.kind {
                Kind::Open | Kind::Reopen => drop(open.insert(exchange, (seen.header.opening, seen.body.to_vec()))),
                Kind::Close | Kind::Whole => drop(open.remove(&exchange)),
                Kind::Claimed | Kind::End => {}
            }
        }
        segments.push(OldSegment { number, path, bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX), acknowledged });
    }
    let unclosed = |(exchange, (opening, written))| Unclosed { exchange, opening, written };
    let mut unclosed: Vec<Unclosed> = open.into_iter().map(unclosed).collect();
    unclosed.sort_unstable_by_key(|unclosed| unclosed.exchange);
    Ok(Left { segments, unclosed, next_number })
}

fn segment_files(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".segment"));
        if let Some(number) = number.and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            files.push((number, path));
        }
    }
    Ok(files)
}
