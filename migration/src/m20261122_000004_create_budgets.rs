//! Budgets, their periods, and the leases that workers hold on a period.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, json_binary, string_len, text, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

use crate::table::{create, drop, edited, index, parent_table, same_tenant, tenant_table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![budgets(), budget_periods(), leases()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["leases", "budget_periods", "budgets"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn budgets() -> TableCreateStatement {
    let table = parent_table("budgets")
        .col(text("name"))
        .col(json_binary("scope"))
        .col(string_len("period", 16))
        .col(big_integer("anchor_day"))
        .col(text("time_zone"))
        .col(big_integer("cap_nano"))
        .col(json_binary("thresholds"))
        .col(json_binary("at_cap"))
        .col(big_integer("downgrade_at_ppm"))
        .col(string_len("mode", 16))
        .col(boolean("clamp_output"))
        .take();
    edited(table)
}

/// The escrow account of one budget, one period and one scope value.
fn budget_periods() -> TableCreateStatement {
    parent_table("budget_periods")
        .col(text("budget_id"))
        .col(text("scope_value").default(""))
        .col(timestamp_with_time_zone("period_start"))
        .col(timestamp_with_time_zone_null("period_end"))
        .col(big_integer("cap_nano"))
        .col(big_integer("settled_nano").default(0))
        // More given back than was granted would let spend pass the cap: refuse the transaction instead.
        .col(big_integer("leased_nano").default(0).check(Expr::col("leased_nano").gte(0)))
        .col(big_integer("epoch").default(0))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut same_tenant("budget_periods", "budget_id", "budgets"))
        .take()
}

/// No reference to the worker: a lease outlives the worker that held it until its money is accounted for.
fn leases() -> TableCreateStatement {
    tenant_table("leases")
        .col(text("budget_period_id"))
        .col(text("worker_id"))
        .col(big_integer("incarnation"))
        .col(big_integer("granted_nano"))
        .col(big_integer("spent_nano").default(0))
        .col(big_integer("reserved_nano").default(0))
        .col(string_len("state", 16))
        .col(timestamp_with_time_zone_null("recalled_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone("deadline_at"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut same_tenant("leases", "budget_period_id", "budget_periods"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        unique("budgets", &["org_id", "name"]),
        unique("budget_periods", &["budget_id", "scope_value", "period_start"]),
        index("budget_periods", &["org_id", "budget_id", "period_start"]),
        index("leases", &["org_id", "budget_period_id", "state"]),
        // One active lease for each life of a worker on an account: granting twice adds to the one there is.
        unique("leases", &["budget_period_id", "worker_id", "incarnation"]).and_where(Expr::col("state").eq("active")).take(),
        index("leases", &["worker_id", "state"]),
        index("leases", &["state", "expires_at"]),
    ]
}
