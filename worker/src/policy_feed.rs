//! The policy in force on this worker, and how it stays the newest.
//!
//! [`Policies::current`] is what a request takes once and keeps: a [`Fleet`] of one [`OrgPolicy`] an organization, swapped whole. A bundle
//! is fetched, checked against digest and signature, made ready off the request path, swapped in, kept on disk and acknowledged; one
//! that fails any of that is reported with the reason, and the one before stays in force.
//!
//! How it learns of news: the doorbell on Redis where there is one, else a long-poll on the link; and every heartbeat says which revisions
//! are newest, so that a message that was lost is repaired within two of them. Messages only say "look".
//!
//! Promises: a revision never goes backwards; no request sees half of a change; with everything else away the last good bundles are
//! served from disk, and readiness says so once they were not confirmed for too long.
//!
//! Special case: a control plane with another signing key is another control plane. Its revisions start anew.

mod apply;
mod doorbell;
mod follow;
mod kept;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use policy::engine::Engine;
use policy::facts::Subject;
use policy::redis::RedisAddress;
use tokio::sync::{Notify, watch};

use crate::budget::{BudgetTable, Budgets};
use crate::clock;
use crate::config::WorkerConfig;
use crate::guard::webhook::Webhook;
use crate::link::{ControlPlane, Enrolment};
use crate::upstream::Reach;
use crate::upstream::token::Slot;
pub use apply::ApplyError;
use kept::Kept;
pub(crate) use kept::write_atomically;

/// One organization's policy, ready for requests.
pub struct OrgPolicy {
    /// Decides.
    pub engine: Engine,
    /// Revision of the bundle.
    pub applied_revision: u64,
    /// When it was put in force here.
    pub applied_at: DateTime<Utc>,
    digest: String,
    /// In the order of the bundle's providers.
    reaches: Vec<Reach>,
    /// In the order of the bundle's projects.
    webhooks: Vec<Option<Webhook>>,
    budgets: BudgetTable,
}

impl OrgPolicy {
    /// How a provider of the bundle is reached.
    pub(crate) fn reach(&self, provider: u32) -> Option<&Reach> {
        self.reaches.get(usize::try_from(provider).ok()?)
    }

    /// What is asked about requests of a project, where anything is and its address can be read.
    pub(crate) fn webhook(&self, project: u32) -> Option<&Webhook> {
        self.webhooks.get(usize::try_from(project).ok()?)?.as_ref()
    }

    /// Where the tokens of its providers are kept.
    pub(crate) fn token_slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.reaches.iter().filter_map(Reach::token_slot)
    }

    /// What `older` has of tokens is not to be fetched again.
    fn take_over(&mut self, older: &Self) {
        for slot in self.reaches.iter_mut().filter_map(Reach::token_slot_mut) {
            if let Some(same) = older.token_slots().find(|older| older.is_same(slot)) {
                *slot = Arc::clone(same);
            }
        }
    }

    /// Its budgets, by the bundle's own index.
    #[must_use]
    pub fn budgets(&self) -> &BudgetTable {
        &self.budgets
    }

    fn org_id(&self) -> &str {
        &self.engine.bundle().org.id
    }
}

/// The policies of all organizations at one instant.
#[derive(Default)]
pub struct Fleet {
    orgs: BTreeMap<String, Arc<OrgPolicy>>,
}

impl Fleet {
    /// On whose behalf a key with this SHA-256 comes, and the policy that says so.
    #[must_use]
    pub fn find(&self, key_hash: &[u8]) -> Option<(Arc<OrgPolicy>, Subject)> {
        // A deployment has few organizations; each look is one hash map access.
        self.orgs.values().find_map(|policy| policy.engine.identify(key_hash).map(|subject| (Arc::clone(policy), subject)))
    }

    /// All policies.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<OrgPolicy>> {
        self.orgs.values()
    }

    /// Applied revision by organization id.
    #[must_use]
    pub fn revisions(&self) -> BTreeMap<String, u64> {
        self.orgs.iter().map(|(org, policy)| (org.clone(), policy.applied_revision)).collect()
    }

    fn revision(&self, org_id: &str) -> Option<u64> {
        self.orgs.get(org_id).map(|policy| policy.applied_revision)
    }
}

/// What readiness has to say of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Not all of what the control plane named first is in force: some requests, or all, can't be served.
    Missing,
    /// In force, and confirmed as the newest within the age limit.
    Fresh,
    /// In force, but not confirmed for this long, which is more than the age limit.
    Stale(Duration),
}

/// A revision that is not in force though it was looked at.
struct Failed {
    revision: u64,
    /// It was read and is no good; otherwise it could not be had.
    refused: bool,
    /// When to try again.
    again: Instant,
}

/// The policy in force and what keeps it so.
pub struct Policies {
    fleet: ArcSwap<Fleet>,
    kept: Arc<Kept>,
    link: Arc<dyn ControlPlane>,
    enrolment: Arc<Enrolment>,
    budgets: Arc<Budgets>,
    redis_url: Option<RedisAddress>,
    feed_wait: Duration,
    age_limit: Duration,
    started: Instant,
    /// Milliseconds after `started` of the last confirmation, plus one; zero: never.
    confirmed_ms: AtomicU64,
    /// Whatever the control plane named first is in force, or was refused; or an earlier start left something.
    complete: AtomicBool,
    /// Revisions to look for, by organization.
    wanted: Mutex<BTreeMap<String, u64>>,
    look: Notify,
    /// Counts how often policies were put in force or taken out of it.
    adopted: watch::Sender<u64>,
    /// Ask the feed now, because something does not add up.
    ask: Notify,
    /// The doorbell is connected.
    doorbell_rings: AtomicBool,
    /// Revisions that are not in force though they were looked at, by organization.
    failed: Mutex<HashMap<String, Failed>>,
}

impl Policies {
    /// The bundles that an earlier start left in `data_dir`.
    ///
    /// # Errors
    /// When the directory can't be read or made.
    pub fn load(
        data_dir: &Path,
        link: Arc<dyn ControlPlane>,
        enrolment: Arc<Enrolment>,
        budgets: Arc<Budgets>,
        config: &WorkerConfig,
    ) -> io::Result<Arc<Self>> {
        let kept = Arc::new(Kept::open(data_dir.join("bundles"))?);
        let mut policies = Self {
            fleet: ArcSwap::default(),
            kept,
            link,
            enrolment,
            budgets,
            redis_url: config.redis_url.clone(),
            feed_wait: config.link.feed_wait,
            age_limit: config.link.policy_age_limit,
            started: clock::instant(),
            confirmed_ms: AtomicU64::new(0),
            complete: AtomicBool::new(false),
            wanted: Mutex::default(),
            look: Notify::new(),
            adopted: watch::Sender::default(),
            ask: Notify::new(),
            doorbell_rings: AtomicBool::new(false),
            failed: Mutex::default(),
        };
        policies.apply_kept();
        *policies.complete.get_mut() = !policies.fleet.load().orgs.is_empty();
        Ok(Arc::new(policies))
    }

    /// The policies in force. A request takes them once and keeps what it took.
    #[must_use]
    pub fn current(&self) -> Arc<Fleet> {
        self.fleet.load_full()
    }

    /// As [`Policies::current`], without counting a reference: for the short look that finds a key.
    pub fn peek(&self) -> arc_swap::Guard<Arc<Fleet>> {
        self.fleet.load()
    }

    /// Changes when a policy is put in force or taken out of it.
    pub(crate) fn adoptions(&self) -> watch::Receiver<u64> {
        self.adopted.subscribe()
    }

    /// What readiness has to say.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        let elapsed = clock::instant().saturating_duration_since(self.started);
        if !self.complete.load(Ordering::Acquire) {
            return Freshness::Missing;
        }
        let confirmed = self.confirmed_ms.load(Ordering::Relaxed);
        // Bundles from disk count from the start: how long the worker was away before it can't know.
        let age = elapsed.saturating_sub(Duration::from_millis(confirmed.saturating_sub(1)));
        if age > self.age_limit { Freshness::Stale(age) } else { Freshness::Fresh }
    }

    /// Whether bundles are announced over Redis now; otherwise the link's feed is followed.
    #[must_use]
    pub fn follows_redis(&self) -> bool {
        self.doorbell_rings.load(Ordering::Relaxed)
    }

    /// The control plane says which revisions are newest.
    pub(crate) fn note_newest(&self, newest: &BTreeMap<String, u64>) {
        self.note_confirmed();
        let fleet = self.fleet.load();
        if fleet.orgs.keys().any(|org_id| !newest.contains_key(org_id)) {
            // An organization may be gone; the feed says for sure.
            self.ask.notify_one();
        }
        for (org_id, revision) in newest {
            self.want(org_id, *revision);
        }
    }

    fn note_confirmed(&self) {
        let elapsed = clock::instant().saturating_duration_since(self.started).as_millis();
        self.confirmed_ms.store(u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_add(1), Ordering::Relaxed);
    }

    /// There may be a newer bundle: have a look.
    fn want(&self, org_id: &str, revision: u64) {
        let have = self.fleet.load().revision(org_id);
        if have.is_some_and(|have| have >= revision) {
            return;
        }
        let failed = self.failed.lock().get(org_id).is_some_and(|failed| failed.revision >= revision && clock::instant() < failed.again);
        if failed {
            return;
        }
        let mut wanted = self.wanted.lock();
        let newest = wanted.entry(org_id.to_owned()).or_insert(revision);
        *newest = revision.max(*newest);
        drop(wanted);
        self.look.notify_one();
    }
}

/// Where `path` is written before it takes its place.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

#[cfg(test)]
mod tests;
