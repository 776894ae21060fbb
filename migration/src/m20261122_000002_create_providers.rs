//! Providers with their sealed credentials, models and price sheets.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer_null, blob_null, json_binary, string_len_null, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

use crate::table::{create, drop, edited, parent_table, same_tenant, tenant_table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![providers(), models(), model_prices()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["model_prices", "models", "providers"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn providers() -> TableCreateStatement {
    let table = tenant_table("providers")
        .col(text("name"))
        .col(text("vendor"))
        .col(text_null("base_url"))
        .col(json_binary("settings"))
        .col(blob_null("secret_sealed"))
        .col(blob_null("secret_wrapped_key"))
        .col(text_null("secret_key_id"))
        .col(text_null("secret_digest"))
        .take();
    edited(table)
}

/// `provider_name` is a name, not a reference: a model may be priced before its provider exists.
fn models() -> TableCreateStatement {
    let table = parent_table("models")
        .col(text("provider_name"))
        .col(text("name"))
        .col(big_integer_null("context_tokens"))
        .col(big_integer_null("max_output_tokens"))
        .col(string_len_null("quality_tier", 16))
        .col(json_binary("capabilities"))
        .take();
    edited(table)
}

/// Nano-USD per million tokens, one column a bucket.
fn model_prices() -> TableCreateStatement {
    tenant_table("model_prices")
        .col(text("model_id"))
        .col(timestamp_with_time_zone("effective_from"))
        .col(timestamp_with_time_zone_null("effective_to"))
        .col(big_integer_null("input_nano"))
        .col(big_integer_null("cached_input_nano"))
        .col(big_integer_null("cache_write_nano"))
        .col(big_integer_null("output_nano"))
        .col(big_integer_null("reasoning_nano"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut same_tenant("model_prices", "model_id", "models"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        unique("providers", &["org_id", "name"]),
        unique("models", &["org_id", "provider_name", "name"]),
        unique("model_prices", &["org_id", "model_id", "effective_from"]),
    ]
}
