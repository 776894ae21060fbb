//! The audit chain and the answers kept for idempotency keys.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, json_binary, string_len, text, text_null, timestamp_with_time_zone};

use crate::table::{create, drop, index, owned_by_tenant, tenant_table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![audit_events(), idempotency_keys()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["idempotency_keys", "audit_events"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn audit_events() -> TableCreateStatement {
    tenant_table("audit_events")
        .col(big_integer("sequence"))
        .col(timestamp_with_time_zone("time"))
        .col(text("action"))
        .col(string_len("origin", 16))
        .col(text("actor_kind"))
        .col(text("actor_id"))
        .col(text("actor_name"))
        .col(text("target_kind"))
        .col(text("target_id"))
        .col(text("target_name"))
        .col(text_null("ip"))
        .col(text_null("request_id"))
        .col(text_null("trace_id"))
        .col(json_binary("diff"))
        .col(text("hash"))
        .col(text("previous_hash"))
        .take()
}

fn idempotency_keys() -> TableCreateStatement {
    owned_by_tenant("idempotency_keys", Table::create().table("idempotency_keys").take())
        .col(text("actor_id"))
        .col(text("key"))
        .col(text("mutation"))
        .col(text("request_digest"))
        .col(json_binary("response"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("org_id").col("actor_id").col("key"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        unique("audit_events", &["org_id", "sequence"]),
        index("audit_events", &["org_id", "time"]),
        index("audit_events", &["org_id", "target_kind", "target_id"]),
        index("idempotency_keys", &["created_at"]),
    ]
}
