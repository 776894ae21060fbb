//! Proxy keys and management keys; only hashes of their secrets.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer_null, json_binary, json_binary_null, string_len, text, text_null, timestamp_with_time_zone_null,
};

use crate::table::{create, drop, edited, index, same_tenant, tenant_table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![proxy_keys(), management_keys()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["management_keys", "proxy_keys"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn proxy_keys() -> TableCreateStatement {
    let table = tenant_table("proxy_keys")
        .col(text("project_id"))
        .col(text("name"))
        .col(text("secret_hash"))
        .col(text("prefix_hint"))
        .col(json_binary("tags"))
        .col(big_integer_null("rpm"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(json_binary("allowed_models"))
        .col(json_binary("ip_allowlist"))
        .col(text_null("owner_user_id"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .foreign_key(&mut same_tenant("proxy_keys", "project_id", "projects"))
        .take();
    edited(table)
}

/// Creators are not references: a key whose creator is gone must find nobody, not a null.
fn management_keys() -> TableCreateStatement {
    let table = tenant_table("management_keys")
        .col(text("name"))
        .col(text("secret_hash"))
        .col(text("prefix_hint"))
        .col(string_len("role", 16))
        .col(json_binary_null("scopes"))
        .col(text_null("created_by_user"))
        .col(text_null("created_by_key"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .col(timestamp_with_time_zone_null("last_used_at"))
        .take();
    edited(table)
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        unique("proxy_keys", &["secret_hash"]),
        index("proxy_keys", &["org_id", "project_id"]),
        // A revoked key gives its name free, so that a key can be replaced under the same name.
        unique("proxy_keys", &["org_id", "project_id", "name"]).and_where(Expr::col("revoked_at").is_null()).take(),
        unique("management_keys", &["secret_hash"]),
        index("management_keys", &["org_id", "name"]),
    ]
}
