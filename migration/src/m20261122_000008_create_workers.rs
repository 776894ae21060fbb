//! Workers, the tokens they enrol with, and the revision each has applied.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string_len, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null};

use crate::table::{create, drop, index, owned_by_tenant, plain_table, reference, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![worker_tokens(), workers(), worker_revisions()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["worker_revisions", "workers", "worker_tokens"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn worker_tokens() -> TableCreateStatement {
    plain_table("worker_tokens")
        .col(text("name"))
        .col(text("secret_hash"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .take()
}

fn workers() -> TableCreateStatement {
    plain_table("workers")
        .col(text("name"))
        .col(text("version"))
        .col(big_integer("incarnation"))
        .col(string_len("state", 16))
        .col(timestamp_with_time_zone("enrolled_at"))
        .col(timestamp_with_time_zone("last_seen_at"))
        .take()
}

fn worker_revisions() -> TableCreateStatement {
    owned_by_tenant("worker_revisions", Table::create().table("worker_revisions").take())
        .col(text("worker_id"))
        .col(big_integer("revision"))
        .col(text("digest"))
        .col(timestamp_with_time_zone("applied_at"))
        .col(big_integer("lag_ms"))
        .col(text_null("error"))
        .foreign_key(&mut reference("worker_revisions", "worker_id", "workers"))
        .primary_key(Index::create().col("worker_id").col("org_id"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![unique("worker_tokens", &["secret_hash"]), index("worker_revisions", &["org_id", "revision"])]
}
