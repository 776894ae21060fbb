//! The committed schema is the one that is served, and every operation fits it.

use serde_json::{Value, json};
use web_schema::{ApplyManifest, AuditEvents, AuditVerification, ExportManifest, Operation, PlanManifest, SCHEMA, ViewerQuery};

#[test]
fn the_committed_schema_is_the_one_that_is_served() {
    // Stale? `make gen` writes it again. Look at the diff: what disappears from it breaks clients.
    assert!(SCHEMA == api::sdl(), "web-schema/schema.graphql is stale: run `make gen`");
}

#[tokio::test]
async fn every_operation_fits_the_schema() {
    assert_eq!(misfit(&ViewerQuery::default()).await, None);
    assert_eq!(misfit(&PlanManifest { manifest: json!({}), prune: false }).await, None);
    assert_eq!(misfit(&ApplyManifest { manifest: json!({}), prune: false, idempotency_key: None }).await, None);
    assert_eq!(misfit(&ExportManifest::default()).await, None);
    assert_eq!(misfit(&AuditEvents { first: Some(10), after: None, filter: Some(json!({"action": "createProject"})) }).await, None);
    assert_eq!(misfit(&AuditVerification::default()).await, None);
}

#[test]
fn every_file_of_operations_is_used() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/operations")).unwrap().count();
    assert_eq!(files, 6, "a new operation needs a type in `types.rs` and a line in the test above");
}

/// What the schema has against an operation, and which one it was.
async fn misfit<O: Operation>(operation: &O) -> Option<String> {
    let variables: Value = serde_json::to_value(operation).ok()?;
    let misfit = api::check_operation(O::DOCUMENT, variables).await.err()?;
    Some(format!("{misfit}\n{}", O::DOCUMENT))
}
