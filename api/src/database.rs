//! The connection to the database: SQLite in a file, or PostgreSQL.
//!
//! Promises: after [`Database::connect`] the schema is the newest; what [`Database::begin`] gives may write at once and never
//! fails half way because another writer came first. On SQLite there is one writer connection, every transaction of it begins
//! `IMMEDIATE`, and [`Database::read`] can't write at all; readers never wait for the writer (WAL). On PostgreSQL both come from
//! one pool, and whoever needs a lock takes it on a row.
//!
//! Durability: a committed transaction survives the loss of the machine (`synchronous=FULL`). What a worker was told is booked is
//! deleted from its disk, so the default of WAL mode would be too weak.
//!
//! Leaves out: queries.

use std::time::Duration;

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectOptions, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

/// Most values one statement may bind; SQLite takes 32,766, PostgreSQL 65,535.
pub const MAX_BINDS: usize = 32_000;

const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;
const ACQUIRE: Duration = Duration::from_secs(15);
const BUSY: Duration = Duration::from_secs(10);

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Neither of the two kinds.
    #[error("`{scheme}` is not a database address; it starts with `sqlite://` or `postgres://`")]
    Scheme {
        /// What was given, up to the colon.
        scheme: String,
    },
    /// It does not answer or refuses.
    #[error("can't connect to the database")]
    Connect(#[source] DbErr),
    /// The schema can't be brought up to date.
    #[error("can't migrate the database")]
    Migrate(#[source] DbErr),
}

/// A way into the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    write: DatabaseConnection,
    read: DatabaseConnection,
}

impl Database {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// When the address is of an unknown kind, the database does not answer, or a migration fails.
    pub async fn connect(url: &str) -> Result<Self, DatabaseError> {
        let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
        let database = match scheme {
            "sqlite" => Self::connect_sqlite(url).await,
            "postgres" | "postgresql" => Self::connect_postgres(url).await,
            other => return Err(DatabaseError::Scheme { scheme: other.to_owned() }),
        }
        .map_err(DatabaseError::Connect)?;
        Migrator::up(&database.write, None).await.map_err(DatabaseError::Migrate)?;
        Ok(database)
    }

    async fn connect_sqlite(url: &str) -> Result<Self, DbErr> {
        let write = sea_orm::Database::connect(sqlite_options(url, false)).await?;
        // Each connection to `:memory:` would be a database of its own, so there the writer is also the reader.
        let read = if url.contains(":memory:") { write.clone() } else { sea_orm::Database::connect(sqlite_options(url, true)).await? };
        Ok(Self { write, read })
    }

    async fn connect_postgres(url: &str) -> Result<Self, DbErr> {
        let mut options = ConnectOptions::new(url);
        options.max_connections(POSTGRES_CONNECTIONS).acquire_timeout(ACQUIRE).sqlx_logging(false).record_stmt_in_spans(false);
        options.set_application_name("modelux-api");
        let pool = sea_orm::Database::connect(options).await?;
        Ok(Self { write: pool.clone(), read: pool })
    }

    /// For reading outside a transaction.
    #[must_use]
    pub const fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// A transaction that may write. On SQLite it holds the one writer: keep it short, and ask nobody else while it is open.
    ///
    /// # Errors
    /// When no connection is to be had.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        match self.backend() {
            DbBackend::Sqlite => {
                let mode = Some(SqliteTransactionMode::Immediate);
                self.write.begin_with_options(TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() }).await
            }
            _ => self.write.begin().await,
        }
    }

    /// Which kind it is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.write.get_database_backend()
    }

    /// Whether it answers; for readiness.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.read.ping().await
    }
}

fn sqlite_options(url: &str, reading: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(if reading { SQLITE_READERS } else { 1 })
        .min_connections(1)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .create_if_missing(!reading)
                .busy_timeout(BUSY)
                .foreign_keys(true)
                .pragma("journal_mode", "wal")
                .pragma("synchronous", "full")
                .pragma("temp_store", "memory")
                .pragma("cache_size", "-65536");
            if reading { options.pragma("query_only", "on") } else { options }
        });
    options
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::fixture::temporary;
    use super::*;

    #[tokio::test]
    async fn an_unknown_kind_of_database_is_refused_by_name() {
        let error = Database::connect("mysql://localhost/modelux").await.unwrap_err();
        assert_eq!(error.to_string(), "`mysql` is not a database address; it starts with `sqlite://` or `postgres://`");
    }

    #[tokio::test]
    async fn readers_can_not_write_and_do_not_wait_for_the_writer() {
        let test = temporary().await;
        let transaction = test.database.begin().await.unwrap();
        transaction.execute_unprepared("DELETE FROM users").await.unwrap();
        test.database.ping().await.unwrap();
        assert!(test.database.read().execute_unprepared("DELETE FROM users").await.is_err());
        transaction.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_second_connect_finds_the_schema_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("modelux.db").display());
        drop(Database::connect(&url).await.unwrap());
        Database::connect(&url).await.unwrap().ping().await.unwrap();
    }
}
