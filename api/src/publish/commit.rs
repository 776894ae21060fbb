#![expect(clippy::disallowed_methods, reason = "bundles of one organization; every query here is bound to its id")]
//! The first and the last step of a change: taking the line, and leaving a signed bundle with a note in the outbox.

use chrono::{DateTime, Utc};
use entity::{bundle, organization, outbox};
use policy::bundle::Envelope;
use policy::id::{IdKind, new_id};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
};

use super::{PublishError, load_source};
use crate::secrets::Secrets;

/// Raises the organization's revision. Whoever else changes it waits until this transaction ends, so this comes first in every change.
///
/// # Errors
/// When there is no such organization.
pub async fn lock_org(transaction: &DatabaseTransaction, org_id: &str) -> Result<organization::Model, PublishError> {
    let raised = organization::Entity::update_many()
        .col_expr(organization::Column::Revision, Expr::col(organization::Column::Revision).add(1))
        .filter(organization::Column::Id.eq(org_id))
        .exec_with_returning(transaction)
        .await?;
    raised.into_iter().next().ok_or_else(|| PublishError::UnknownOrganization { org_id: org_id.to_owned() })
}

/// Compiles and signs what the rows say now, and leaves the bundle and a note for the publisher. Gives the revision. The last step of
/// a change; [`lock_org`] was the first.
///
/// # Errors
/// When the rows don't make a policy; the caller rolls back.
pub async fn commit_revision(
    transaction: &DatabaseTransaction,
    org_id: &str,
    now: DateTime<Utc>,
    secrets: &Secrets,
) -> Result<u64, PublishError> {
    let source = load_source(transaction, org_id, now, secrets).await?;
    let compiled = policy::compile::compile(&source).map_err(|rejections| PublishError::Rejected { rejections })?;
    let sign_error = |source| PublishError::Sign { org_id: org_id.to_owned(), source };
    let envelope = Envelope::seal(&compiled, secrets.signing_key()).map_err(sign_error)?;
    let revision = i64::try_from(envelope.revision).unwrap_or(i64::MAX);
    let note = serde_json::json!({ "digest": envelope.digest });
    let row = bundle::ActiveModel {
        id: Set(new_id(IdKind::Bundle)),
        org_id: Set(org_id.to_owned()),
        revision: Set(revision),
        digest: Set(envelope.digest),
        signature: Set(envelope.signature),
        body: Set(envelope.body.get().as_bytes().to_vec()),
        created_at: Set(now),
    };
    bundle::Entity::insert(row).exec_without_returning(transaction).await?;
    let row = outbox::ActiveModel {
        id: NotSet,
        org_id: Set(org_id.to_owned()),
        revision: Set(revision),
        kind: Set("bundle".to_owned()),
        payload: Set(note),
        created_at: Set(now),
        published_at: Set(None),
    };
    outbox::Entity::insert(row).exec_without_returning(transaction).await?;
    Ok(envelope.revision)
}

/// The newest bundle of an organization, as it is sent.
///
/// # Errors
/// When the database does not answer or the row is not a bundle.
pub async fn find_newest_bundle(connection: &impl ConnectionTrait, org_id: &str) -> Result<Option<Envelope>, DbErr> {
    let found =
        bundle::Entity::find().filter(bundle::Column::OrgId.eq(org_id)).order_by_desc(bundle::Column::Revision).one(connection).await?;
    found.map(into_envelope).transpose()
}

pub(super) fn into_envelope(row: bundle::Model) -> Result<Envelope, DbErr> {
    let unreadable = |what: &str| DbErr::Custom(format!("bundle `{}` is not readable: {what}", row.id));
    let text = String::from_utf8(row.body.clone()).map_err(|_| unreadable("not UTF-8"))?;
    let body = serde_json::value::RawValue::from_string(text).map_err(|_| unreadable("not JSON"))?;
    let revision = u64::try_from(row.revision).map_err(|_| unreadable("negative revision"))?;
    Ok(Envelope { org_id: row.org_id, revision, digest: row.digest, signature: row.signature, body })
}
