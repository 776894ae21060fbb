//! Routing configs and their immutable versions.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, json_binary, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null};

use crate::table::{create, drop, edited, parent_table, same_tenant, tenant_table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![routing_configs(), routing_config_versions()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["routing_config_versions", "routing_configs"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn routing_configs() -> TableCreateStatement {
    let table = parent_table("routing_configs")
        .col(text_null("project_id"))
        .col(text("slug"))
        .col(big_integer("current_version"))
        .col(timestamp_with_time_zone_null("archived_at"))
        .foreign_key(&mut same_tenant("routing_configs", "project_id", "projects"))
        .take();
    edited(table)
}

fn routing_config_versions() -> TableCreateStatement {
    tenant_table("routing_config_versions")
        .col(text("config_id"))
        .col(big_integer("number"))
        .col(json_binary("document"))
        .col(text_null("comment"))
        .col(text("created_by"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut same_tenant("routing_config_versions", "config_id", "routing_configs"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        // A slug is unique among live configs of its scope; an archived one gives its slug free and keeps its history.
        unique("routing_configs", &["org_id", "slug"])
            .and_where(Expr::col("project_id").is_null())
            .and_where(Expr::col("archived_at").is_null())
            .take(),
        unique("routing_configs", &["org_id", "project_id", "slug"])
            .and_where(Expr::col("project_id").is_not_null())
            .and_where(Expr::col("archived_at").is_null())
            .take(),
        unique("routing_config_versions", &["org_id", "config_id", "number"]),
    ]
}
