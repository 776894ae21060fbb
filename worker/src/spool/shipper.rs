//! Reads what was appended, ships it, and clears away what was booked.
//!
//! It reads each segment from where it stopped. Ends of exchanges go into a batch; beginnings only into a table of what is open, so that a
//! segment is kept as long as it holds the only trace of a running exchange. An exchange that outlives its segment by two is copied forward.
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

use super::deliver::deliver;
use super::record::{self, Kind};
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
    open: HashMap<String, OpenExchange>,
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
    /// Where it was first.
    first: Place,
    /// A copy was appended and not yet read.
    copied: bool,
}

/// One step through a segment.
enum Step {
    /// A whole record.
    Record { kind: Kind, id: String, event: Bytes, at: usize },
    /// Nothing more yet.
    Pending,
    /// Nothing more ever.
    End,
}

/// Events on their way, as they were written.
#[derive(Default)]
struct Batch {
    events: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, event: Bytes) {
        self.bytes = self.bytes.saturating_add(event.len());
        self.events.push(event);
    }

    fn is_full(&self, spool: &Spool) -> bool {
        self.events.len() >= spool.config.batch_events || self.bytes >= BATCH_BYTES
    }
}

impl Shipper {
    pub(super) fn new(old: Vec<OldSegment>, first: Arc<Segment>) -> Self {
        let old = old.into_iter().map(|old| {
            let booked = old.acknowledged.max(record::SEGMENT_HEAD);
            Tracked { number: old.number, path: old.path, size: old.bytes, source: Source::Old(None), read: booked, booked, open: 0 }
        });
        let mut segments: VecDeque<Tracked> = old.collect();
        segments.push_back(Tracked::live(first));
        Self { segments, reading: 0, open: HashMap::new() }
    }

    /// Ships until `stop`, then the rest for a while.
    pub(super) async fn run(&mut self, spool: &Arc<Spool>, link: &dyn ControlPlane, stop: &CancellationToken) {
        loop {
            let events = self.gather(spool, stop).await;
            if events.is_empty() {
                if stop.is_cancelled() {
                    return;
                }
                self.settle_books(spool);
                wait(spool, stop).await;
                continue;
            }
            tokio::select! {
                () = deliver(spool, link, &events) => self.settle_books(spool),
                () = stop.cancelled() => return self.finish(spool, link, events).await,
            }
        }
    }

    /// The last batches; gives up when the control plane does not take them.
    async fn finish(&mut self, spool: &Arc<Spool>, link: &dyn ControlPlane, mut events: Vec<Bytes>) {
        let rest = async {
            while !events.is_empty() {
                deliver(spool, link, &events).await;
                self.settle_books(spool);
                let mut batch = Batch::default();
                self.read_into(spool, &mut batch).await;
                events = batch.events;
            }
        };
        if tokio::time::timeout(LAST_CALL, rest).await.is_err() {
            tracing::warn!("usage events are left on this worker's disk; they are shipped after its next start");
        }
    }

    /// A batch: full, or what came within the time that a batch gathers.
    async fn gather(&mut self, spool: &Arc<Spool>, stop: &CancellationToken) -> Vec<Bytes> {
        let mut batch = Batch::default();
        // Before reading, so that whatever is appended after the read wakes the wait that may follow.
        spool.idle.store(true, Ordering::SeqCst);
        self.read_into(spool, &mut batch).await;
        if !batch.events.is_empty() && !batch.is_full(spool) {
            tokio::select! {
                () = tokio::time::sleep(spool.config.batch_wait) => {}
                () = stop.cancelled() => {}
            }
            self.read_into(spool, &mut batch).await;
        }
        spool.idle.store(batch.events.is_empty(), Ordering::SeqCst);
        spool.figures.waiting.store(batch.events.len() as u64, Ordering::Relaxed);
        batch.events
    }

    /// Reads on until the batch is full or nothing more is there.
    async fn read_into(&mut self, spool: &Arc<Spool>, batch: &mut Batch) {
        loop {
            self.segments.extend(spool.handover.lock().drain(..).map(Tracked::live));
            let Some(segment) = self.segments.get_mut(self.reading) else { return };
            segment.load().await;
            loop {
                if batch.is_full(spool) {
                    return;
                }
                match segment.step() {
                    Step::Record { kind: Kind::Close, id, event, .. } => {
                        batch.push(event);
                        if let Some(exchange) = self.open.remove(&id) {
                            // Its beginning may be in this very segment.
                            segment.forget_if(exchange.at.0);
                            forget_beginning(&mut self.segments, exchange.at.0, self.reading);
                            break;
                        }
                    }
                    Step::Record { kind, id, at, .. } => {
                        let place = (segment.number, at);
                        if matches!(segment.source, Source::Live(_)) {
                            self.note_beginning(kind, id, place);
                        }
                        break;
                    }
                    Step::Pending => return,
                    Step::End if self.reading.saturating_add(1) >= self.segments.len() => return,
                    Step::End => {
                        self.reading = self.reading.saturating_add(1);
                        break;
                    }
                }
            }
        }
    }

    fn note_beginning(&mut self, kind: Kind, id: String, place: Place) {
        let before = match self.open.entry(id) {
            Entry::Occupied(mut known) => {
                let exchange = known.get_mut();
                exchange.copied = false;
                Some(std::mem::replace(&mut exchange.at, place))
            }
            // A copy of what ended meanwhile is of no use any more.
            Entry::Vacant(_) if kind == Kind::Reopen => return,
            Entry::Vacant(free) => {
                free.insert(OpenExchange { at: place, first: place, copied: false });
                None
            }
        };
        for segment in &mut self.segments {
            if Some(segment.number) == before.map(|(number, _)| number) {
                segment.open = segment.open.saturating_sub(1);
            }
            if segment.number == place.0 {
                segment.open = segment.open.saturating_add(1);
            }
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
        let mut record = Vec::new();
        for segment in self.segments.iter().take(old).filter(|segment| segment.open > 0) {
            let Source::Live(live) = &segment.source else { continue };
            let here = self.open.iter_mut().filter(|(_, exchange)| exchange.at.0 == segment.number && !exchange.copied);
            for (id, exchange) in here {
                let Live::Record { length, .. } = live.look(exchange.at.1) else { continue };
                let body = live.body(exchange.at.1, length);
                let Some((_, event)) = record::split_body(&body) else { continue };
                record::encode_raw(&mut record, Kind::Reopen, id, event);
                match spool.append(&record) {
                    Ok(_) => exchange.copied = true,
                    Err(error) => tracing::error!(event.id = %id, error = %error, "running exchange can't be journaled again"),
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
        if here >= *barrier && !self.open.values().any(|exchange| exchange.first < *barrier) {
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

/// The beginning of one exchange in segment `number` is not needed any more; the segment at `except` was told already.
fn forget_beginning(segments: &mut VecDeque<Tracked>, number: u64, except: usize) {
    let others = segments.iter_mut().enumerate().filter(|(index, _)| *index != except);
    for (_, segment) in others {
        segment.forget_if(number);
    }
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

    fn forget_if(&mut self, number: u64) {
        if self.number == number {
            self.open = self.open.saturating_sub(1);
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
        match &self.source {
            Source::Old(bytes) => {
                let Some(bytes) = bytes else { return Step::Pending };
                let Some((kind, id, event, next)) = record::records(bytes, at).next() else { return Step::End };
                self.read = next;
                Step::Record { kind, id: id.to_owned(), event: bytes.slice_ref(event), at }
            }
            // What was published by this process is whole: no checksum is needed, and of a beginning only its id.
            Source::Live(segment) => match segment.look(at) {
                Live::Pending => Step::Pending,
                Live::End => Step::End,
                Live::Record { kind, length, next } => {
                    self.read = next;
                    let wanted = if kind == Kind::Close { length } else { length.min(record::ID_REACH) };
                    let body = Bytes::from(segment.body(at, wanted));
                    match record::split_body(&body) {
                        Some((id, event)) => Step::Record { kind, id: id.to_owned(), event: body.slice_ref(event), at },
                        None => Step::Pending,
                    }
                }
            },
        }
    }

    /// Notes in the file how far everything was booked.
    fn remember(&mut self) {
        if self.booked == self.read {
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
