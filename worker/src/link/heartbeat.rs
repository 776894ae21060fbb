//! Keeps the worker known to the control plane: enrols, then says every second what is in use, and hears which bundles are newest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use policy::link::{HealthReport, Heartbeat};
use tokio_util::sync::CancellationToken;

use super::enrolment::Enrolment;
use super::{ControlPlane, LinkError};
use crate::budget::Budgets;
use crate::clock;
use crate::health::Health;
use crate::policy_feed::{Fleet, Policies};
use crate::spool::Spool;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Between two reports of how providers stand, where nothing changes.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Everything a heartbeat speaks about.
pub(super) struct Pulse {
    pub(super) link: Arc<dyn ControlPlane>,
    pub(super) enrolment: Arc<Enrolment>,
    pub(super) policies: Arc<Policies>,
    pub(super) budgets: Arc<Budgets>,
    pub(super) spool: Arc<Spool>,
    pub(super) in_flight: Arc<AtomicU64>,
    pub(super) health: HealthTeller,
    pub(super) interval: Duration,
    pub(super) name: String,
}

impl Pulse {
    /// Beats until `stop`.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut lost = false;
        while !stop.is_cancelled() {
            if self.enrolment.live().is_none() && !self.enrol(stop).await {
                return;
            }
            match self.beat(false).await {
                Ok(()) if std::mem::replace(&mut lost, false) => tracing::info!("control plane is back"),
                Ok(()) => {}
                Err(error) if !std::mem::replace(&mut lost, true) => {
                    tracing::warn!(error = %error, "control plane does not answer heartbeats; serving with what is known and leased");
                }
                Err(_) => {}
            }
            // Another worker waits for what is given back: not a second later.
            if self.budgets.is_recalled() && !lost {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// The last beat: everything that is not in use goes back.
    pub(super) async fn leave(&self) {
        if self.enrolment.live().is_none() {
            return;
        }
        // Twice: the first gives back and learns what was booked, the second closes what is settled by then.
        for _ in 0..2 {
            if let Err(error) = self.beat(true).await {
                tracing::warn!(error = %error, "leases could not be given back; they run out by themselves");
                return;
            }
        }
    }

    /// Says hello until it is heard; false when `stop` came first.
    async fn enrol(&self, stop: &CancellationToken) -> bool {
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            let answer = tokio::select! {
                answer = self.enrolment.enrol(self.link.as_ref(), &self.name) => answer,
                () = stop.cancelled() => return false,
            };
            match answer {
                Ok(identity) => {
                    tracing::info!(worker.id = %identity.worker_id, worker.incarnation = identity.incarnation, "enrolled");
                    return true;
                }
                Err(error) if !std::mem::replace(&mut told, true) => {
                    tracing::warn!(error = %error, cause = %cause(&error), "not enrolled yet, trying again");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = pause.saturating_mul(2).min(LONGEST_PAUSE),
                () = stop.cancelled() => return false,
            }
        }
    }

    async fn beat(&self, leaving: bool) -> Result<(), LinkError> {
        let identity = self.enrolment.live().ok_or(LinkError::NotEnrolled)?;
        let fleet = self.policies.current();
        let message = Heartbeat {
            worker_id: identity.worker_id.to_string(),
            incarnation: identity.incarnation,
            sequence: 0,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            revisions: fleet.revisions(),
            recovered: self.spool.recovered(),
            accounts: Vec::new(),
            health: self.health.tell(&fleet),
        };
        let reply = self.budgets.beat(message, &fleet, &self.spool, leaving).await?;
        if reply.enrol_again {
            tracing::warn!("control plane asks to enrol again");
            // What is open or unshipped now was begun under the life that just ended.
            self.spool.begin_new_start();
            self.enrolment.end_life();
            return Ok(());
        }
        self.policies.note_newest(&reply.revisions);
        Ok(())
    }
}

/// Says how providers stand: every few seconds, and at once where a breaker has changed.
pub(super) struct HealthTeller {
    health: Arc<Health>,
    told: Mutex<Option<Told>>,
}

/// What was told last.
struct Told {
    at: Instant,
    changes: u64,
}

impl HealthTeller {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self { health, told: Mutex::new(None) }
    }

    /// All that there is to say of the organizations of `fleet`; nothing where that was said a moment ago.
    fn tell(&self, fleet: &Fleet) -> Option<BTreeMap<String, HealthReport>> {
        let (now, changes) = (clock::instant(), self.health.changes());
        let mut told = self.told.lock();
        let is_news = told.as_ref().is_none_or(|told| told.changes != changes || now.saturating_duration_since(told.at) >= TELL_EVERY);
        is_news.then(|| {
            *told = Some(Told { at: now, changes });
            self.health.report(fleet.iter().map(|policy| &*policy.engine.bundle().org.id))
        })
    }
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}
