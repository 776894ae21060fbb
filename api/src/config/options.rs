//! The written form of the configuration: flags, variables and file keys share one struct, so they can't differ.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use policy::options::{BadKey, WrittenOptions};
use policy::redis::RedisAddressError;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Config, LogFormat};

/// Keys of a shared file that only workers have.
const WORKER_KEYS: &[&str] = &[
    "control_url",
    "worker_token",
    "proxy_listen",
    "admin_listen",
    "proxy_tls_certificate",
    "proxy_tls_key",
    "name",
    "threads",
    "upstream_pool_size",
    "header_limit_bytes",
    "keep_alive_ms",
    "connect_timeout_ms",
    "attempt_timeout_ms",
    "idle_timeout_ms",
    "stream_keep_alive_ms",
    "exchange_limit_ms",
    "cache_bytes",
    "cache_entry_bytes",
    "heartbeat_interval_ms",
    "feed_wait_ms",
    "link_timeout_ms",
    "lease_wait_ms",
    "lease_idle_ms",
    "policy_age_limit_ms",
    "spool_segment_bytes",
    "spool_limit_bytes",
    "spool_batch_events",
    "spool_batch_wait_ms",
    "spool_sync_ms",
];

/// Why the control plane can't be configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("config file `{}` can't be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No TOML, an unknown key, or a value of the wrong kind.
    #[error("config file `{}` can't be used", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Where in it, and why.
        source: BadKey,
    },
    /// Not an address of Redis.
    #[error("`redis_url` can't be used")]
    Redis(#[source] RedisAddressError),
    /// A value out of its range.
    #[error("`{option}` must be {must}")]
    OutOfRange {
        /// Which.
        option: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

/// Options of `modelux-api`. A field is a flag, a variable and a file key at once.
#[derive(Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiOptions {
    /// TOML file with the same options as keys
    #[arg(long, env = "MODELUX_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Directory for what outlives a restart
    #[arg(long, env = "MODELUX_DATA_DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Where the control plane listens; port 0 takes a free one
    #[arg(long, env = "MODELUX_API_LISTEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_listen: Option<SocketAddr>,
    /// `sqlite://…` or `postgres://…`
    #[arg(long, env = "MODELUX_DATABASE_URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// Where bundles are announced: `redis://…`, `redis-sentinel://…/service` or `redis-cluster://…`; `rediss…` for TLS
    #[arg(long, env = "MODELUX_REDIS_URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_url: Option<String>,
    /// Master key, 32 bytes in base 64
    #[arg(long, env = "MODELUX_MASTER_KEY", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key: Option<String>,
    /// File with the master key; made on the first start
    #[arg(long, env = "MODELUX_MASTER_KEY_FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key_file: Option<PathBuf>,
    /// Earlier master keys, separated by commas, while they are being replaced
    #[arg(long, env = "MODELUX_PREVIOUS_MASTER_KEYS", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_master_keys: Option<String>,
    /// Make no demo project on the first start
    #[arg(long, env = "MODELUX_NO_DEMO", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_demo: Option<bool>,
    /// Where callers will reach the data plane, for the first credentials
    #[arg(long, env = "MODELUX_PROXY_URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// Show GraphiQL at `GET /graphql`
    #[arg(long, env = "MODELUX_GRAPHIQL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graphiql: Option<bool>,
    /// Largest body of a GraphQL request
    #[arg(long, env = "MODELUX_BODY_LIMIT_BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_limit_bytes: Option<usize>,
    /// Time for the request head, from the connection or the end of the answer before it
    #[arg(long, env = "MODELUX_HEADER_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_timeout_ms: Option<u64>,
    /// Time for the request body
    #[arg(long, env = "MODELUX_BODY_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_timeout_ms: Option<u64>,
    /// Time for one request that is no subscription
    #[arg(long, env = "MODELUX_REQUEST_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u64>,
    /// How many proxies in front add to `X-Forwarded-For`
    #[arg(long, env = "MODELUX_TRUSTED_PROXIES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<usize>,
    /// Requests a minute with one management key; 0: no limit
    #[arg(long, env = "MODELUX_KEY_REQUESTS_PER_MINUTE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_requests_per_minute: Option<u32>,
    /// So many of them at once
    #[arg(long, env = "MODELUX_KEY_REQUEST_BURST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_request_burst: Option<u32>,
    /// Keys that nobody has, from one address in a minute; 0: no limit
    #[arg(long, env = "MODELUX_FAILED_KEYS_PER_MINUTE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_keys_per_minute: Option<u32>,
    /// Time that running requests get on shutdown
    #[arg(long, env = "MODELUX_DRAIN_LIMIT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_limit_ms: Option<u64>,
    /// How log lines look
    #[arg(long, env = "MODELUX_LOG_FORMAT", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Which log lines, such as `info` or `api=debug,info`
    #[arg(long, env = "MODELUX_LOG_FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_filter: Option<String>,
    /// OTLP over HTTP: traces go there
    #[arg(long, env = "MODELUX_OTLP_ENDPOINT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
}

impl ApiOptions {
    /// Reads the file, if one is named, and puts everything together.
    ///
    /// # Errors
    /// When the file can't be read or holds an unknown key, or a value is out of range.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let Some(path) = self.config.clone() else { return self.check() };
        match std::fs::read_to_string(&path) {
            Ok(file) => self.over(&file).map_err(|source| ConfigError::Unusable { path, source })?.check(),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    /// Flags and variables over the keys of `file`.
    fn over(self, file: &str) -> Result<Self, BadKey> {
        WrittenOptions::read(file)?.without(|_, key| WORKER_KEYS.contains(&key)).under(&self)
    }

    /// From what was written to what is used.
    fn check(self) -> Result<Config, ConfigError> {
        let mut config = Config::in_directory(self.data_dir.unwrap_or_else(|| PathBuf::from("modelux-data")));
        set(&mut config.database.url, self.database_url.filter(|url| !url.is_empty()).map(SecretString::from));
        let redis_url = self.redis_url.filter(|url| !url.is_empty());
        config.redis_url = redis_url.map(|url| url.parse()).transpose().map_err(ConfigError::Redis)?;
        config.secrets.master_key = self.master_key.filter(|key| !key.is_empty()).map(SecretString::from);
        set(&mut config.secrets.master_key_file, self.master_key_file);
        let previous = self.previous_master_keys.unwrap_or_default();
        config.secrets.previous_master_keys =
            previous.split(',').map(str::trim).filter(|key| !key.is_empty()).map(SecretString::from).collect();
        set(&mut config.http.listen, self.api_listen);
        set(&mut config.http.graphiql, self.graphiql);
        set(&mut config.http.body_bytes, self.body_limit_bytes);
        set(&mut config.http.header_timeout, self.header_timeout_ms.map(Duration::from_millis));
        set(&mut config.http.body_timeout, self.body_timeout_ms.map(Duration::from_millis));
        set(&mut config.http.request_timeout, self.request_timeout_ms.map(Duration::from_millis));
        set(&mut config.http.trusted_proxies, self.trusted_proxies);
        set(&mut config.http.rate.key_per_minute, self.key_requests_per_minute);
        set(&mut config.http.rate.key_burst, self.key_request_burst);
        set(&mut config.http.rate.failures_per_minute, self.failed_keys_per_minute);
        set(&mut config.drain_limit, self.drain_limit_ms.map(Duration::from_millis));
        set(&mut config.telemetry.log_format, self.log_format);
        set(&mut config.telemetry.log_filter, self.log_filter);
        config.telemetry.otlp_endpoint = self.otlp_endpoint.filter(|url| !url.is_empty());
        config.demo = !self.no_demo.unwrap_or(false);
        set(&mut config.proxy_url, self.proxy_url);
        if config.http.body_bytes < 1024 {
            return Err(ConfigError::OutOfRange { option: "body_limit_bytes", must: "at least 1024" });
        }
        Ok(config)
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let flags = ApiOptions { graphiql: Some(false), ..ApiOptions::default() };
        let config = flags.over("graphiql = true\nbody_limit_bytes = 4096\n").unwrap().check().unwrap();
        assert!(!config.http.graphiql);
        assert_eq!(config.http.body_bytes, 4096);
        assert_eq!(config.http.listen.port(), 5100);
    }

    #[test]
    fn a_file_that_can_not_be_used_is_named_with_the_line_of_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("modelux.toml");
        std::fs::write(&path, "drain_limit_ms = 5\napi_listne = \"x\"\n").unwrap();
        let options = ApiOptions { config: Some(path.clone()), ..ApiOptions::default() };
        let error = options.into_config().unwrap_err();
        assert_eq!(error.to_string(), format!("config file `{}` can't be used", path.display()));
        let ConfigError::Unusable { source, .. } = error else { panic!("{error}") };
        assert!(source.to_string().starts_with("line 2: `api_listne`: unknown field"), "{source}");
    }

    #[test]
    fn keys_of_workers_in_a_shared_file_are_skipped() {
        assert!(ApiOptions::default().over("control_url = \"http://x\"\nthreads = 2\n").is_ok());
    }

    #[test]
    fn an_address_that_is_not_of_redis_is_refused_by_the_name_of_the_option() {
        let error = ApiOptions { redis_url: Some("http://h".to_owned()), ..ApiOptions::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "`redis_url` can't be used");
    }

    #[test]
    fn secrets_are_not_printed() {
        let database_url = Some("postgres://u:hunter2@h/d".to_owned());
        let options = ApiOptions { database_url, redis_url: Some("redis://:hunter2@h".to_owned()), ..ApiOptions::default() };
        assert!(!format!("{:?}", options.check().unwrap()).contains("hunter2"));
    }
}
