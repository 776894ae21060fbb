//! What kinds of things that are created, changed and removed have in common, and the three commands made of it.
//!
//! A kind says how it is read, written and removed; checks that are the same for all (rights, existence, `expectedVersion`) are made
//! here, once. Applying a manifest calls the same functions.

use sea_orm::DbErr;
use serde::Serialize;

use super::change::{Change, Command, Edited};
use super::failure::OperationError;
use crate::authz::{Action, Authorized, Resource};

/// A kind of thing that people manage.
pub(crate) trait Managed: Sized + Send + Sync + 'static {
    /// What it is to authorisation.
    const RESOURCE: Resource;
    /// The word for it in messages.
    const KIND: &'static str;
    /// Name of the mutation that makes one.
    const CREATE: &'static str;
    /// Name of the mutation that changes one.
    const UPDATE: &'static str;
    /// Name of the mutation that removes one.
    const DELETE: &'static str;
    /// As it is stored.
    type Row: Send + Sync;
    /// As operators declare it.
    type Source: Serialize + Clone + PartialEq + Send + Sync;
    /// Where it is, beyond the organization.
    type Place: Serialize + Send + Sync;

    /// The one of this id, where the actor's scope reaches it.
    fn find(change: &Change<'_>, id: &str) -> impl Future<Output = Result<Option<Self::Row>, DbErr>> + Send;
    /// What `expectedVersion` is compared with.
    fn version(row: &Self::Row) -> i64;
    /// The project it is of.
    fn project_of(row: &Self::Row) -> Option<&str>;
    /// What is declared now.
    fn read(change: &Change<'_>, row: &Self::Row) -> impl Future<Output = Result<Self::Source, OperationError>> + Send;
    /// Makes one.
    fn create(
        change: &Change<'_>,
        place: &Self::Place,
        source: &Self::Source,
    ) -> impl Future<Output = Result<Edited, OperationError>> + Send;
    /// Declares one anew; the proof is for changing it.
    fn replace(
        change: &Change<'_>,
        proof: &Authorized,
        row: Self::Row,
        source: &Self::Source,
    ) -> impl Future<Output = Result<Edited, OperationError>> + Send;
    /// Removes one; the proof is for removing it.
    fn delete(change: &Change<'_>, proof: &Authorized, row: Self::Row) -> impl Future<Output = Result<Edited, OperationError>> + Send;
}

/// What a caller wants to be different. Fields that it does not name stay.
pub(crate) trait Overlay<S>: Serialize + Send {
    /// Lays the change over what is declared now.
    fn lay_over(self, source: &mut S) -> Result<(), OperationError>;
}

/// Makes one.
#[derive(Serialize)]
pub(crate) struct Create<K: Managed> {
    /// Where.
    pub(crate) place: K::Place,
    /// What.
    pub(crate) source: K::Source,
}

/// Changes one.
#[derive(Serialize)]
pub(crate) struct Update<O> {
    /// Which.
    pub(crate) id: String,
    /// The version that the actor knew.
    pub(crate) expected_version: Option<i64>,
    /// How.
    pub(crate) overlay: O,
}

/// Removes one.
#[derive(Serialize)]
pub(crate) struct Delete {
    /// Which.
    pub(crate) id: String,
    /// The version that the actor knew.
    pub(crate) expected_version: Option<i64>,
}

/// [`Update`] of a kind.
#[derive(Serialize)]
pub(crate) struct UpdateOf<K, O> {
    #[serde(skip)]
    kind: std::marker::PhantomData<K>,
    update: Update<O>,
}

/// [`Delete`] of a kind.
#[derive(Serialize)]
pub(crate) struct DeleteOf<K> {
    #[serde(skip)]
    kind: std::marker::PhantomData<K>,
    delete: Delete,
}

impl<O> Update<O> {
    pub(crate) const fn of<K: Managed>(self) -> UpdateOf<K, O> {
        UpdateOf { kind: std::marker::PhantomData, update: self }
    }
}

impl Delete {
    pub(crate) const fn of<K: Managed>(self) -> DeleteOf<K> {
        DeleteOf { kind: std::marker::PhantomData, delete: self }
    }
}

impl<K: Managed> Command for Create<K> {
    const NAME: &'static str = K::CREATE;

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        K::create(change, &self.place, &self.source).await
    }
}

impl<K: Managed, O: Overlay<K::Source>> Command for UpdateOf<K, O> {
    const NAME: &'static str = K::UPDATE;

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let Update { id, expected_version, overlay } = self.update;
        let row = existing::<K>(change, &id).await?;
        let proof = change.ctx.authorize_in(Action::Update, K::RESOURCE, K::project_of(&row))?;
        check_version::<K>(&row, expected_version)?;
        let mut source = K::read(change, &row).await?;
        overlay.lay_over(&mut source)?;
        K::replace(change, &proof, row, &source).await
    }
}

impl<K: Managed> Command for DeleteOf<K> {
    const NAME: &'static str = K::DELETE;

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let row = existing::<K>(change, &self.delete.id).await?;
        let proof = change.ctx.authorize_in(Action::Delete, K::RESOURCE, K::project_of(&row))?;
        check_version::<K>(&row, self.delete.expected_version)?;
        K::delete(change, &proof, row).await
    }
}

/// The one of this id. Who may not even read the kind is told so, whether it exists or not.
pub(crate) async fn existing<K: Managed>(change: &Change<'_>, id: &str) -> Result<K::Row, OperationError> {
    change.ctx.authorize_reading(K::RESOURCE)?;
    K::find(change, id).await?.ok_or(OperationError::NotFound { kind: K::KIND })
}

/// Whether the actor changes what it has seen.
pub(crate) fn check_version<K: Managed>(row: &K::Row, expected: Option<i64>) -> Result<(), OperationError> {
    match expected {
        Some(expected) if expected != K::version(row) => Err(OperationError::Version { kind: K::KIND, expected, found: K::version(row) }),
        _ => Ok(()),
    }
}
