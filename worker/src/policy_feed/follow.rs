//! The tasks that keep the policy the newest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use policy::bundle::Envelope;
use policy::link::{Ack, FeedQuery};
use tokio_util::sync::CancellationToken;

use super::apply::ApplyError;
use super::doorbell::Doorbell;
use super::{Failed, OrgPolicy, Policies};
use crate::clock;
use crate::link::{Identity, LinkError};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// An answer without news that comes sooner was not held back.
const AT_ONCE: Duration = Duration::from_millis(20);
/// How long a bundle that was refused is not looked at again, unless a newer one comes.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// How long a bundle that could not be fetched is not looked at again.
const UNFETCHED_FOR: Duration = Duration::from_millis(500);

/// Why a bundle that was announced is not in force.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("bundle of `{org_id}` can't be fetched")]
    Fetch { org_id: String, source: LinkError },
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("bundle of `{0}` was being made ready and never was")]
    Lost(String),
}

impl Policies {
    /// Follows the control plane until `stop`.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let doorbell = self.redis_url.as_ref().and_then(Doorbell::new);
        let listening = async {
            match &doorbell {
                Some(doorbell) => doorbell.listen(&self).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.look_when_told(doorbell.as_ref()) => {}
            () = self.follow_feed() => {}
            () = listening => {}
            () = stop.cancelled() => {}
        }
    }

    /// Fetches and applies whatever is wanted, one after the other.
    async fn look_when_told(&self, doorbell: Option<&Doorbell>) {
        loop {
            let identity = match self.enrolment.live() {
                Some(identity) => identity,
                None => self.enrolment.wait_live().await,
            };
            let wanted: BTreeMap<String, u64> = std::mem::take(&mut *self.wanted.lock());
            if wanted.is_empty() {
                self.look.notified().await;
                continue;
            }
            for (org_id, revision) in wanted {
                self.look_at(&org_id, revision, doorbell, &identity).await;
            }
        }
    }

    /// Looks for revision `revision` of `org_id`, or a newer one.
    async fn look_at(&self, org_id: &str, revision: u64, doorbell: Option<&Doorbell>, identity: &Arc<Identity>) {
        if self.fleet.load().revision(org_id).is_some_and(|have| have >= revision) {
            return;
        }
        let announced = match doorbell {
            Some(doorbell) => doorbell.bundle(org_id, revision).await,
            None => None,
        };
        let mut outcome = match announced {
            Some(envelope) => self.apply(org_id, envelope, identity).await,
            None => self.fetch_and_apply(org_id, identity).await,
        };
        if announced_was_bad(&outcome) && doorbell.is_some() {
            // What Redis holds is not to be trusted; the control plane itself is asked before anything is reported.
            outcome = self.fetch_and_apply(org_id, identity).await;
        }
        if let Err(error) = outcome {
            let refused = matches!(error, LookError::Apply(_));
            let pause = if refused { REFUSED_FOR } else { UNFETCHED_FOR };
            let again = clock::instant().checked_add(pause).unwrap_or_else(clock::instant);
            self.failed.lock().insert(org_id.to_owned(), Failed { revision, refused, again });
            tracing::error!(org.id = %org_id, bundle.revision = revision, error = %chain(&error), "bundle is not in force; the one before stays");
            if refused {
                let error = Some(chain(&error));
                let (worker_id, org_id) = (identity.worker_id.to_string(), org_id.to_owned());
                self.acknowledge(Ack { worker_id, org_id, revision, digest: String::new(), lag_ms: 0, error }).await;
            }
        }
    }

    async fn fetch_and_apply(&self, org_id: &str, identity: &Arc<Identity>) -> Result<(), LookError> {
        let fetched = self.link.bundle(org_id).await;
        let envelope = fetched.map_err(|source| LookError::Fetch { org_id: org_id.to_owned(), source })?;
        self.apply(org_id, envelope, identity).await
    }

    /// Checks, makes ready, swaps in, keeps and acknowledges.
    async fn apply(&self, org_id: &str, envelope: Envelope, identity: &Arc<Identity>) -> Result<(), LookError> {
        if envelope.org_id != org_id {
            return Err(ApplyError::WrongOrganization(envelope.org_id).into());
        }
        let keys = Arc::clone(identity);
        let lost = |_| LookError::Lost(org_id.to_owned());
        let made = tokio::task::spawn_blocking(move || OrgPolicy::load(&envelope, &keys).map(|policy| (policy, envelope)));
        let (policy, envelope) = made.await.map_err(lost)??;
        let created_at = policy.engine.bundle().created_at;
        if !self.swap_in(policy) {
            return Ok(());
        }
        let lag_ms = u64::try_from(clock::now().signed_duration_since(created_at).num_milliseconds()).unwrap_or(0);
        tracing::info!(org.id = %org_id, bundle.revision = envelope.revision, lag_ms, "bundle is in force");
        self.failed.lock().remove(org_id);
        let (worker_id, org_id) = (identity.worker_id.to_string(), org_id.to_owned());
        let ack = Ack { worker_id, org_id, revision: envelope.revision, digest: envelope.digest.clone(), lag_ms, error: None };
        tokio::join!(self.acknowledge(ack), self.keep(envelope));
        Ok(())
    }

    async fn keep(&self, envelope: Envelope) {
        let kept = Arc::clone(&self.kept);
        let org_id = envelope.org_id.clone();
        let written = tokio::task::spawn_blocking(move || kept.write(&envelope)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::warn!(org.id = %org_id, error = %error, "bundle can't be kept; a start without the control plane uses an older one");
        }
    }

    async fn acknowledge(&self, ack: Ack) {
        if let Err(error) = self.link.acknowledge(&ack).await {
            // The next heartbeat says which revision is in force as well.
            tracing::debug!(org.id = %ack.org_id, error = %error, "bundle could not be acknowledged");
        }
    }

    /// The link's own feed: waits for news where there is no doorbell, asks at once where something does not add up.
    async fn follow_feed(&self) {
        let mut pause = FIRST_PAUSE;
        let mut first = true;
        let mut verifying_key = self.enrolment.known().map(|identity| identity.verifying_key.clone());
        loop {
            let identity = self.enrolment.wait_live().await;
            if verifying_key.as_ref().is_some_and(|key| *key != identity.verifying_key) {
                tracing::warn!("another control plane than before: its bundles replace the ones in force");
                self.forget(&self.fleet.load().revisions().into_keys().collect::<Vec<_>>());
            }
            verifying_key = Some(identity.verifying_key.clone());
            if self.follows_redis() && !first {
                // The doorbell tells; this only helps out when it stops or when a heartbeat is not as expected.
                tokio::select! {
                    () = self.ask.notified() => {}
                    () = tokio::time::sleep(LONGEST_PAUSE) => continue,
                }
            }
            let wait = if first || self.follows_redis() { Duration::ZERO } else { self.feed_wait };
            match self.ask_feed(&identity.worker_id, wait).await {
                Ok(()) => {
                    first = false;
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    tracing::debug!(error = %error, "policy feed can't be read");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn ask_feed(&self, worker_id: &str, wait: Duration) -> Result<(), LinkError> {
        let known = self.fleet.load().revisions();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(0);
        let query = FeedQuery { worker_id: worker_id.to_owned(), known, wait_ms };
        let asked_at = clock::instant();
        let feed = tokio::select! {
            feed = self.link.feed(&query) => feed?,
            // Whatever was being waited for, the question is another one now.
            () = self.ask.notified(), if wait_ms > 0 => return Ok(()),
        };
        self.note_confirmed();
        self.forget(&feed.gone);
        for (org_id, revision) in &feed.changed {
            self.want(org_id, *revision);
        }
        let at_once = clock::instant().saturating_duration_since(asked_at) < AT_ONCE;
        if feed.changed.is_empty() && feed.gone.is_empty() && wait_ms > 0 && at_once {
            // It should have waited; this worker does not turn that into a storm of questions.
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        // Until these are in force the next question would be answered the same way at once.
        if self.wait_until_seen(&feed.changed).await {
            self.complete.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Waits until `changed` are in force or refused, or a moment. Whether they are.
    async fn wait_until_seen(&self, changed: &BTreeMap<String, u64>) -> bool {
        for _ in 0..50 {
            if changed.iter().all(|(org_id, revision)| self.has_seen(org_id, *revision)) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    fn has_seen(&self, org_id: &str, revision: u64) -> bool {
        let in_force = self.fleet.load().revision(org_id).is_some_and(|have| have >= revision);
        in_force || self.failed.lock().get(org_id).is_some_and(|failed| failed.refused && failed.revision >= revision)
    }

    /// Says whether the doorbell is connected; the feed looks once more when that changes.
    pub(super) fn set_doorbell(&self, rings: bool) {
        if self.doorbell_rings.swap(rings, Ordering::Relaxed) != rings {
            self.ask.notify_one();
        }
    }
}

fn announced_was_bad(outcome: &Result<(), LookError>) -> bool {
    matches!(outcome, Err(LookError::Apply(_)))
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
