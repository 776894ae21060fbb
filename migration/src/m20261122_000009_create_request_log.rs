//! The request log and its tags. Names stand beside ids, so that a row still reads after its key is gone.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, json_binary, json_binary_null, text, text_null, timestamp_with_time_zone,
};

use crate::table::{create, drop, index, owned_by_tenant, tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![request_log(), request_tags()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["request_tags", "request_log"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn request_log() -> TableCreateStatement {
    tenant_table("request_log")
        .col(timestamp_with_time_zone("time"))
        .col(text("project_id"))
        .col(text("project_name"))
        .col(text("key_id"))
        .col(text("key_name"))
        .col(text("surface"))
        .col(text("requested_model"))
        .col(text_null("model"))
        .col(text_null("provider"))
        .col(big_integer("status"))
        .col(text_null("error_code"))
        .col(boolean("stream"))
        .col(text_null("end_user"))
        .col(json_binary("tags"))
        .col(big_integer("cost_nano"))
        .col(text("usage_source"))
        .col(big_integer("latency_us"))
        .col(big_integer_null("first_byte_us"))
        .col(big_integer("input_tokens"))
        .col(big_integer("cached_input_tokens"))
        .col(big_integer("cache_write_tokens"))
        .col(big_integer("output_tokens"))
        .col(big_integer("reasoning_tokens"))
        .col(text_null("trace_id"))
        .col(text_null("conversation_id"))
        .col(json_binary_null("trace"))
        .col(text_null("price_version"))
        .col(json_binary_null("rates"))
        .col(json_binary("attempts"))
        .col(text("worker_id"))
        .col(big_integer("bundle_revision"))
        .take()
}

/// No reference to the log: the ledger is grouped by tag for longer than the log is kept.
fn request_tags() -> TableCreateStatement {
    owned_by_tenant("request_tags", Table::create().table("request_tags").take())
        .col(text("request_id"))
        .col(text("name"))
        .col(text("value"))
        .col(timestamp_with_time_zone("time"))
        .primary_key(Index::create().col("org_id").col("request_id").col("name"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        // The id is the tie-breaker of the cursor.
        index("request_log", &["org_id", "time", "id"]),
        index("request_log", &["org_id", "project_id", "time"]),
        index("request_log", &["org_id", "trace_id"]),
        index("request_tags", &["org_id", "name", "value", "time"]),
    ]
}
