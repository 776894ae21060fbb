//! A control plane in a process of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::database::{Kind, TestDb};
use crate::graphql::GraphQl;
use crate::process::Process;
use crate::program::{address_in, command};
use crate::scratch::Scratch;
use crate::wire::free_address;

/// From nothing to ready, in a debug build on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(40);

/// How a control plane is started.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Its database.
    pub database: Kind,
    /// Where bundles are announced.
    pub redis_url: Option<String>,
    /// More variables.
    pub environment: Vec<(String, String)>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self { database: Kind::Sqlite, redis_url: None, environment: Vec::new() }
    }
}

/// Runs until dropped.
#[derive(Debug)]
pub struct TestApi {
    address: SocketAddr,
    process: Process,
    options: ApiOptions,
    credentials: Value,
    database_url: String,
    // Dropped after the process that uses it.
    database: TestDb,
    directory: Scratch,
}

impl TestApi {
    /// On SQLite, with defaults.
    pub async fn start() -> Self {
        Self::start_with(ApiOptions::default()).await
    }

    /// As told.
    pub async fn start_with(options: ApiOptions) -> Self {
        let directory = Scratch::new("api");
        let database = TestDb::migrated(options.database, directory.path()).await;
        let url = database.url().to_owned();
        Self::on(database, url, directory, options).await
    }

    /// On PostgreSQL by way of a line that counts statements.
    pub async fn start_counted() -> (Self, crate::wire::StatementCounter) {
        let directory = Scratch::new("api");
        let database = TestDb::migrated(Kind::Postgres, directory.path()).await;
        let counter = crate::wire::StatementCounter::to(database.url()).await;
        let url = counter.url(database.url());
        let options = ApiOptions { database: Kind::Postgres, ..ApiOptions::default() };
        (Self::on(database, url, directory, options).await, counter)
    }

    async fn on(database: TestDb, database_url: String, directory: Scratch, options: ApiOptions) -> Self {
        let address = free_address();
        let process = Process::start("modelux-api", directory.path(), serve(address, &database_url, &directory, &options));
        let mut api = Self { address, process, options, credentials: Value::Null, database_url, database, directory };
        api.wait_until_ready().await;
        api.credentials = read_credentials(&api.directory);
        api
    }

    async fn wait_until_ready(&mut self) {
        self.address = self.process.printed("its address", START_LIMIT, |text| address_in(text, |line| line.contains("ready"))).await;
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, to be waited for.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its data directory.
    pub fn directory(&self) -> &Scratch {
        &self.directory
    }

    /// Its database.
    pub fn database(&self) -> &TestDb {
        &self.database
    }

    /// A field of the credentials that the first start wrote.
    pub fn credential(&self, name: &str) -> String {
        self.credentials[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {}", self.credentials)).to_owned()
    }

    /// GraphQL as the owner of the organization `default`.
    pub fn owner(&self) -> GraphQl {
        GraphQl { address: self.address, key: Some(self.credential("management_key")) }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, at the same address and on the same data.
    pub async fn restart(&mut self) {
        let command = serve(self.address, &self.database_url, &self.directory, &self.options);
        self.process = Process::start("modelux-api", self.directory.path(), command);
        self.wait_until_ready().await;
    }
}

fn serve(address: SocketAddr, database_url: &str, directory: &Scratch, options: &ApiOptions) -> Command {
    let mut serve = command("modelux-api");
    serve.arg("serve").arg("--data-dir").arg(directory.path());
    serve.args(["--api-listen", &address.to_string()]).env("MODELUX_DATABASE_URL", database_url);
    if let Some(url) = &options.redis_url {
        serve.env("MODELUX_REDIS_URL", url);
    }
    serve.env("MODELUX_NO_DEMO", "true").envs(options.environment.iter().map(|(name, value)| (name, value)));
    serve
}

fn read_credentials(directory: &Scratch) -> Value {
    let path = directory.join("credentials.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    serde_json::from_slice(&text).expect("credentials in JSON")
}
