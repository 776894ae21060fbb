//! A database for one control plane: an SQLite file, or a PostgreSQL database cloned from one migrated template.
//!
//! The template is made once for each set of migrations, under a lock that all test processes share; a clone takes tens of
//! milliseconds. Without `TEST_DATABASE_URL` a server is started for the one database and ended with it.

mod server;
mod template;

use std::path::Path;

pub use server::LocalServer;

/// The two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// Both, for tests that say the same of each.
pub const KINDS: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

/// One database, gone when dropped.
#[derive(Debug)]
pub struct TestDb {
    url: String,
    /// Where PostgreSQL's databases are made and dropped.
    admin_url: Option<String>,
    server: Option<LocalServer>,
}

impl TestDb {
    /// An empty database: no tables. SQLite's file is in `directory`.
    pub async fn empty(kind: Kind, directory: &Path) -> Self {
        match kind {
            Kind::Sqlite => Self::sqlite(directory),
            Kind::Postgres => Self::postgres(false).await,
        }
    }

    /// A database with all tables and no rows.
    pub async fn migrated(kind: Kind, directory: &Path) -> Self {
        match kind {
            Kind::Sqlite => {
                let database = Self::sqlite(directory);
                template::migrate(&database.url).await;
                database
            }
            Kind::Postgres => Self::postgres(true).await,
        }
    }

    fn sqlite(directory: &Path) -> Self {
        let file = directory.join("modelux.db");
        Self { url: format!("sqlite://{}?mode=rwc", file.display()), admin_url: None, server: None }
    }

    async fn postgres(migrated: bool) -> Self {
        let (admin_url, server) = match &crate::config::CONFIG.database_url {
            Some(url) => (url.clone(), None),
            None => {
                let server = LocalServer::start().await;
                (server.url(), Some(server))
            }
        };
        let url = template::create_database(&admin_url, migrated).await;
        Self { url, admin_url: Some(admin_url), server }
    }

    /// What goes into `MODELUX_DATABASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection, for tests about the tables themselves.
    pub async fn connect(&self) -> sea_orm::DatabaseConnection {
        template::connect(&self.url).await
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // A failed test leaves its database behind to be looked at, unless it had a server of its own.
        let Some(admin_url) = self.admin_url.take().filter(|_| self.server.is_none() && !std::thread::panicking()) else { return };
        let url = self.url.clone();
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(template::drop_database(&admin_url, &url));
        });
        dropping.join().ok();
    }
}
