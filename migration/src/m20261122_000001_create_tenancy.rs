//! Organizations, who belongs to them, and their projects.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, json_binary, string_len, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

use crate::table::{create, drop, edited, index, parent_table, plain_table, reference, same_tenant, tenant_table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![organizations(), users(), projects(), memberships(), sessions()];
        create(manager, tables, indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["sessions", "memberships", "projects", "users", "organizations"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The tenant itself. Its row is also the per-tenant lock: `revision` is raised first in every change.
fn organizations() -> TableCreateStatement {
    let table = plain_table("organizations")
        .col(text("slug"))
        .col(text("name"))
        .col(big_integer("revision").default(0))
        .col(json_binary("settings"))
        .col(text("audit_head_hash").default(""))
        .col(big_integer("audit_sequence").default(0))
        .take();
    edited(table)
}

/// People, across organizations.
fn users() -> TableCreateStatement {
    plain_table("users")
        .col(text("email"))
        .col(text("name"))
        .col(text_null("password_hash"))
        .col(timestamp_with_time_zone_null("disabled_at"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .take()
}

fn projects() -> TableCreateStatement {
    let table = parent_table("projects")
        .col(text("name"))
        .col(json_binary("tags"))
        .col(json_binary("settings"))
        .col(text_null("entry_policy"))
        .take();
    edited(table)
}

/// A role in the organization, or in one project of it.
fn memberships() -> TableCreateStatement {
    tenant_table("memberships")
        .col(text("user_id"))
        .col(text_null("project_id"))
        .col(string_len("role", 16))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut reference("memberships", "user_id", "users"))
        .foreign_key(&mut same_tenant("memberships", "project_id", "projects"))
        .take()
}

/// Console sessions; the id is the hash of the cookie.
fn sessions() -> TableCreateStatement {
    tenant_table("sessions")
        .col(text("user_id"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .foreign_key(&mut reference("sessions", "user_id", "users"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        unique("organizations", &["slug"]),
        unique("users", &["email"]),
        unique("projects", &["org_id", "name"]),
        // Null is distinct from null in a unique index: one index for grants on the organization, one for projects.
        unique("memberships", &["org_id", "user_id"]).and_where(Expr::col("project_id").is_null()).take(),
        unique("memberships", &["org_id", "project_id", "user_id"]).and_where(Expr::col("project_id").is_not_null()).take(),
        index("memberships", &["org_id", "user_id"]),
        index("memberships", &["user_id"]),
        index("sessions", &["org_id", "user_id"]),
        index("sessions", &["user_id"]),
        index("sessions", &["expires_at"]),
    ]
}
