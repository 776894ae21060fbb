//! Gets a batch of events to the control plane, and sees to those that it refuses.
//!
//! A call that fails is made again for ever, with growing pauses. A batch whose message is found bad is sent in halves, until the bad event
//! is alone; what is refused for good is kept below `refused/` with the reason.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use policy::event::UsageEvent;
use policy::link::{Booked, write_batch};
use serde::Serialize;

use super::Spool;
use crate::link::ControlPlane;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Ships `events` until the control plane has answered for every one of them.
pub(super) async fn deliver(spool: &Spool, link: &dyn ControlPlane, events: &[Bytes]) {
    let mut parts = vec![events];
    while let Some(part) = parts.pop() {
        match ship(spool, link, part).await {
            Ok(answer) => note_answer(spool, part, &answer).await,
            // One bad event must not hold up the others: halves, until it is alone.
            Err(reason) => match part.split_at_checked(part.len() / 2) {
                Some((first, second)) if !first.is_empty() => parts.extend([second, first]),
                _ => {
                    if let Some(event) = part.first() {
                        keep_refused(spool, event.clone(), reason).await;
                    }
                }
            },
        }
    }
}

/// Ships one batch, again and again until there is an answer; an error says why the batch as it is will never be taken.
async fn ship(spool: &Spool, link: &dyn ControlPlane, events: &[Bytes]) -> Result<Booked, String> {
    let body = Bytes::from(write_batch(events));
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        match link.ship(body.clone()).await {
            Ok(booked) => return Ok(booked),
            Err(error) if error.is_about_the_message() => return Err(error.to_string()),
            Err(error) => {
                spool.figures.failed_batches.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(error = %error, events = events.len(), "usage events can't be shipped now, trying again");
                }
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn note_answer(spool: &Spool, events: &[Bytes], answer: &Booked) {
    spool.figures.booked.fetch_add(u64::from(answer.booked), Ordering::Relaxed);
    spool.figures.repeated.fetch_add(u64::from(answer.repeated), Ordering::Relaxed);
    for refused in &answer.refused {
        let event = usize::try_from(refused.place).ok().and_then(|place| events.get(place));
        if let Some(event) = event {
            keep_refused(spool, event.clone(), refused.reason.clone()).await;
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
