//! Reads back what tables a database has, and says how they differ from what is expected.
//!
//! For the tests that hold entities and migrations together, on SQLite and on PostgreSQL alike. Types are compared by
//! [`Kind`], since a column is declared in other words on each.
//!
//! Leaves out: changing anything, and the tables of the database and of the migrator themselves.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm_migration::sea_orm::{ColumnType, ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

mod postgres;
mod sqlite;

/// What a column holds. Everything that no table should have, floating numbers first, is [`Kind::Other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of any length.
    Text,
    /// An integer of 64 bits.
    Integer,
    /// True or false.
    Boolean,
    /// An instant.
    Instant,
    /// JSON, `jsonb` on PostgreSQL.
    Json,
    /// Bytes.
    Bytes,
    /// Anything else, in the words of who declared it.
    Other(String),
}

impl From<&ColumnType> for Kind {
    fn from(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::Text | ColumnType::String(_) => Self::Text,
            ColumnType::BigInteger => Self::Integer,
            ColumnType::Boolean => Self::Boolean,
            ColumnType::TimestampWithTimeZone => Self::Instant,
            ColumnType::JsonBinary => Self::Json,
            ColumnType::Blob => Self::Bytes,
            other => Self::Other(format!("{other:?}")),
        }
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
}

/// One index; primary keys are among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Whether it refuses duplicates.
    pub unique: bool,
    /// Whether it leaves out some rows.
    pub partial: bool,
    /// Its columns, in order.
    pub columns: Vec<String>,
}

/// One foreign key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignKey {
    /// Columns of this table, in order.
    pub columns: Vec<String>,
    /// The table referred to.
    pub parent: String,
    /// Whether rows go away with their parent.
    pub cascades: bool,
}

/// A table as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Columns, in the order of the table.
    pub columns: Vec<Column>,
    /// Indexes by name.
    pub indexes: BTreeMap<String, Index>,
    /// Foreign keys by name.
    pub foreign_keys: BTreeMap<String, ForeignKey>,
}

/// A table as it should be.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its name.
    pub name: String,
    /// Whether its rows belong to an organization.
    pub tenant_owned: bool,
    /// Its columns, in any order.
    pub columns: Vec<Column>,
}

/// The tables of the database, by name.
///
/// # Errors
///
/// When a statement fails, or on a database that is neither SQLite nor PostgreSQL.
pub async fn read_tables(db: &impl ConnectionTrait) -> Result<BTreeMap<String, Table>, DbErr> {
    let (statements, kind): (Statements, fn(&str) -> Kind) = match db.get_database_backend() {
        DbBackend::Sqlite => (sqlite::STATEMENTS, sqlite::kind),
        DbBackend::Postgres => (postgres::STATEMENTS, postgres::kind),
        other => return Err(DbErr::Custom(format!("no inspection of `{other:?}`"))),
    };
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for row in rows(db, statements.columns).await? {
        let column = Column {
            name: row.try_get("", "column_name")?,
            kind: kind(&row.try_get::<String>("", "declared")?),
            nullable: row.try_get("", "nullable")?,
        };
        tables.entry(table_of(&row)?).or_default().columns.push(column);
    }
    for row in rows(db, statements.indexes).await? {
        let table = tables.entry(table_of(&row)?).or_default();
        let index = table.indexes.entry(row.try_get("", "index_name")?).or_default();
        index.unique = row.try_get("", "is_unique")?;
        index.partial = row.try_get("", "is_partial")?;
        index.columns.push(row.try_get("", "column_name")?);
    }
    for row in rows(db, statements.foreign_keys).await? {
        let table = tables.entry(table_of(&row)?).or_default();
        let key = table.foreign_keys.entry(row.try_get("", "key_name")?).or_default();
        key.parent = row.try_get("", "parent")?;
        key.cascades = row.try_get("", "cascades")?;
        key.columns.push(row.try_get("", "column_name")?);
    }
    tables.retain(|name, _| !name.starts_with("sqlite_") && name != "seaql_migrations");
    Ok(tables)
}

/// Every way in which the tables found are not those expected, one sentence each; empty when they are.
pub fn differences(found: &BTreeMap<String, Table>, expected: &[Expected]) -> Vec<String> {
    let known: BTreeSet<&str> = expected.iter().map(|table| table.name.as_str()).collect();
    let mut differences: Vec<String> =
        found.keys().filter(|name| !known.contains(name.as_str())).map(|name| format!("table `{name}` has no entity")).collect();
    for expected in expected {
        match found.get(&expected.name) {
            None => differences.push(format!("entity `{}` has no table", expected.name)),
            Some(table) => {
                compare_columns(expected, table, &mut differences);
                check_columns(expected, table, &mut differences);
                if expected.tenant_owned {
                    check_tenancy(&expected.name, table, &mut differences);
                }
            }
        }
    }
    differences
}

/// The three queries that a database is read with.
struct Statements {
    /// `table_name, column_name, declared, nullable`.
    columns: &'static str,
    /// `table_name, index_name, is_unique, is_partial, column_name`, columns in the order of the index.
    indexes: &'static str,
    /// `table_name, key_name, parent, cascades, column_name`, columns in the order of the key.
    foreign_keys: &'static str,
}

async fn rows(db: &impl ConnectionTrait, sql: &'static str) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await
}

fn table_of(row: &QueryResult) -> Result<String, DbErr> {
    row.try_get("", "table_name")
}

fn compare_columns(expected: &Expected, found: &Table, differences: &mut Vec<String>) {
    let name = &expected.name;
    for column in &found.columns {
        if !expected.columns.iter().any(|other| other.name == column.name) {
            differences.push(format!("column `{name}.{}` has no field", column.name));
        }
    }
    for column in &expected.columns {
        match found.columns.iter().find(|other| other.name == column.name) {
            None => differences.push(format!("field `{name}.{}` has no column", column.name)),
            Some(other) if other != column => {
                differences.push(format!("field of `{name}` is `{column:?}`, its column `{other:?}`"));
            }
            Some(_) => {}
        }
    }
}

/// No kind of column that is not in use, so no floating one; money is counted in integers.
fn check_columns(expected: &Expected, found: &Table, differences: &mut Vec<String>) {
    for column in &found.columns {
        let name = format!("{}.{}", expected.name, column.name);
        if let Kind::Other(declared) = &column.kind {
            differences.push(format!("column `{name}` is of the unused type `{declared}`"));
        }
        if column.name.ends_with("_nano") && column.kind != Kind::Integer {
            differences.push(format!("column `{name}` is money, but not an integer"));
        }
    }
}

/// Rows of a tenant name it, go away with it, and are found by it.
fn check_tenancy(name: &str, found: &Table, differences: &mut Vec<String>) {
    let named = found.columns.iter().any(|column| column.name == "org_id" && column.kind == Kind::Text && !column.nullable);
    if !named {
        differences.push(format!("table `{name}` has no `org_id` that is text and not null"));
    }
    let bound = found.foreign_keys.values().any(|key| key.columns == ["org_id"] && key.parent == "organizations" && key.cascades);
    if !bound {
        differences.push(format!("table `{name}` does not go away with its organization"));
    }
    let led = |index: &Index| !index.partial && index.columns.first().is_some_and(|first| first == "org_id");
    if !found.indexes.values().any(led) {
        differences.push(format!("table `{name}` has no whole index that starts with `org_id`"));
    }
}
