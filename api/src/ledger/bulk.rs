//! Many rows in one statement, without building its text anew each time.
//!
//! Why by hand: most of the time of a large insert through the query builder is spent on building SQL, and a statement of every length
//! is prepared once for each length. Here rows go in chunks of five fixed sizes, so a connection prepares five statements a table and
//! keeps them. No statement binds more than [`MAX_BINDS`] values.
//!
//! Names of tables and columns come from constants of this program, never from data.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};

use crate::database::MAX_BINDS;

const CHUNKS: [usize; 5] = [256, 64, 16, 4, 1];

/// How a value is bound where the two databases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Time,
    Bool,
    /// Bound as text.
    Json,
}

impl Kind {
    /// The type that a bound value needs where nothing else says it.
    fn cast(self, backend: DbBackend) -> &'static str {
        match (self, backend) {
            (Self::Int, _) => "BIGINT",
            (Self::Time, DbBackend::Postgres) => "TIMESTAMPTZ",
            (Self::Json, DbBackend::Postgres) => "JSONB",
            (Self::Bool, DbBackend::Postgres) => "BOOLEAN",
            (Self::Bool, _) => "BIGINT",
            _ => "TEXT",
        }
    }
}

/// Inserts rows into one table.
pub(super) struct Insert {
    pub(super) table: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
    /// What follows the values: `ON CONFLICT …`.
    pub(super) conflict: &'static str,
}

impl Insert {
    /// `values` are the columns of one row after the other.
    pub(super) async fn run(&self, connection: &impl ConnectionTrait, values: Vec<Value>) -> Result<(), DbErr> {
        for (rows, values) in chunks(values, self.columns.len()) {
            let sql = self.sql(connection.get_database_backend(), rows, "");
            connection.execute_raw(Statement::from_sql_and_values(connection.get_database_backend(), sql, values)).await?;
        }
        Ok(())
    }

    /// The same; gives `key` of the rows that were really inserted.
    pub(super) async fn run_returning(
        &self,
        connection: &impl ConnectionTrait,
        values: Vec<Value>,
        key: &'static str,
    ) -> Result<Vec<String>, DbErr> {
        let mut inserted = Vec::new();
        for (rows, values) in chunks(values, self.columns.len()) {
            let sql = self.sql(connection.get_database_backend(), rows, key);
            let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
            for row in connection.query_all_raw(statement).await? {
                inserted.push(row.try_get_by_index(0)?);
            }
        }
        Ok(inserted)
    }

    fn sql(&self, backend: DbBackend, rows: usize, returning: &str) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut sql = format!("INSERT INTO {} (\"{}\") VALUES ", self.table, names.join("\", \""));
        let kinds: Vec<Kind> = self.columns.iter().map(|(_, kind)| *kind).collect();
        push_rows(&mut sql, backend, rows, &kinds, |kind| {
            (kind == Kind::Json && backend == DbBackend::Postgres).then(|| kind.cast(backend))
        });
        sql.push(' ');
        sql.push_str(self.conflict);
        if !returning.is_empty() {
            sql.push_str(" RETURNING ");
            sql.push_str(returning);
        }
        sql
    }
}

/// Updates rows of one table, each with values of its own, found by `id`.
pub(super) struct Update {
    pub(super) table: &'static str,
    /// Kinds of the values of a row; the first is the id.
    pub(super) kinds: &'static [Kind],
    /// Assignments; the values are `v.column2` and so on.
    pub(super) set: &'static str,
}

impl Update {
    /// `values` are those of one row after the other.
    pub(super) async fn run(&self, connection: &impl ConnectionTrait, values: Vec<Value>) -> Result<(), DbErr> {
        for (rows, values) in chunks(values, self.kinds.len()) {
            let sql = self.sql(connection.get_database_backend(), rows);
            connection.execute_raw(Statement::from_sql_and_values(connection.get_database_backend(), sql, values)).await?;
        }
        Ok(())
    }

    fn sql(&self, backend: DbBackend, rows: usize) -> String {
        let mut sql = format!("UPDATE {} SET {} FROM (VALUES ", self.table, self.set);
        push_rows(&mut sql, backend, rows, self.kinds, |kind| Some(kind.cast(backend)));
        sql.push_str(&format!(") AS v WHERE {}.id = v.column1", self.table));
        sql
    }
}

/// `($1, CAST($2 AS X)), ($3, …)` on PostgreSQL, `(?, CAST(? AS X)), (?, …)` on SQLite.
///
/// Not `$1` on SQLite, which would take it: to SQLite that is a name, and the driver asks for the name of every bind, each time by a
/// search through all of them.
fn push_rows(sql: &mut String, backend: DbBackend, rows: usize, kinds: &[Kind], cast: impl Fn(Kind) -> Option<&'static str>) {
    let mut bind = 0_usize;
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for (column, kind) in kinds.iter().enumerate() {
            sql.push_str(if column == 0 { "" } else { ", " });
            let cast = cast(*kind);
            sql.push_str(cast.map_or("", |_| "CAST("));
            bind = bind.saturating_add(1);
            if backend == DbBackend::Postgres {
                sql.push('$');
                sql.push_str(&bind.to_string());
            } else {
                sql.push('?');
            }
            if let Some(name) = cast {
                sql.push_str(" AS ");
                sql.push_str(name);
                sql.push(')');
            }
        }
        sql.push(')');
    }
}

/// Cuts `values` into whole rows, as many at a time as a chunk size and the limit of binds allow.
fn chunks(values: Vec<Value>, columns: usize) -> Vec<(usize, Vec<Value>)> {
    let columns = columns.max(1);
    debug_assert_eq!(values.len() % columns, 0, "values come in whole rows");
    let most = MAX_BINDS / columns;
    let mut left = values.len() / columns;
    let mut values = values.into_iter();
    let mut chunks = Vec::new();
    while left > 0 {
        let rows = CHUNKS.into_iter().find(|size| *size <= left && *size <= most).unwrap_or(1);
        chunks.push((rows, values.by_ref().take(rows.saturating_mul(columns)).collect()));
        left = left.saturating_sub(rows);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_in_chunks_of_few_sizes_and_none_is_lost() {
        let cut = chunks((0..700 * 33).map(|value: i64| value.into()).collect(), 33);
        let sizes: Vec<usize> = cut.iter().map(|(rows, _)| *rows).collect();
        assert_eq!(sizes, [256, 256, 64, 64, 16, 16, 16, 4, 4, 4]);
        assert!(cut.iter().all(|(rows, values)| values.len() == rows * 33 && values.len() <= MAX_BINDS));
    }

    #[test]
    fn both_databases_get_the_casts_they_need() {
        let insert = Insert { table: "t", columns: &[("id", Kind::Text), ("tags", Kind::Json)], conflict: "ON CONFLICT DO NOTHING" };
        let postgres = "INSERT INTO t (\"id\", \"tags\") VALUES ($1, CAST($2 AS JSONB)) ON CONFLICT DO NOTHING RETURNING id";
        assert_eq!(insert.sql(DbBackend::Postgres, 1, "id"), postgres);
        assert_eq!(insert.sql(DbBackend::Sqlite, 1, ""), "INSERT INTO t (\"id\", \"tags\") VALUES (?, ?) ON CONFLICT DO NOTHING");
        let update = Update { table: "t", kinds: &[Kind::Text, Kind::Int], set: "n = v.column2" };
        let sqlite = "UPDATE t SET n = v.column2 FROM (VALUES (CAST(? AS TEXT), CAST(? AS BIGINT)), (CAST(? AS TEXT), CAST(? AS BIGINT))) \
                      AS v WHERE t.id = v.column1";
        assert_eq!(update.sql(DbBackend::Sqlite, 2), sqlite);
    }
}
