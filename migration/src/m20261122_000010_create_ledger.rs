//! The ledger of usage, and what each entry took from which budget period. Corrected by new entries only.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, json_binary_null, string_len, text, text_null, timestamp_with_time_zone};

use crate::table::{create, drop, index, same_tenant, tenant_table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![usage_ledger(), budget_entries()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["budget_entries", "usage_ledger"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn usage_ledger() -> TableCreateStatement {
    tenant_table("usage_ledger")
        .col(text("event_id"))
        .col(text("request_id"))
        .col(string_len("kind", 16))
        .col(timestamp_with_time_zone("time"))
        .col(text("project_id"))
        .col(text("key_id"))
        .col(text("provider"))
        .col(text("model"))
        .col(text_null("end_user"))
        .col(big_integer("cost_nano"))
        .col(big_integer("input_tokens"))
        .col(big_integer("cached_input_tokens"))
        .col(big_integer("cache_write_tokens"))
        .col(big_integer("output_tokens"))
        .col(big_integer("reasoning_tokens"))
        .col(text_null("price_version"))
        .col(json_binary_null("rates"))
        .take()
}

fn budget_entries() -> TableCreateStatement {
    tenant_table("budget_entries")
        .col(text("budget_period_id"))
        .col(text_null("lease_id"))
        .col(text("event_id"))
        .col(big_integer("amount_nano"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut same_tenant("budget_entries", "budget_period_id", "budget_periods"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        // Booking an event twice changes nothing.
        unique("usage_ledger", &["event_id"]),
        index("usage_ledger", &["org_id", "time"]),
        index("usage_ledger", &["org_id", "request_id"]),
        unique("budget_entries", &["event_id", "budget_period_id"]),
        index("budget_entries", &["org_id", "budget_period_id"]),
    ]
}
