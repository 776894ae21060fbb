//! What questions to a project's webhook guardrail are signed with, sealed as credentials of providers are. The guardrails themselves are
//! part of the project's settings.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{blob_null, text_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "projects";
const SEALED: &str = "webhook_secret_sealed";
const WRAPPED_KEY: &str = "webhook_secret_wrapped_key";
const KEY_ID: &str = "webhook_secret_key_id";
const DIGEST: &str = "webhook_secret_digest";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [blob_null(SEALED), blob_null(WRAPPED_KEY), text_null(KEY_ID), text_null(DIGEST)] {
            manager.alter_table(Table::alter().table(TABLE).add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [SEALED, WRAPPED_KEY, KEY_ID, DIGEST] {
            manager.alter_table(Table::alter().table(TABLE).drop_column(column).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
