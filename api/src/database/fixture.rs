//! A database of its own for each test, and the few rows that everything else hangs on.

use chrono::{DateTime, Utc};
use entity::{budget, organization};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set};
use serde_json::json;

use super::Database;

/// A database in a directory that goes away with it.
pub(crate) struct TestDatabase {
    pub(crate) database: Database,
    _directory: tempfile::TempDir,
}

pub(crate) async fn temporary() -> TestDatabase {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("modelux.db").display());
    TestDatabase { database: Database::connect(&url).await.unwrap(), _directory: directory }
}

pub(crate) fn start() -> DateTime<Utc> {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

pub(crate) async fn insert_organization(database: &Database, id: &str) {
    let row = organization::ActiveModel {
        id: Set(id.to_owned()),
        slug: Set(id.trim_start_matches("org_").to_owned()),
        name: Set(id.to_owned()),
        revision: Set(0),
        settings: Set(json!({})),
        audit_head_hash: Set(String::new()),
        audit_sequence: Set(0),
        version: Set(1),
        created_at: Set(start()),
        updated_at: Set(start()),
    };
    let transaction = database.begin().await.unwrap();
    row.insert(&transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

/// A monthly, blocking budget of the whole organization.
pub(crate) async fn insert_budget(database: &Database, org_id: &str, id: &str, cap_nano: i64) {
    let row = budget::ActiveModel {
        id: Set(id.to_owned()),
        org_id: Set(org_id.to_owned()),
        name: Set(id.to_owned()),
        scope: Set(json!("organization")),
        period: Set(budget::Period::Monthly),
        anchor_day: Set(1),
        time_zone: Set("UTC".to_owned()),
        cap_nano: Set(cap_nano),
        thresholds: Set(json!([0.8])),
        at_cap: Set(json!("block")),
        downgrade_at_ppm: Set(1_000_000),
        mode: Set(budget::Mode::Enforce),
        clamp_output: Set(false),
        version: Set(1),
        created_at: Set(start()),
        updated_at: Set(start()),
    };
    let transaction = database.begin().await.unwrap();
    row.insert(&transaction).await.unwrap();
    transaction.commit().await.unwrap();
}
