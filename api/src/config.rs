//! What the control plane is started with: the one place of the crate that sees the environment.
//!
//! Every option is a flag, an environment variable (`MODELUX_` and the flag in upper snake case) and a key of the TOML file given with
//! `--config`; the flag wins over the variable, the variable over the file, the file over the default. Unknown keys are errors. One file can
//! serve both planes: keys that only workers have are skipped here.
//!
//! Leaves out: everything an operator changes while the control plane runs. That is the organization's settings.

mod options;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use policy::redis::RedisAddress;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use options::{ApiOptions, ConfigError};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines, one object a line.
    Json,
}

/// A control plane.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where rows are.
    pub database: DatabaseConfig,
    /// What secrets are sealed with.
    pub secrets: SecretsConfig,
    /// Where it is reached.
    pub http: HttpConfig,
    /// What it says about itself.
    pub telemetry: TelemetryConfig,
    /// Where bundles are announced. Default: nowhere, workers follow the link.
    pub redis_url: Option<RedisAddress>,
    /// Directory for what outlives a restart: the SQLite file, the master key, the first credentials. Default `./modelux-data`.
    pub data_dir: PathBuf,
    /// Whether the first start makes the demo project. Default true.
    pub demo: bool,
    /// Where callers will reach the data plane, for the first credentials. Default `http://127.0.0.1:8080`.
    pub proxy_url: String,
    /// Time that running requests get on shutdown. Default 10 s.
    pub drain_limit: Duration,
}

/// Where rows are.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `sqlite://…` or `postgres://…`. Default: `modelux.db` in the data directory.
    pub url: SecretString,
}

/// What secrets are sealed with.
#[derive(Debug, Clone)]
pub struct SecretsConfig {
    /// The master key, 32 bytes in base 64. Default: from the file.
    pub master_key: Option<SecretString>,
    /// Where it is kept; made on the first start. Default: `master.key` in the data directory.
    pub master_key_file: PathBuf,
    /// Earlier master keys, only read with, while they are being replaced. Default none.
    pub previous_master_keys: Vec<SecretString>,
}

/// Where and how it is reached.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where it listens; port 0 takes a free one. Default 127.0.0.1:5100.
    pub listen: SocketAddr,
    /// Whether `GET /graphql` shows GraphiQL. Default true.
    pub graphiql: bool,
    /// Largest body of a GraphQL request, in bytes. Default 16 MiB: a manifest of ten thousand keys fits.
    pub body_bytes: usize,
    /// Time for the request head, from the connection or the end of the answer before it: so long an idle connection is kept. Default 30 s.
    pub header_timeout: Duration,
    /// Time for the request body. Default 30 s.
    pub body_timeout: Duration,
    /// Time for one request that is no subscription. Default 60 s.
    pub request_timeout: Duration,
    /// How many proxies in front add to `X-Forwarded-For`; the caller's address is taken that many entries from its end. Default 0: the
    /// address of the connection.
    pub trusted_proxies: usize,
    /// How often it may be called.
    pub rate: RateConfig,
}

/// How often it may be called; 0 is no limit. Each control plane counts for itself.
#[derive(Debug, Clone, Copy)]
pub struct RateConfig {
    /// Requests a minute with one management key. Default 6,000.
    pub key_per_minute: u32,
    /// So many of them at once. Default 1,000.
    pub key_burst: u32,
    /// Keys that nobody has, from one address in a minute. Default 120.
    pub failures_per_minute: u32,
}

/// What it says about itself.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// How log lines look. Default text.
    pub log_format: LogFormat,
    /// Which log lines, in the syntax of `tracing` filters. Default `info`, without the steps of migrations.
    pub log_filter: String,
    /// Where traces go, OTLP over HTTP. Default nowhere.
    pub otlp_endpoint: Option<String>,
}

impl Config {
    /// Defaults, with everything in `data_dir`.
    #[must_use]
    pub fn in_directory(data_dir: PathBuf) -> Self {
        Self {
            database: DatabaseConfig { url: SecretString::from(format!("sqlite://{}", data_dir.join("modelux.db").display())) },
            secrets: SecretsConfig { master_key: None, master_key_file: data_dir.join("master.key"), previous_master_keys: Vec::new() },
            http: HttpConfig {
                listen: SocketAddr::from(([127, 0, 0, 1], 5100)),
                graphiql: true,
                body_bytes: 16 << 20,
                header_timeout: Duration::from_secs(30),
                body_timeout: Duration::from_secs(30),
                request_timeout: Duration::from_secs(60),
                trusted_proxies: 0,
                rate: RateConfig { key_per_minute: 6000, key_burst: 1000, failures_per_minute: 120 },
            },
            telemetry: TelemetryConfig {
                log_format: LogFormat::Text,
                log_filter: "info,sea_orm_migration=warn,sqlx=warn".to_owned(),
                otlp_endpoint: None,
            },
            redis_url: None,
            data_dir,
            demo: true,
            proxy_url: "http://127.0.0.1:8080".to_owned(),
            drain_limit: Duration::from_secs(10),
        }
    }
}
