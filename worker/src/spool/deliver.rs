//! Gets a batch of events to the control plane, and sees to those that it refuses.
//!
//! A call that fails is made again for ever, with growing pauses. A batch whose message is found bad is sent in halves, until the bad event
//! is alone; what is refused for good is kept below `refused/` with the reason.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use policy::event::UsageEvent;
use policy::link::{Booked, begin_event, events_in};
use serde::Serialize;

use super::Spool;
use crate::link::ControlPlane;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Events on their way, put together as the link takes them.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Batch {
    /// An event of `length` bytes comes.
    pub(super) fn begin(&mut self, length: usize) {
        begin_event(&mut self.bytes, length);
    }

    /// Where its bytes go.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// It is there.
    pub(super) fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all of them.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// No more will come.
    pub(super) fn sealed(self) -> Sealed {
        Sealed { bytes: self.bytes.into(), ends: self.ends }
    }
}

/// A batch to be shipped, in whole or in part.
pub(super) struct Sealed {
    bytes: Bytes,
    ends: Vec<usize>,
}

impl Sealed {
    /// Some of the events.
    fn part(&self, events: &Range<usize>) -> Bytes {
        let end_of = |count: usize| count.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        self.bytes.slice(end_of(events.start)..end_of(events.end))
    }

    /// One of them, as it was written.
    fn event(&self, place: usize) -> Bytes {
        let item = self.part(&(place..place.saturating_add(1)));
        events_in(&item).next().and_then(Result::ok).map(|event| item.slice_ref(event)).unwrap_or_default()
    }
}

/// Ships `batch` until the control plane has answered for every one of its events.
pub(super) async fn deliver(spool: &Spool, link: &dyn ControlPlane, batch: &Sealed) {
    let all = 0..batch.ends.len();
    let mut parts = vec![all];
    while let Some(part) = parts.pop() {
        match ship(spool, link, batch.part(&part), part.len()).await {
            Ok(answer) => note_answer(spool, batch, &part, &answer).await,
            // One bad event must not hold up the others: halves, until it is alone.
            Err(_) if part.len() > 1 => {
                let middle = part.start.midpoint(part.end);
                parts.extend([middle..part.end, part.start..middle]);
            }
            Err(reason) => keep_refused(spool, batch.event(part.start), reason).await,
        }
    }
}

/// Ships so many events, again and again until there is an answer; an error says why the batch as it is will never be taken.
async fn ship(spool: &Spool, link: &dyn ControlPlane, body: Bytes, events: usize) -> Result<Booked, String> {
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        match link.ship(body.clone()).await {
            Ok(booked) => return Ok(booked),
            Err(error) if error.is_about_the_message() => return Err(error.to_string()),
            Err(error) => {
                spool.figures.failed_batches.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(error = %error, events, "usage events can't be shipped now, trying again");
                }
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn note_answer(spool: &Spool, batch: &Sealed, part: &Range<usize>, answer: &Booked) {
    spool.figures.booked.fetch_add(u64::from(answer.booked), Ordering::Relaxed);
    spool.figures.repeated.fetch_add(u64::from(answer.repeated), Ordering::Relaxed);
    for refused in &answer.refused {
        let place = usize::try_from(refused.place).ok().and_then(|place| place.checked_add(part.start));
        if let Some(place) = place.filter(|place| part.contains(place)) {
            keep_refused(spool, batch.event(place), refused.reason.clone()).await;
        }
    }
}

/// An event that was refused for good, as it is kept.
#[derive(Serialize)]
struct RefusedFile<'a> {
    reason: &'a str,
    event: Option<UsageEvent>,
}

async fn keep_refused(spool: &Spool, written: Bytes, reason: String) {
    let count = spool.figures.refused.fetch_add(1, Ordering::Relaxed);
    let event = UsageEvent::read(&written).ok();
    // An id is letters, digits and an underscore; anything else does not become a path.
    let name =
        event.as_ref().map(|event| event.id.to_string()).filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    let name = name.unwrap_or_else(|| format!("unnamed-{count}"));
    tracing::error!(event.id = %name, reason = %reason, "usage event was refused for good; it is kept on this worker's disk");
    let path = spool.dir.join("refused").join(format!("{name}.json"));
    let kept = tokio::task::spawn_blocking(move || std::fs::write(path, serde_json::to_vec(&RefusedFile { reason: &reason, event })?));
    if let Ok(Err(error)) = kept.await {
        tracing::error!(event.id = %name, error = %error, "refused usage event can't be kept");
    }
}
