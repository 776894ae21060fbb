//! The transaction around every change.

use chrono::{DateTime, Utc};
use entity::{idempotency_key, organization};
use policy::source::Organization;
use sea_orm::DatabaseTransaction;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{OperationError, organization as organizations, valid};
use crate::audit::{self, Target};
use crate::authz::TenantScope;
use crate::context::OpContext;
use crate::{publish, store};

/// What comes with every mutation besides its own arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    /// The same key again gives the same answer and does nothing.
    pub(crate) idempotency_key: Option<String>,
}

/// One mutation with its arguments, which are what an idempotency key stands for.
pub(crate) trait Command: Serialize + Send {
    /// The word for it: GraphQL field and audit action.
    const NAME: &'static str;

    /// Does it, within `change`.
    fn apply(self, change: &Change<'_>) -> impl Future<Output = Result<Edited, OperationError>> + Send;
}

/// A transaction that holds the organization's lock.
pub(crate) struct Change<'c> {
    /// In whose name.
    pub(crate) ctx: &'c OpContext,
    /// Where.
    pub(crate) tx: DatabaseTransaction,
    /// When: one instant for all that the change writes.
    pub(crate) now: DateTime<Utc>,
    /// The organization as it was, but for the revision.
    pub(crate) org: organization::Model,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Edited {
    /// To what.
    pub(crate) target: Target,
    /// What it was before; none where it is new.
    pub(crate) before: Option<Value>,
    /// What it is now; none where it is gone.
    pub(crate) after: Option<Value>,
    /// A secret that is shown this once and not kept.
    pub(crate) secret: Option<String>,
    /// What else the answer says.
    pub(crate) detail: Value,
    /// Secrets made, by name, shown this once and not kept.
    pub(crate) secrets: Vec<(String, String)>,
    /// Whether nothing had to be done, so that neither revision nor event is made.
    pub(crate) unchanged: bool,
}

impl Edited {
    pub(crate) fn new(target: Target, before: Option<Value>, after: Option<Value>) -> Self {
        Self { target, before, after, secret: None, detail: Value::Null, secrets: Vec::new(), unchanged: false }
    }
}

/// The answer to a mutation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Done {
    /// What was changed.
    pub(crate) id: String,
    /// The bundle that carries the change.
    pub(crate) revision: i64,
    /// What else there is to say.
    pub(crate) detail: Value,
    /// Shown once: not kept, so a repeated call does not have it.
    #[serde(skip)]
    pub(crate) secret: Option<String>,
    /// The same, by name.
    #[serde(skip)]
    pub(crate) secrets: Vec<(String, String)>,
}

/// Does `command` and answers, or repeats the answer given before under the same idempotency key.
pub(crate) async fn run<C: Command>(ctx: &OpContext, call: Call, command: C) -> Result<Done, OperationError> {
    let kept = Kept::new(ctx, &call, C::NAME, &command)?;
    let change = Change::open(ctx).await?;
    if let Some(kept) = &kept
        && let Some(answer) = kept.find(&change.tx).await?
    {
        return Ok(answer);
    }
    let edited = command.apply(&change).await?;
    change.finish(C::NAME, edited, kept).await
}

/// Does `command` as far as the compiled bundle, and takes everything back. Gives the revision that it was tried on, too.
pub(crate) async fn try_out<C: Command>(ctx: &OpContext, command: C) -> Result<(Edited, i64), OperationError> {
    let change = Change::open(ctx).await?;
    let edited = command.apply(&change).await?;
    publish::commit_revision(&change.tx, ctx.scope().org_id(), change.now, &ctx.state().secrets).await?;
    let revision = change.org.revision.saturating_sub(1);
    change.tx.rollback().await?;
    Ok((edited, revision))
}

/// The organization as it is, and as it would be after `command`; everything is taken back.
pub(crate) async fn foresee<C: Command>(ctx: &OpContext, command: C) -> Result<(Organization, Organization), OperationError> {
    let change = Change::open(ctx).await?;
    let before = organizations::source(&change).await?;
    command.apply(&change).await?;
    let after = organizations::source(&change).await?;
    change.tx.rollback().await?;
    Ok((before, after))
}

impl<'c> Change<'c> {
    /// Begins, and waits for whoever changes the organization before.
    async fn open(ctx: &'c OpContext) -> Result<Self, OperationError> {
        Self::locked(ctx, ctx.state().database.begin().await?).await
    }

    /// Continues a transaction in which nothing was changed but what the organization's founding needs.
    pub(crate) async fn locked(ctx: &'c OpContext, tx: DatabaseTransaction) -> Result<Self, OperationError> {
        let org = publish::lock_org(&tx, ctx.scope().org_id()).await?;
        // Read under the lock: changes of one organization have times in the order of their numbers.
        Ok(Self { ctx, tx, now: ctx.state().clock.now(), org })
    }

    pub(crate) async fn finish(self, name: &str, edited: Edited, kept: Option<Kept>) -> Result<Done, OperationError> {
        let Edited { target, before, after, secret, detail, secrets, unchanged } = edited;
        if unchanged {
            self.tx.rollback().await?;
            return Ok(Done { id: target.id, revision: self.org.revision.saturating_sub(1), detail, secret, secrets });
        }
        let org_id = self.ctx.scope().org_id();
        let revision = publish::commit_revision(&self.tx, org_id, self.now, &self.ctx.state().secrets).await?;
        let diff = audit::diff(before.as_ref(), after.as_ref());
        audit::append(&self.tx, self.ctx, name, &target, diff, self.now).await?;
        let done = Done { id: target.id, revision: i64::try_from(revision).unwrap_or(i64::MAX), detail, secret, secrets };
        if let Some(kept) = kept {
            kept.insert(&self, &done).await?;
        }
        self.tx.commit().await?;
        self.ctx.state().publisher.notify();
        Ok(done)
    }
}

/// The answer that is kept under an idempotency key.
pub(crate) struct Kept {
    scope: TenantScope,
    actor_id: String,
    key: String,
    mutation: &'static str,
    digest: String,
}

impl Kept {
    pub(super) fn new<C: Serialize>(
        ctx: &OpContext,
        call: &Call,
        mutation: &'static str,
        command: &C,
    ) -> Result<Option<Self>, OperationError> {
        let Some(key) = &call.idempotency_key else { return Ok(None) };
        valid::idempotency_key(key)?;
        // Arguments may hold secrets: only a keyed digest of them is kept.
        let digest = ctx.state().secrets.digest(&serde_json::to_string(command)?);
        Ok(Some(Self { scope: ctx.scope().clone(), actor_id: ctx.actor().id.clone(), key: key.clone(), mutation, digest }))
    }

    pub(super) async fn find(&self, tx: &DatabaseTransaction) -> Result<Option<Done>, OperationError> {
        let Some(row) = store::idempotency::find(tx, &self.scope, &self.actor_id, &self.key).await? else {
            return Ok(None);
        };
        if row.mutation != self.mutation || row.request_digest != self.digest {
            return Err(OperationError::Conflict { message: format!("`{}` was used as `idempotencyKey` for something else", self.key) });
        }
        Ok(Some(serde_json::from_value(row.response)?))
    }

    async fn insert(self, change: &Change<'_>, done: &Done) -> Result<(), OperationError> {
        let row = idempotency_key::Model {
            org_id: self.scope.org_id().to_owned(),
            actor_id: self.actor_id,
            key: self.key,
            mutation: self.mutation.to_owned(),
            request_digest: self.digest,
            response: serde_json::to_value(done)?,
            created_at: change.now,
        };
        Ok(store::idempotency::insert(&change.tx, row).await?)
    }
}
