//! The written form of the configuration: flags, variables and file keys share one struct, so they can't differ.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use policy::options::{BadKey, WrittenOptions};
use policy::redis::RedisAddressError;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{LogFormat, TlsFiles, WorkerConfig};

/// Keys of a shared file that only the control plane has.
const CONTROL_PLANE_KEYS: &[&str] = &[
    "api_listen",
    "database_url",
    "failed_keys_per_minute",
    "graphiql",
    "key_request_burst",
    "key_requests_per_minute",
    "master_key",
    "master_key_file",
    "no_demo",
    "previous_master_keys",
    "proxy_url",
    "request_timeout_ms",
    "trusted_proxies",
];

/// Why a worker can't be configured.
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
    /// Something without a default was not given.
    #[error("`--{0}` is missing (or its environment variable, or its key in the config file)")]
    Missing(&'static str),
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

/// Options of `modelux-worker serve`. A field is a flag, a variable and a file key at once.
#[derive(Clone, Default, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerOptions {
    /// TOML file with the same options as keys
    #[arg(long, env = "MODELUX_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Control plane, such as `http://127.0.0.1:5100`
    #[arg(long, env = "MODELUX_CONTROL_URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_url: Option<Url>,
    /// Token with which the worker enrols, `mlx_wk_…`
    #[arg(long, env = "MODELUX_WORKER_TOKEN", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_token: Option<String>,
    /// Where callers connect; port 0 takes a free one
    #[arg(long, env = "MODELUX_PROXY_LISTEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_listen: Option<SocketAddr>,
    /// A second listener for health and metrics
    #[arg(long, env = "MODELUX_ADMIN_LISTEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<SocketAddr>,
    /// PEM file with the certificate chain that callers are shown; with it the proxy speaks TLS
    #[arg(long, env = "MODELUX_PROXY_TLS_CERTIFICATE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, env = "MODELUX_PROXY_TLS_KEY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_tls_key: Option<PathBuf>,
    /// Directory for what outlives a restart
    #[arg(long, env = "MODELUX_DATA_DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Where bundles are announced: `redis://…`, `redis-sentinel://…/service` or `redis-cluster://…`; `rediss…` for TLS
    #[arg(long, env = "MODELUX_REDIS_URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_url: Option<String>,
    /// OTLP over HTTP: traces and metrics go there
    #[arg(long, env = "MODELUX_OTLP_ENDPOINT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<Url>,
    /// How log lines look
    #[arg(long, env = "MODELUX_LOG_FORMAT", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Which log lines are written, such as `info,worker=debug`
    #[arg(long, env = "MODELUX_LOG_FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_filter: Option<String>,
    /// Name for people
    #[arg(long, env = "MODELUX_NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Threads that serve requests
    #[arg(long, env = "MODELUX_THREADS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Idle connections kept to upstreams
    #[arg(long, env = "MODELUX_UPSTREAM_POOL_SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_pool_size: Option<usize>,
    /// Largest request head
    #[arg(long, env = "MODELUX_HEADER_LIMIT_BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_limit_bytes: Option<usize>,
    /// Largest request body
    #[arg(long, env = "MODELUX_BODY_LIMIT_BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_limit_bytes: Option<usize>,
    /// Time for the request head
    #[arg(long, env = "MODELUX_HEADER_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_timeout_ms: Option<u64>,
    /// Time between two pieces of the request body
    #[arg(long, env = "MODELUX_BODY_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_timeout_ms: Option<u64>,
    /// Time a connection may be idle between requests
    #[arg(long, env = "MODELUX_KEEP_ALIVE_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive_ms: Option<u64>,
    /// Time to connect to an upstream
    #[arg(long, env = "MODELUX_CONNECT_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Time until an upstream's response head
    #[arg(long, env = "MODELUX_ATTEMPT_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_timeout_ms: Option<u64>,
    /// Time between two pieces of a response
    #[arg(long, env = "MODELUX_IDLE_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// How often a stream without anything to send is kept alive
    #[arg(long, env = "MODELUX_STREAM_KEEP_ALIVE_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_keep_alive_ms: Option<u64>,
    /// Time for an exchange from first to last byte
    #[arg(long, env = "MODELUX_EXCHANGE_LIMIT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange_limit_ms: Option<u64>,
    /// Time that running exchanges get on shutdown
    #[arg(long, env = "MODELUX_DRAIN_LIMIT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_limit_ms: Option<u64>,
    /// Answers of the response cache kept in memory; 0 keeps none there
    #[arg(long, env = "MODELUX_CACHE_BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_bytes: Option<u64>,
    /// Largest answer that the response cache keeps
    #[arg(long, env = "MODELUX_CACHE_ENTRY_BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_entry_bytes: Option<usize>,
    /// Between two heartbeats
    #[arg(long, env = "MODELUX_HEARTBEAT_INTERVAL_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_interval_ms: Option<u64>,
    /// How long the control plane may hold back the answer to a feed query
    #[arg(long, env = "MODELUX_FEED_WAIT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_wait_ms: Option<u64>,
    /// Time for any other call to the control plane
    #[arg(long, env = "MODELUX_LINK_TIMEOUT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_timeout_ms: Option<u64>,
    /// How long a request waits for money that other workers give back
    #[arg(long, env = "MODELUX_LEASE_WAIT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_wait_ms: Option<u64>,
    /// An account without traffic for this long gives its lease back
    #[arg(long, env = "MODELUX_LEASE_IDLE_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_idle_ms: Option<u64>,
    /// Bundles not confirmed for this long make readiness say `stale`
    #[arg(long, env = "MODELUX_POLICY_AGE_LIMIT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_age_limit_ms: Option<u64>,
    /// Size of a spool segment
    #[arg(long, env = "MODELUX_SPOOL_SEGMENT_BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_segment_bytes: Option<u64>,
    /// Size of the spool at which new requests are refused
    #[arg(long, env = "MODELUX_SPOOL_LIMIT_BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_limit_bytes: Option<u64>,
    /// Events in a batch at most
    #[arg(long, env = "MODELUX_SPOOL_BATCH_EVENTS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_batch_events: Option<usize>,
    /// How long a batch gathers
    #[arg(long, env = "MODELUX_SPOOL_BATCH_WAIT_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_batch_wait_ms: Option<u64>,
    /// How long written events may stay unsynced
    #[arg(long, env = "MODELUX_SPOOL_SYNC_MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_sync_ms: Option<u64>,
}

impl WorkerOptions {
    /// Reads the file, if one is named, and puts everything together.
    ///
    /// # Errors
    /// When the file can't be read or holds an unknown key, when something is missing or out of range.
    pub fn into_config(self) -> Result<WorkerConfig, ConfigError> {
        let Some(path) = self.config.clone() else { return self.check() };
        match std::fs::read_to_string(&path) {
            Ok(file) => self.over(&file).map_err(|source| ConfigError::Unusable { path, source })?.check(),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    /// Flags and variables over the keys of `file`.
    fn over(self, file: &str) -> Result<Self, BadKey> {
        WrittenOptions::read(file)?.without(|_, key| CONTROL_PLANE_KEYS.contains(&key)).under(&self)
    }

    /// From what was written to what is used.
    fn check(self) -> Result<WorkerConfig, ConfigError> {
        let control_url = self.control_url.ok_or(ConfigError::Missing("control-url"))?;
        if !matches!(control_url.scheme(), "http" | "https") || control_url.cannot_be_a_base() {
            return Err(ConfigError::OutOfRange { option: "control_url", must: "an http or https address" });
        }
        let worker_token = self.worker_token.filter(|token| !token.is_empty()).ok_or(ConfigError::Missing("worker-token"))?;
        let proxy_listen = self.proxy_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let data_dir = self.data_dir.unwrap_or_else(|| PathBuf::from("modelux-worker-data"));
        let mut config = WorkerConfig::new(control_url, SecretString::from(worker_token), proxy_listen, data_dir);
        config.admin_listen = self.admin_listen;
        config.proxy_tls = match (self.proxy_tls_certificate, self.proxy_tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::Missing("proxy-tls-key")),
            (None, Some(_)) => return Err(ConfigError::Missing("proxy-tls-certificate")),
        };
        let redis_url = self.redis_url.filter(|url| !url.is_empty());
        config.redis_url = redis_url.map(|url| url.parse()).transpose().map_err(ConfigError::Redis)?;
        config.otlp_endpoint = self.otlp_endpoint;
        config.log_format = self.log_format.unwrap_or_default();
        config.log_filter = self.log_filter;
        config.name = self.name;

        let limits = &mut config.limits;
        set(&mut limits.threads, self.threads);
        set(&mut limits.upstream_pool_size, self.upstream_pool_size);
        set(&mut limits.header_bytes, self.header_limit_bytes);
        set(&mut limits.body_bytes, self.body_limit_bytes);
        set_ms(&mut limits.header_timeout, self.header_timeout_ms);
        set_ms(&mut limits.body_timeout, self.body_timeout_ms);
        set_ms(&mut limits.keep_alive, self.keep_alive_ms);
        set_ms(&mut limits.connect_timeout, self.connect_timeout_ms);
        set_ms(&mut limits.attempt_timeout, self.attempt_timeout_ms);
        set_ms(&mut limits.idle_timeout, self.idle_timeout_ms);
        set_ms(&mut limits.stream_keep_alive, self.stream_keep_alive_ms);
        set_ms(&mut limits.exchange_limit, self.exchange_limit_ms);
        set_ms(&mut limits.drain_limit, self.drain_limit_ms);

        set(&mut config.cache.memory_bytes, self.cache_bytes);
        set(&mut config.cache.entry_bytes, self.cache_entry_bytes);

        let link = &mut config.link;
        set_ms(&mut link.heartbeat_interval, self.heartbeat_interval_ms);
        set_ms(&mut link.feed_wait, self.feed_wait_ms);
        set_ms(&mut link.call_timeout, self.link_timeout_ms);
        set_ms(&mut link.lease_wait, self.lease_wait_ms);
        set_ms(&mut link.idle_after, self.lease_idle_ms);
        set_ms(&mut link.policy_age_limit, self.policy_age_limit_ms);

        let spool = &mut config.spool;
        set(&mut spool.segment_bytes, self.spool_segment_bytes);
        set(&mut spool.limit_bytes, self.spool_limit_bytes);
        set(&mut spool.batch_events, self.spool_batch_events);
        set_ms(&mut spool.batch_wait, self.spool_batch_wait_ms);
        set_ms(&mut spool.sync_interval, self.spool_sync_ms);
        check_ranges(config)
    }
}

fn check_ranges(config: WorkerConfig) -> Result<WorkerConfig, ConfigError> {
    let rules: [(bool, &'static str, &'static str); 8] = [
        (config.limits.threads >= 1, "threads", "at least 1"),
        (config.limits.body_bytes >= 1024, "body_limit_bytes", "at least 1024"),
        (config.limits.stream_keep_alive >= Duration::from_millis(50), "stream_keep_alive_ms", "at least 50"),
        ((1..=16 << 20).contains(&config.cache.entry_bytes), "cache_entry_bytes", "1 to 16777216"),
        (config.spool.segment_bytes >= 64 << 10, "spool_segment_bytes", "at least 65536"),
        (config.spool.limit_bytes / 4 >= config.spool.segment_bytes, "spool_limit_bytes", "at least four segments"),
        (config.spool.batch_events >= 1, "spool_batch_events", "at least 1"),
        (config.link.heartbeat_interval >= Duration::from_millis(50), "heartbeat_interval_ms", "at least 50"),
    ];
    match rules.into_iter().find(|(holds, ..)| !holds) {
        Some((_, option, must)) => Err(ConfigError::OutOfRange { option, must }),
        None => Ok(config),
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn set_ms(slot: &mut Duration, value: Option<u64>) {
    set(slot, value.map(Duration::from_millis));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required() -> WorkerOptions {
        WorkerOptions {
            control_url: Some("http://127.0.0.1:5100".parse().unwrap()),
            worker_token: Some("mlx_wk_secret".to_owned()),
            ..WorkerOptions::default()
        }
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let flags = WorkerOptions { body_limit_bytes: Some(4096), ..required() };
        let config = flags.over("body_limit_bytes = 9999\nthreads = 3\n").unwrap().check().unwrap();
        assert_eq!(config.limits.body_bytes, 4096);
        assert_eq!(config.limits.threads, 3);
        assert_eq!(config.spool.batch_events, 500);
    }

    #[test]
    fn a_file_that_can_not_be_used_is_named_with_the_line_of_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("modelux.toml");
        std::fs::write(&path, "drain_limit_ms = 5\nbody_limit = \"x\"\n").unwrap();
        let options = WorkerOptions { config: Some(path.clone()), ..required() };
        let error = options.into_config().unwrap_err();
        assert_eq!(error.to_string(), format!("config file `{}` can't be used", path.display()));
        let ConfigError::Unusable { source, .. } = error else { panic!("{error}") };
        assert!(source.to_string().starts_with("line 2: `body_limit`: unknown field"), "{source}");
    }

    #[test]
    fn keys_of_the_control_plane_in_a_shared_file_are_skipped() {
        assert!(required().over("database_url = \"sqlite://x\"\napi_listen = \"127.0.0.1:0\"\n").is_ok());
    }

    #[test]
    fn missing_and_senseless_values_are_refused_by_name() {
        assert!(matches!(WorkerOptions::default().check(), Err(ConfigError::Missing("control-url"))));
        let half = WorkerOptions { proxy_tls_certificate: Some("chain.pem".into()), ..required() };
        assert!(matches!(half.check(), Err(ConfigError::Missing("proxy-tls-key"))));
        let tiny = WorkerOptions { spool_limit_bytes: Some(1), ..required() };
        assert!(matches!(tiny.check(), Err(ConfigError::OutOfRange { option: "spool_limit_bytes", .. })));
        let elsewhere = WorkerOptions { redis_url: Some("http://h".to_owned()), ..required() };
        assert_eq!(elsewhere.check().unwrap_err().to_string(), "`redis_url` can't be used");
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = WorkerOptions { redis_url: Some("redis://:hunter2@h".to_owned()), ..required() }.check().unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("mlx_wk_secret") && !printed.contains("hunter2"), "{printed}");
    }
}
