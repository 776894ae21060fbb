//! The journal of exchanges on this worker's disk: what a request costs is never lost, and never booked twice.
//!
//! [`Spool::open`] is called before the first upstream byte leaves, with the event as it would have to be booked should the process be
//! killed now; [`Spool::close`] when the exchange ends, with its outcome. Both append to a memory-mapped segment, which survives the process;
//! a sync follows at most a second later off the path. [`Spool::run`] ships closed events in batches, each put together of its opening and
//! its outcome, and removes segments when everything in them is booked. [`Spool::start`] finds what an earlier process left: an exchange that
//! was opened and not closed is shipped as it was opened, as an unknown outcome.
//!
//! Behaviour when full: at the byte limit, or when the disk is full, `open` refuses (the caller answers 503) while `close` still writes.
//! Behaviour when the control plane is away: the spool grows, shipping is tried again for ever with growing pauses.
//! What the control plane refuses for good is kept below `refused/`.
//!
//! Leaves out: what is in an event. One process owns the directory, by a lock that ends with the process.

mod deliver;
mod record;
mod recovery;
mod segment;
mod shipper;

use std::cell::RefCell;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use policy::decision::Trace;
use policy::event::wire::{Opening, Outcome};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::SpoolConfig;
use crate::link::ControlPlane;
use record::Kind;
use recovery::Unclosed;
use segment::Segment;
use shipper::Shipper;

/// The spool can't take another exchange: refuse the request rather than leave it unlogged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no room for usage events on this worker's disk")]
pub struct SpoolFull;

/// Why the spool can't be started.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has it.
    #[error("spool directory `{0}` is in use by another worker")]
    InUse(PathBuf),
    /// The disk says no.
    #[error("spool directory `{path}` is not usable")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where in the spool: number of the segment, offset in it.
pub type Place = (u64, usize);

/// Figures for metrics and readiness. All counted since the start.
#[derive(Debug, Default)]
pub struct SpoolFigures {
    /// Events booked by the control plane.
    pub booked: AtomicU64,
    /// Events it knew already.
    pub repeated: AtomicU64,
    /// Events it refused for good.
    pub refused: AtomicU64,
    /// Batches that did not arrive.
    pub failed_batches: AtomicU64,
    /// Closed events that could not be written.
    pub lost: AtomicU64,
    /// Exchanges that were found open at the start.
    pub unknown_outcomes: AtomicU64,
    /// Bytes of all segment files now.
    pub bytes: AtomicU64,
    /// Events read from the segments and not yet booked now.
    pub waiting: AtomicU64,
}

/// The journal of exchanges.
pub struct Spool {
    dir: PathBuf,
    config: SpoolConfig,
    current: ArcSwap<Segment>,
    /// Number of the next segment; holding it is what allows to change `current`.
    next_number: Mutex<u64>,
    /// A segment made in advance, so that nobody on the path has to.
    spare: Mutex<Option<Arc<Segment>>>,
    spare_taken: Notify,
    /// Segments that the shipper has not seen yet.
    handover: Mutex<Vec<Arc<Segment>>>,
    /// Segments that were left since the last sync.
    left: Mutex<Vec<Arc<Segment>>>,
    shipper: Mutex<Option<Shipper>>,
    wake: Notify,
    /// The shipper waits to be woken.
    idle: AtomicBool,
    recovered: AtomicBool,
    /// Everything before this place belongs to earlier starts.
    barrier: Mutex<Place>,
    /// Everything before this place was booked.
    booked: Mutex<Place>,
    figures: SpoolFigures,
    _lock: File,
}

/// An exchange that goes on has none yet.
static NO_TRACE: Trace = Trace { steps: Vec::new() };

thread_local! {
    static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Spool {
    /// Opens the spool in `dir`, taking over what an earlier process left there. Blocks.
    ///
    /// # Errors
    /// When another process has it or the disk says no.
    pub fn start(dir: &Path, config: SpoolConfig) -> Result<Arc<Self>, SpoolError> {
        let unusable = |source: io::Error| SpoolError::Unusable { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir.join("refused")).map_err(unusable)?;
        let lock = File::create(dir.join("lock")).map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => SpoolError::InUse(dir.to_owned()),
            TryLockError::Error(source) => unusable(source),
        })?;
        let found = recovery::scan(dir).map_err(unusable)?;
        let number = found.next_number;
        let largest = found.unclosed.iter().map(|unclosed| record::record_size(unclosed.written.len())).sum::<usize>();
        let size = segment_size(&config).max(largest.saturating_add(segment_size(&config)));
        let first = Arc::new(Segment::create(segment_path(dir, number), number, size).map_err(unusable)?);
        let figures = SpoolFigures::default();
        let old_bytes: u64 = found.segments.iter().map(|old| old.bytes).sum();
        figures.bytes.store(old_bytes.saturating_add(first.size() as u64), Ordering::Relaxed);
        let mut bytes = Vec::new();
        for Unclosed { exchange, opening, written } in &found.unclosed {
            record::encode_raw(&mut bytes, Kind::Whole, Some(*exchange), (*opening, written));
            first.append(&bytes);
            figures.unknown_outcomes.fetch_add(1, Ordering::Relaxed);
        }
        first.sync().map_err(unusable)?;
        let barrier = (number, first.tail());
        let nothing_left = found.segments.is_empty() && found.unclosed.is_empty();
        let shipper = Shipper::new(found.segments, Arc::clone(&first));
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            config,
            current: ArcSwap::new(first),
            next_number: Mutex::new(number.saturating_add(1)),
            spare: Mutex::new(None),
            spare_taken: Notify::new(),
            handover: Mutex::new(Vec::new()),
            left: Mutex::new(Vec::new()),
            shipper: Mutex::new(Some(shipper)),
            wake: Notify::new(),
            idle: AtomicBool::new(false),
            recovered: AtomicBool::new(nothing_left),
            barrier: Mutex::new(barrier),
            booked: Mutex::new((0, 0)),
            figures,
            _lock: lock,
        }))
    }

    /// Journals an exchange before an attempt's first upstream byte leaves. `lost` is what is booked should this process die now; `began` is
    /// what this answered for an earlier attempt of the exchange. Answers what [`Spool::close`] is to be told.
    ///
    /// # Errors
    /// When there is no room: then nothing may be sent upstream.
    pub fn open(&self, began: Option<Place>, opening: &Opening, lost: &Outcome) -> Result<Place, SpoolFull> {
        if self.figures.bytes.load(Ordering::Relaxed) >= self.config.limit_bytes {
            return Err(SpoolFull);
        }
        let written = RECORD.with_borrow_mut(|bytes| {
            record::encode(bytes, (Kind::Open, began), Some(opening), (lost, &NO_TRACE));
            self.append(bytes)
        });
        match written {
            Ok(place) => Ok(began.unwrap_or(place)),
            Err(error) => {
                tracing::error!(error = %error, "usage event can't be journaled");
                Err(SpoolFull)
            }
        }
    }

    /// Journals the end of an exchange that began there, or one that never went upstream. From here on the event will be booked.
    pub fn close(&self, began: Option<Place>, opening: &Opening, outcome: &Outcome, trace: &Trace) {
        let written = RECORD.with_borrow_mut(|bytes| {
            let (kind, opening) = if began.is_some() { (Kind::Close, None) } else { (Kind::Whole, Some(opening)) };
            record::encode(bytes, (kind, began), opening, (outcome, trace));
            self.append(bytes)
        });
        if let Err(error) = written {
            // If it was opened, that record is still there: it is booked at the reserved amount after the next start.
            self.figures.lost.fetch_add(1, Ordering::Relaxed);
            tracing::error!(event.id = %opening.id, error = %error, "usage event can't be written");
        }
        if self.idle.load(Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// Whether everything that earlier starts left has been booked.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.recovered.load(Ordering::Acquire)
    }

    /// What is open or unshipped now belongs to an earlier start: [`Spool::recovered`] says no until all of it has been booked.
    pub fn begin_new_start(&self) {
        let mut barrier = self.barrier.lock();
        *barrier = self.place();
        self.recovered.store(false, Ordering::Release);
        self.wake.notify_one();
    }

    /// Where the next record goes.
    pub(crate) fn place(&self) -> Place {
        let current = self.current.load();
        (current.number(), current.tail())
    }

    /// Whether everything before `place` that ended has been booked.
    pub(crate) fn is_booked(&self, place: Place) -> bool {
        *self.booked.lock() >= place
    }

    /// Figures for metrics.
    #[must_use]
    pub fn figures(&self) -> &SpoolFigures {
        &self.figures
    }

    /// Ships events until `stop`, then what is left as long as the control plane takes it. Runs once.
    pub async fn run(self: Arc<Self>, link: Arc<dyn ControlPlane>, stop: CancellationToken) {
        let Some(mut shipper) = self.shipper.lock().take() else { return };
        let syncing = self.sync_now_and_then(stop.child_token());
        tokio::join!(shipper.run(&self, link.as_ref(), &stop), syncing);
        self.sync().await;
    }

    /// Appends a record to the current segment, or to the next one when that is full.
    fn append(&self, bytes: &[u8]) -> io::Result<Place> {
        loop {
            let segment = self.current.load();
            if let Some(at) = segment.append(bytes) {
                return Ok((segment.number(), at));
            }
            self.leave(&segment, bytes.len())?;
        }
    }

    /// Puts a new segment in the place of `full`, unless somebody did already.
    fn leave(&self, full: &Arc<Segment>, needed: usize) -> io::Result<()> {
        let mut next_number = self.next_number.lock();
        if !Arc::ptr_eq(&self.current.load(), full) {
            return Ok(());
        }
        let needed = needed.saturating_add(record::SEGMENT_HEAD);
        let spare = self.spare.lock().take().filter(|spare| spare.size() >= needed);
        self.spare_taken.notify_one();
        let next = match spare {
            Some(spare) => spare,
            None => self.make(&mut next_number, needed)?,
        };
        self.handover.lock().push(Arc::clone(&next));
        self.left.lock().push(Arc::clone(full));
        self.current.store(next);
        Ok(())
    }

    fn make(&self, next_number: &mut u64, needed: usize) -> io::Result<Arc<Segment>> {
        let number = *next_number;
        *next_number = number.saturating_add(1);
        let size = segment_size(&self.config).max(needed);
        let segment = Segment::create(segment_path(&self.dir, number), number, size)?;
        self.figures.bytes.fetch_add(segment.size() as u64, Ordering::Relaxed);
        Ok(Arc::new(segment))
    }

    /// Makes the next segment in advance.
    fn prepare(&self) -> io::Result<()> {
        // Taken in this order everywhere: whoever leaves a segment meanwhile waits for the spare instead of making another.
        let mut next_number = self.next_number.lock();
        let mut spare = self.spare.lock();
        if spare.is_none() {
            *spare = Some(self.make(&mut next_number, 0)?);
        }
        Ok(())
    }

    /// Takes a segment back whose records are all booked: the next one is made of it, or it is removed.
    fn take_back(&self, segment: Option<Arc<Segment>>, path: &Path, size: u64) {
        if let Some(segment) = segment {
            // What is booked needs no sync.
            self.left.lock().retain(|left| !Arc::ptr_eq(left, &segment));
            let mut next_number = self.next_number.lock();
            let mut spare = self.spare.lock();
            if spare.is_none()
                && segment.size() == segment_size(&self.config)
                && let Ok(segment) = Arc::try_unwrap(segment)
            {
                let number = *next_number;
                *next_number = number.saturating_add(1);
                match segment.renew(segment_path(&self.dir, number), number) {
                    Ok(renewed) => {
                        *spare = Some(Arc::new(renewed));
                        return;
                    }
                    Err(error) => tracing::warn!(error = %error, "shipped segment can't be used again"),
                }
            }
        }
        if let Err(error) = std::fs::remove_file(path) {
            tracing::error!(spool.segment = %path.display(), error = %error, "shipped segment can't be removed");
        }
        self.figures.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    async fn sync_now_and_then(self: &Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.config.sync_interval) => self.sync().await,
                () = self.spare_taken.notified() => self.off_the_path(|spool| spool.prepare()).await,
                () = stop.cancelled() => return,
            }
        }
    }

    /// Writes what was published to the disk.
    async fn sync(self: &Arc<Self>) {
        let sync = |spool: &Self| {
            let left = std::mem::take(&mut *spool.left.lock());
            left.iter().try_for_each(|segment| segment.sync())?;
            spool.current.load().sync()?;
            spool.prepare()
        };
        self.off_the_path(sync).await;
    }

    async fn off_the_path(self: &Arc<Self>, work: fn(&Self) -> io::Result<()>) {
        let spool = Arc::clone(self);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || work(&spool)).await {
            tracing::error!(error = %error, "the spool can't write to the disk");
        }
    }
}

fn segment_size(config: &SpoolConfig) -> usize {
    usize::try_from(config.segment_bytes).unwrap_or(usize::MAX)
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.segment"))
}

#[cfg(test)]
mod tests;
