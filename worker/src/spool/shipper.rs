//! Reads what was appended, ships it, and clears away what was booked.
//!
//! It reads each segment from where it stopped. Ends of exchanges go into a batch, each behind the opening that its beginning has; beginnings
//! only into a table of what is open, so that a segment is kept as long as it holds the only trace of a running exchange. An exchange that
//! outlives its segment by two is copied forward.
//!
//! After a kill, whatever was sent and not yet remembered as booked is sent again; the control plane books by the event's id.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::deliver::{Batch, deliver};
use super::record::{self, Header, Kind};
use super::recovery::OldSegment;
use super::segment::{ACKNOWLEDGED_AT, Live, Segment};
use super::{Place, Spool};
use crate::link::ControlPlane;

/// How long the rest may take once shutdown was asked for.
const LAST_CALL: Duration = Duration::from_secs(5);
/// How often to look for events when nobody woke the shipper.
const IDLE_LOOK: Duration = Duration::from_millis(200);
/// A batch is shipped when it has this many bytes, however few events these are.
const BATCH_BYTES: usize = 4 << 20;

/// Position and memory of the shipping task.
pub(super) struct Shipper {
    segments: VecDeque<Tracked>,
    /// Index into `segments` of the one that is being read.
    reading: usize,
    /// By the place of their first record.
    open: HashMap<Place, OpenExchange>,
}

struct Tracked {
    number: u64,
    path: PathBuf,
    size: u64,
    source: Source,
    /// Read up to here.
    read: usize,
    /// Booked up to here, as the file itself remembers.
    booked: usize,
    /// Exchanges whose only beginning is in it.
    open: usize,
}

enum Source {
    /// Of an earlier process; read in one go when its turn comes.
    Old(Option<Bytes>),
    /// Still written to, or was by this process.
    Live(Arc<Segment>),
}

struct OpenExchange {
    /// Where its beginning is now.
    at: Place,
    /// Bytes of the opening there.
    opening: usize,
    /// A copy was appended and not yet read.
    copied: bool,
}

/// One step through a segment.
enum Step {
    /// A whole record at this place.
    Record(Header, Place),
    /// Nothing more yet.
    Pending,
    /// Nothing more ever.
    End,
}

impl Shipper {
    pub(super) fn new(old: Vec<OldSegment>, first: Arc<Segment>) -> Self {
        let old = old.into_iter().map(|old| Tracked {
            number: old.number,
            path: old.path,
            size: old.bytes,
            source: Source::Old(None),
            // From its beginning: what was booked already may be the end of what is open, or the beginning of what ended later.
            read: record::SEGMENT_HEAD,
            booked: old.acknowledged.max(record::SEGMENT_HEAD),
            open: 0,
        });
        let mut segments: VecDeque<Tracked> = old.collect();
        segments.push_back(Tracked::live(first));
        Self { segments, reading: 0, open: HashMap::new() }
    }

    /// Ships until `stop`, then the rest for a while.
    pub(super) async fn run(&mut self, spool: &Arc<Spool>, link: &dyn ControlPlane, stop: &CancellationToken) {
        loop {
            let batch = self.gather(spool, stop).await;
            if batch.is_empty() {
                if stop.is_cancelled() {
                    return;
                }
                self.settle_books(spool);
                wait(spool, stop).await;
                continue;
            }
            let events = batch.sealed();
            tokio::select! {
                () = deliver(spool, link, &events) => self.settle_books(spool),
                () = stop.cancelled() => {
                    let rest = async {
                        deliver(spool, link, &events).await;
                        self.settle_books(spool);
                        self.ship_rest(spool, link).await;
                    };
                    if tokio::time::timeout(LAST_CALL, rest).await.is_err() {
                        tracing::warn!("usage events are left on this worker's disk; they are shipped after its next start");
                    }
                    return;
                }
            }
        }
    }

    /// The last batches.
    async fn ship_rest(&mut self, spool: &Arc<Spool>, link: &dyn ControlPlane) {
        loop {
            let mut batch = Batch::default();
            self.read_into(spool, &mut batch).await;
            if batch.is_empty() {
                return;
            }
            deliver(spool, link, &batch.sealed()).await;
            self.settle_books(spool);
        }
    }

    /// A batch: full, or what came within the time that a batch gathers.
    async fn gather(&mut self, spool: &Arc<Spool>, stop: &CancellationToken) -> Batch {
        let mut batch = Batch::default();
        // Before reading, so that whatever is appended after the read wakes the wait that may follow.
        spool.idle.store(true, Ordering::SeqCst);
        self.read_into(spool, &mut batch).await;
        if !batch.is_empty() && !is_full(&batch, spool) {
            tokio::select! {
                () = tokio::time::sleep(spool.config.batch_wait) => {}
                () = stop.cancelled() => {}
            }
            self.read_into(spool, &mut batch).await;
        }
        spool.idle.store(batch.is_empty(), Ordering::SeqCst);
        spool.figures.waiting.store(batch.len() as u64, Ordering::Relaxed);
        batch
    }

    /// Reads on until the batch is full or nothing more is there.
    async fn read_into(&mut self, spool: &Arc<Spool>, batch: &mut Batch) {
        loop {
            self.segments.extend(spool.handover.lock().drain(..).map(Tracked::live));
            let Some(segment) = self.segments.get_mut(self.reading) else { return };
            segment.load().await;
            while !is_full(batch, spool) {
                let Some(segment) = self.segments.get_mut(self.reading) else { return };
                let was_booked = segment.read < segment.booked;
                match segment.step() {
                    Step::Record(header, place) => self.take(header, place, batch, was_booked),
                    Step::Pending => return,
                    Step::End if self.reading.saturating_add(1) >= self.segments.len() => return,
                    Step::End => {
                        self.reading = self.reading.saturating_add(1);
                        break;
                    }
                }
            }
            if is_full(batch, spool) {
                return;
            }
        }
    }

    /// One more record was read.
    fn take(&mut self, header: Header, place: Place, batch: &mut Batch, was_booked: bool) {
        let exchange = header.exchange;
        match header.kind {
            Kind::Close | Kind::Whole => {
                let known = exchange.and_then(|exchange| self.open.remove(&exchange));
                if !was_booked {
                    self.put_together(header, place, known.as_ref(), batch);
                }
                if let Some(segment) = known.and_then(|known| self.segment(known.at.0)) {
                    segment.open = segment.open.saturating_sub(1);
                }
            }
            Kind::Open | Kind::Reopen => self.note_beginning(header, place),
            Kind::Claimed | Kind::End => {}
        }
    }

    /// The event whose end is at `place`, into the batch.
    fn put_together(&mut self, header: Header, place: Place, known: Option<&OpenExchange>, batch: &mut Batch) {
        let opening = known.filter(|_| header.kind == Kind::Close).map(|known| (known.at, known.opening));
        let is_there = opening.is_none_or(|((number, _), _)| self.segment(number).is_some());
        if !is_there || (header.kind == Kind::Close && opening.is_none()) {
            // Beginnings go only after their end was booked: the disk has lost the word that it was.
            return tracing::info!(spool.segment = place.0, "an exchange ended whose beginning is gone: it was booked");
        }
        batch.begin(header.length.saturating_add(opening.map_or(0, |(_, length)| length)));
        for (at, length) in opening.into_iter().chain([(place, header.length)]) {
            if let Some(segment) = self.segment(at.0) {
                segment.copy_body(at.1, length, batch.bytes());
            }
        }
        batch.end();
    }

    /// The segment of this number: nearly always the one that is being read, or the one before.
    fn segment(&mut self, number: u64) -> Option<&mut Tracked> {
        let near = [self.reading, self.reading.saturating_sub(1)];
        let is_it = |index: &usize| self.segments.get(*index).is_some_and(|segment| segment.number == number);
        let index = near.into_iter().find(is_it).or_else(|| self.segments.iter().position(|segment| segment.number == number))?;
        self.segments.get_mut(index)
    }

    fn note_beginning(&mut self, header: Header, place: Place) {
        let opening = header.opening;
        // What an earlier process left open is ended by a record of this one; a copy that this one made may be behind the end.
        let may_be_late =
            header.kind == Kind::Reopen && self.segment(place.0).is_some_and(|segment| matches!(segment.source, Source::Live(_)));
        let before = match self.open.entry(header.exchange.unwrap_or(place)) {
            Entry::Occupied(mut known) => {
                let before = std::mem::replace(known.get_mut(), OpenExchange { at: place, opening, copied: false });
                Some(before.at.0)
            }
            // A copy of what ended meanwhile is of no use any more.
            Entry::Vacant(_) if may_be_late => return,
            Entry::Vacant(free) => {
                free.insert(OpenExchange { at: place, opening, copied: false });
                None
            }
        };
        if let Some(segment) = before.and_then(|number| self.segment(number)) {
            segment.open = segment.open.saturating_sub(1);
        }
        if let Some(segment) = self.segment(place.0) {
            segment.open = segment.open.saturating_add(1);
        }
    }

    /// After everything read was booked: remembers that, and clears away what is of no more use.
    fn settle_books(&mut self, spool: &Spool) {
        for segment in self.segments.iter_mut().take(self.reading.saturating_add(1)) {
            segment.remember();
        }
        self.copy_long_open(spool);
        self.clear_away(spool);
        self.check_recovered(spool);
    }

    /// Gives back segments that were read to their end and hold no running exchange.
    fn clear_away(&mut self, spool: &Spool) {
        let mut at = 0;
        while at < self.reading {
            let done = self.segments.get(at).is_some_and(|segment| segment.open == 0);
            if !done {
                at = at.saturating_add(1);
                continue;
            }
            let Some(segment) = self.segments.remove(at) else { break };
            self.reading = self.reading.saturating_sub(1);
            let live = match segment.source {
                Source::Live(live) => Some(live),
                Source::Old(_) => None,
            };
            spool.take_back(live, &segment.path, segment.size);
        }
    }

    /// Copies the beginnings of exchanges that outlived their segment by two, so that it can go.
    fn copy_long_open(&mut self, spool: &Spool) {
        let old = self.reading.saturating_sub(1);
        let (mut record, mut body) = (Vec::new(), Vec::new());
        for segment in self.segments.iter().take(old).filter(|segment| segment.open > 0) {
            let Source::Live(live) = &segment.source else { continue };
            let here = self.open.iter_mut().filter(|(_, exchange)| exchange.at.0 == segment.number && !exchange.copied);
            for (first, exchange) in here {
                let Live::Record(header, _) = live.look(exchange.at.1) else { continue };
                body.clear();
                live.copy_body(exchange.at.1, header.length, &mut body);
                record::encode_raw(&mut record, Kind::Reopen, Some(*first), (header.opening, &body));
                match spool.append(&record) {
                    Ok(_) => exchange.copied = true,
                    Err(error) => tracing::error!(error = %error, "running exchange can't be journaled again"),
                }
            }
        }
    }

    fn check_recovered(&self, spool: &Spool) {
        let Some(here) = self.segments.get(self.reading).map(|segment| (segment.number, segment.booked)) else { return };
        *spool.booked.lock() = here;
        if spool.recovered() {
            return;
        }
        let barrier = spool.barrier.lock();
        if here >= *barrier && !self.open.keys().any(|first| *first < *barrier) {
            spool.recovered.store(true, Ordering::Release);
        }
    }
}

/// Waits until an event is closed, or a moment, whichever is first.
async fn wait(spool: &Spool, stop: &CancellationToken) {
    tokio::select! {
        () = spool.wake.notified() => {}
        () = tokio::time::sleep(IDLE_LOOK) => {}
        () = stop.cancelled() => {}
    }
}

fn is_full(batch: &Batch, spool: &Spool) -> bool {
    batch.len() >= spool.config.batch_events || batch.size() >= BATCH_BYTES
}

impl Tracked {
    fn live(segment: Arc<Segment>) -> Self {
        let start = record::SEGMENT_HEAD;
        Self {
            number: segment.number(),
            path: segment.path().to_owned(),
            size: segment.size() as u64,
            source: Source::Live(segment),
            read: start,
            booked: start,
            open: 0,
        }
    }

    /// Reads the file of an earlier process, once.
    async fn load(&mut self) {
        let Source::Old(bytes @ None) = &mut self.source else { return };
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
        let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
        *bytes = Some(match read {
            Ok(read) => Bytes::from(read),
            Err(error) => {
                // Not removed by this: what can't be read now may be read by hand, or after the next start.
                self.open = self.open.saturating_add(1);
                tracing::error!(spool.segment = %self.path.display(), error = %error, "usage events of an earlier start can't be read");
                Bytes::new()
            }
        });
    }

    /// Moves past the next record.
    fn step(&mut self) -> Step {
        let at = self.read;
        let (header, at, next) = match &self.source {
            Source::Old(None) => return Step::Pending,
            Source::Old(Some(bytes)) => match record::records(bytes, at).next() {
                Some(seen) => (seen.header, seen.at, seen.next),
                None => return Step::End,
            },
            Source::Live(segment) => match segment.look(at) {
                Live::Pending => return Step::Pending,
                Live::End => return Step::End,
                Live::Record(header, next) => (header, at, next),
            },
        };
        self.read = next;
        Step::Record(header, (self.number, at))
    }

    /// Appends the first `length` bytes of the body of the record at `at` to `out`.
    fn copy_body(&self, at: usize, length: usize, out: &mut Vec<u8>) {
        match &self.source {
            Source::Live(segment) => segment.copy_body(at, length, out),
            Source::Old(bytes) => {
                let body = bytes.as_deref().and_then(|bytes| bytes.get(at.saturating_add(record::RECORD_HEAD)..)?.get(..length));
                out.extend_from_slice(body.unwrap_or_default());
            }
        }
    }

    /// Notes in the file how far everything was booked.
    fn remember(&mut self) {
        if self.booked >= self.read {
            return;
        }
        self.booked = self.read;
        match &self.source {
            Source::Live(segment) => segment.acknowledge(self.booked),
            Source::Old(_) => {
                let place = u64::try_from(self.booked).unwrap_or(0);
                let file = std::fs::OpenOptions::new().write(true).open(&self.path);
                let written = file.and_then(|file| file.write_all_at(&place.to_le_bytes(), ACKNOWLEDGED_AT));
                if let Err(error) = written {
                    // Then the events are sent again after a restart, and booked once all the same.
                    tracing::warn!(spool.segment = %self.path.display(), error = %error, "booked position can't be kept");
                }
            }
        }
    }
}
