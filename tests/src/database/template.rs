//! Making, cloning and dropping PostgreSQL databases.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use sha2::{Digest, Sha256};

/// Any number that nothing else on the server locks.
const LOCK: i64 = 0x6d6f_6465_6c75;

pub(super) async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url.to_owned());
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap_or_else(|error| panic!("can't connect to `{url}`: {error}"))
}

pub(super) async fn migrate(url: &str) {
    let db = connect(url).await;
    Migrator::up(&db, None).await.expect("migrations that run");
    db.close().await.expect("a connection that closes");
}

/// A database of a new name; its address.
pub(super) async fn create_database(admin_url: &str, migrated: bool) -> String {
    let admin = connect(admin_url).await;
    let name = policy::id::new_id(policy::id::IdKind::Organization).to_lowercase();
    let template = if migrated { template(&admin, admin_url).await } else { "template0".to_owned() };
    run(&admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    admin.close().await.expect("a connection that closes");
    with_name(admin_url, &name)
}

pub(super) async fn drop_database(admin_url: &str, url: &str) {
    let admin = connect(admin_url).await;
    let name = url.rsplit('/').next().expect("a name");
    run(&admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
}

/// The migrated database that others are cloned from, made by whoever comes first.
async fn template(admin: &DatabaseConnection, admin_url: &str) -> String {
    let steps: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    let digest = Sha256::digest(steps.join(",").as_bytes());
    let name = format!("modelux_template_{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    run(admin, &format!("SELECT pg_advisory_lock({LOCK})")).await;
    let known = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
    let known = admin.query_one_raw(Statement::from_string(DbBackend::Postgres, known)).await.expect("a list of databases");
    if known.is_none() {
        let making = format!("{name}_making");
        run(admin, &format!("DROP DATABASE IF EXISTS {making}")).await;
        run(admin, &format!("CREATE DATABASE {making} TEMPLATE template0")).await;
        migrate(&with_name(admin_url, &making)).await;
        run(admin, &format!("ALTER DATABASE {making} RENAME TO {name}")).await;
    }
    run(admin, &format!("SELECT pg_advisory_unlock({LOCK})")).await;
    name
}

async fn run(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
}

fn with_name(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').expect("`postgres://user@host:port/name`");
    format!("{server}/{name}")
}
