//! The operations of `operations/` and what they answer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Operation;

/// Who asks.
#[derive(Debug, Default, Serialize)]
pub struct ViewerQuery {}

impl Operation for ViewerQuery {
    const DOCUMENT: &'static str = include_str!("../operations/viewer.graphql");
    type Answer = ViewerAnswer;
}

/// Answer to [`ViewerQuery`].
#[derive(Debug, Deserialize)]
pub struct ViewerAnswer {
    /// Who asks.
    pub viewer: Viewer,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Viewer {
    /// What it is called.
    pub name: String,
    /// The role it acts with.
    pub role: Option<String>,
    /// Its organization.
    pub organization: Organization,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// Prefixed id.
    pub id: String,
    /// Name in manifests.
    pub slug: String,
    /// Number of the newest bundle.
    pub revision: i64,
}

/// What a manifest would change.
#[derive(Debug, Serialize)]
pub struct PlanManifest {
    /// The document, secrets resolved.
    pub manifest: Value,
    /// Remove what it does not name.
    pub prune: bool,
}

impl Operation for PlanManifest {
    const DOCUMENT: &'static str = include_str!("../operations/plan_manifest.graphql");
    type Answer = PlanAnswer;
}

/// Answer to [`PlanManifest`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanAnswer {
    /// What would change.
    pub plan_manifest: Outcome,
}

/// Makes the organization what a manifest says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyManifest {
    /// The document, secrets resolved.
    pub manifest: Value,
    /// Remove what it does not name.
    pub prune: bool,
    /// The same key again gives the same answer and does nothing.
    pub idempotency_key: Option<String>,
}

impl Operation for ApplyManifest {
    const DOCUMENT: &'static str = include_str!("../operations/apply_manifest.graphql");
    type Answer = ApplyAnswer;
}

/// Answer to [`ApplyManifest`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAnswer {
    /// What changed.
    pub apply_manifest: Outcome,
}

/// What changes, or would.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// In order.
    pub changes: Vec<Change>,
    /// Keys that were made; shown once.
    #[serde(default)]
    pub created_keys: Vec<CreatedKey>,
    /// The bundle in force.
    pub revision: i64,
}

/// One resource that changes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Change {
    /// `create`, `update` or `delete`.
    pub action: String,
    /// Kind of resource.
    pub resource: String,
    /// Its name, with the project before it where it is in one.
    pub name: String,
    /// What differs, for an update.
    pub fields: Vec<FieldChange>,
}

/// One field of an update.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FieldChange {
    /// Path from the resource.
    pub field: String,
    /// Old value.
    pub before: Value,
    /// New value.
    pub after: Value,
}

/// A proxy key that was made.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct CreatedKey {
    /// `project/key`.
    pub key: String,
    /// The whole key.
    pub secret: String,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The organization as a manifest.
#[derive(Debug, Default, Serialize)]
pub struct ExportManifest {}

impl Operation for ExportManifest {
    const DOCUMENT: &'static str = include_str!("../operations/export_manifest.graphql");
    type Answer = ExportAnswer;
}

/// Answer to [`ExportManifest`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportAnswer {
    /// The document.
    pub export_manifest: Value,
}

/// One page of the audit chain, newest first.
#[derive(Debug, Default, Serialize)]
pub struct AuditEvents {
    /// How many.
    pub first: Option<u32>,
    /// Cursor of the page before.
    pub after: Option<String>,
    /// Which, as `AuditEventFilter`.
    pub filter: Option<Value>,
}

impl Operation for AuditEvents {
    const DOCUMENT: &'static str = include_str!("../operations/audit_events.graphql");
    type Answer = AuditEventsAnswer;
}

/// Answer to [`AuditEvents`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEventsAnswer {
    /// The page.
    pub audit_events: AuditEventPage,
}

/// A page of events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEventPage {
    /// The events.
    pub nodes: Vec<AuditEvent>,
    /// Whether there are more.
    pub page_info: PageInfo,
}

/// Where a page ends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Whether there are more.
    pub has_next_page: bool,
    /// For `after` of the next one.
    pub end_cursor: Option<String>,
}

/// Who changed what, with all that its hash covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Prefixed id.
    pub id: String,
    /// Whose chain.
    pub organization_id: String,
    /// Counts from 1.
    pub sequence: i64,
    /// When.
    pub time: DateTime<Utc>,
    /// Name of the mutation.
    pub action: String,
    /// Through what.
    pub origin: String,
    /// Who.
    pub actor: AuditParty,
    /// What.
    pub target: AuditParty,
    /// From where.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// In which trace.
    pub trace_id: Option<String>,
    /// RFC 6902 with old values as `was`.
    pub diff: Value,
    /// Of this event.
    pub hash: String,
    /// Of the one before.
    pub previous_hash: String,
}

/// Somebody or something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditParty {
    /// What kind.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// What it was called.
    pub name: String,
}

/// What the control plane itself says of its chain.
#[derive(Debug, Default, Serialize)]
pub struct AuditVerification {}

impl Operation for AuditVerification {
    const DOCUMENT: &'static str = include_str!("../operations/audit_verification.graphql");
    type Answer = VerificationAnswer;
}

/// Answer to [`AuditVerification`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationAnswer {
    /// What it says.
    pub audit_verification: Verification,
}

/// Whether the chain holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verification {
    /// Whether it does.
    pub intact: bool,
    /// Events that were checked.
    pub events: i64,
    /// Hash of the newest.
    pub head: String,
    /// What is wrong.
    pub problem: Option<String>,
}
