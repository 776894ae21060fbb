//! How providers stand with each worker, as it last told.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{json_binary, text, timestamp_with_time_zone};

use crate::table::{create, drop, index, owned_by_tenant, reference};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, vec![worker_health()], vec![index("worker_health", &["org_id", "reported_at"])]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["worker_health"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn worker_health() -> TableCreateStatement {
    owned_by_tenant("worker_health", Table::create().table("worker_health").take())
        .col(text("worker_id"))
        .col(timestamp_with_time_zone("reported_at"))
        .col(json_binary("report"))
        .foreign_key(&mut reference("worker_health", "worker_id", "workers"))
        .primary_key(Index::create().col("worker_id").col("org_id"))
        .take()
}
