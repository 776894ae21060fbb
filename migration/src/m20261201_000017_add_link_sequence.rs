//! Which of a worker's messages about money was taken in last, so that an earlier one that comes late is refused.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("workers").add_column(big_integer("link_sequence").default(0)).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("workers").drop_column("link_sequence").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
