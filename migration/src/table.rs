//! The shapes that all tables share: tenant ownership, parents of the same tenant, names of indexes.
//!
//! Promises: a table made by [`tenant_table`] belongs to exactly one organization and goes away with it; a parent
//! bound by [`same_tenant`] cannot be another organization's row, whatever the code above does.
//!
//! Released steps call these functions, so what they produce must not change. A new shape gets a new function.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text, timestamp_with_time_zone};

/// A table whose rows are known by a prefixed, sortable text id.
pub(crate) fn plain_table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).col(text("id").primary_key()).take()
}

/// The same, owned by an organization.
pub(crate) fn tenant_table(name: &'static str) -> TableCreateStatement {
    owned_by_tenant(name, plain_table(name))
}

/// The same, for a table that others refer to with [`same_tenant`]: `(org_id, id)` is unique in it.
pub(crate) fn parent_table(name: &'static str) -> TableCreateStatement {
    tenant_table(name).index(&mut unique(name, &["org_id", "id"])).take()
}

/// Adds `org_id` to a table that brings its own primary key.
pub(crate) fn owned_by_tenant(name: &'static str, mut table: TableCreateStatement) -> TableCreateStatement {
    table.col(text("org_id")).foreign_key(&mut reference(name, "org_id", "organizations")).take()
}

/// The three columns of a resource that people edit: its version for optimistic locking, and when.
pub(crate) fn edited(mut table: TableCreateStatement) -> TableCreateStatement {
    table
        .col(big_integer("version").default(1))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .take()
}

/// `table.column` → `parent.id`; rows go away with their parent.
pub(crate) fn reference(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("fk_{table}_{column}"))
        .from(table, column)
        .to(parent, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}

/// `(table.org_id, table.column)` → `(parent.org_id, parent.id)`; rows go away with their parent. The parent is
/// made by [`parent_table`]. A null column refers to nothing.
pub(crate) fn same_tenant(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("fk_{table}_{column}"))
        .from(table, ("org_id", column))
        .to(parent, ("org_id", "id"))
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}

/// An index named after its table and columns.
pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("ix_{table}_{}", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

/// A unique index, named like [`index`] with its own prefix.
pub(crate) fn unique(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    index(table, columns).name(format!("ux_{table}_{}", columns.join("_"))).unique().take()
}

/// Creates tables in the order given, then their indexes.
pub(crate) async fn create(
    manager: &SchemaManager<'_>,
    tables: Vec<TableCreateStatement>,
    indexes: Vec<IndexCreateStatement>,
) -> Result<(), DbErr> {
    for table in tables {
        manager.create_table(table).await?;
    }
    for index in indexes {
        manager.create_index(index).await?;
    }
    Ok(())
}

/// Drops tables, with their indexes, in the order given.
pub(crate) async fn drop(manager: &SchemaManager<'_>, tables: &[&'static str]) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(*table).take()).await?;
    }
    Ok(())
}
