#![expect(clippy::disallowed_methods, reason = "the publisher serves all organizations; workers hold the bundles of all of them")]
//! Tells workers that there is something new: wakes their long-polls, and rings on Redis where there is one.
//!
//! Behaviour: two loops. One looks which revisions are the newest and wakes the long-polls of this process; the other empties the
//! outbox onto Redis. Both run when [`Publisher::notify`] is called after a commit, and every half second anyway, which is how a change
//! made by another control plane, or by one that was killed right after its commit, gets out.
//!
//! Why two: Redis may hang, and the workers that are waiting on this process must not wait for it. While Redis is away outbox rows stay
//! unpublished and are tried again; workers follow the link meanwhile.
//!
//! Several control planes may announce the same revision twice. That is harmless: a doorbell only says "look".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use entity::{bundle, organization, outbox};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::announce::{AnnounceError, Announcer};
use super::commit::into_envelope;
use crate::clock::Clock;
use crate::database::Database;

/// Newest revision by organization id.
pub type Revisions = Arc<BTreeMap<String, u64>>;

/// How often a change that nobody rang for is looked for.
const POLL: Duration = Duration::from_millis(500);
const OUTBOX_BATCH: u64 = 500;

/// Tells workers; cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    clock: Clock,
    announcer: Option<Announcer>,
    revisions: watch::Sender<Revisions>,
    look: Notify,
    tell: Notify,
}

/// Why a round of the outbox ended early.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("can't read the outbox")]
    Database(#[from] DbErr),
    #[error(transparent)]
    Announce(#[from] AnnounceError),
}

impl Publisher {
    /// Knows the newest revisions from here on; [`Publisher::run`] keeps them up to date.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn new(database: Database, clock: Clock, announcer: Option<Announcer>) -> Result<Self, DbErr> {
        let revisions = load_revisions(&database).await?;
        let inner = Inner {
            database,
            clock,
            announcer,
            revisions: watch::Sender::new(Arc::new(revisions)),
            look: Notify::new(),
            tell: Notify::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A change was committed: tell everybody now rather than at the next look. Call it after every commit of a revision.
    pub fn notify(&self) {
        self.inner.look.notify_one();
        self.inner.tell.notify_one();
    }

    /// The newest revisions, and a way to wait for newer ones.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<Revisions> {
        self.inner.revisions.subscribe()
    }

    /// Runs until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.keep_looking(&stop), self.keep_telling(&stop));
    }

    async fn keep_looking(&self, stop: &CancellationToken) {
        while woken(&self.inner.look, stop).await {
            match load_revisions(&self.inner.database).await {
                Ok(newest) => {
                    self.inner.revisions.send_if_modified(|known| {
                        let changed = **known != newest;
                        if changed {
                            *known = Arc::new(newest);
                        }
                        changed
                    });
                }
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "can't look for new revisions"),
            }
        }
    }

    async fn keep_telling(&self, stop: &CancellationToken) {
        let mut away = false;
        while woken(&self.inner.tell, stop).await {
            match self.empty_outbox().await {
                Ok(()) => {
                    if std::mem::take(&mut away) {
                        tracing::info!("the outbox is being emptied again");
                    }
                }
                // Once an outage, not twice a second.
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(error = &error as &dyn std::error::Error, "the outbox waits; workers follow the link meanwhile");
                }
                Err(_) => {}
            }
        }
    }

    async fn empty_outbox(&self) -> Result<(), RoundError> {
        let database = &self.inner.database;
        loop {
            let waiting = outbox::Entity::find()
                .filter(outbox::Column::PublishedAt.is_null())
                .order_by_asc(outbox::Column::Id)
                .limit(OUTBOX_BATCH)
                .all(database.read())
                .await?;
            // Only the newest of an organization is of use to anybody.
            let newest: BTreeMap<&str, i64> = waiting.iter().map(|row| (row.org_id.as_str(), row.revision)).collect();
            if let Some(announcer) = &self.inner.announcer {
                for (org_id, revision) in newest {
                    self.announce(announcer, org_id, revision).await?;
                }
            }
            self.mark_published(waiting.iter().map(|row| row.id).collect()).await?;
            if u64::try_from(waiting.len()).unwrap_or(0) < OUTBOX_BATCH {
                return Ok(());
            }
        }
    }

    async fn announce(&self, announcer: &Announcer, org_id: &str, revision: i64) -> Result<(), RoundError> {
        let found = bundle::Entity::find()
            .filter(bundle::Column::OrgId.eq(org_id))
            .filter(bundle::Column::Revision.eq(revision))
            .one(self.inner.database.read())
            .await?;
        match found {
            Some(row) => Ok(announcer.announce(&into_envelope(row)?).await?),
            // The organization was deleted meanwhile; workers learn that over the link.
            None => Ok(()),
        }
    }

    async fn mark_published(&self, ids: Vec<i64>) -> Result<(), DbErr> {
        if ids.is_empty() {
            return Ok(());
        }
        let transaction = self.inner.database.begin().await?;
        outbox::Entity::update_many()
            .col_expr(outbox::Column::PublishedAt, Expr::value(self.inner.clock.now()))
            .filter(outbox::Column::Id.is_in(ids))
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }
}

/// False once `stop` is set.
async fn woken(by: &Notify, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = by.notified() => true,
        () = tokio::time::sleep(POLL) => true,
    }
}

async fn load_revisions(database: &Database) -> Result<BTreeMap<String, u64>, DbErr> {
    let found: Vec<(String, i64)> = organization::Entity::find()
        .select_only()
        .column(organization::Column::Id)
        .column(organization::Column::Revision)
        .filter(organization::Column::Revision.gt(0))
        .into_tuple()
        .all(database.read())
        .await?;
    Ok(found.into_iter().map(|(id, revision)| (id, u64::try_from(revision).unwrap_or(0))).collect())
}
