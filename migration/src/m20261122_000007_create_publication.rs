//! What goes to the data plane: bundles, the outbox that announces them, and the keys that sign and seal.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_pk_auto, blob, json_binary, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

use crate::table::{create, drop, index, owned_by_tenant, tenant_table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![outbox(), bundles(), deployment_keys()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["deployment_keys", "bundles", "outbox"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn outbox() -> TableCreateStatement {
    owned_by_tenant("outbox", Table::create().table("outbox").col(big_pk_auto("id")).take())
        .col(big_integer("revision"))
        .col(text("kind"))
        .col(json_binary("payload"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("published_at"))
        .take()
}

fn bundles() -> TableCreateStatement {
    tenant_table("bundles")
        .col(big_integer("revision"))
        .col(text("digest"))
        .col(text("signature"))
        .col(blob("body"))
        .col(timestamp_with_time_zone("created_at"))
        .take()
}

/// Of the whole deployment, known by what they are for.
fn deployment_keys() -> TableCreateStatement {
    Table::create()
        .table("deployment_keys")
        .col(text("name").primary_key())
        .col(text_null("public_key"))
        .col(blob("secret_sealed"))
        .col(text("secret_key_id"))
        .col(timestamp_with_time_zone("created_at"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("outbox", &["org_id", "revision"]),
        index("outbox", &["id"]).and_where(Expr::col("published_at").is_null()).name("ix_outbox_unpublished").take(),
        unique("bundles", &["org_id", "revision"]),
    ]
}
