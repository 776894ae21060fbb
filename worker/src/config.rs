//! What this process is started with: the one place of the crate that sees the environment.
//!
//! Every option is a flag, an environment variable (`MODELUX_` and the flag in upper snake case) and a key of the TOML file given with
//! `--config`; the flag wins over the variable, the variable over the file, the file over the default. Unknown keys are errors. One
//! file can serve both planes: keys that only the control plane has are skipped here.
//!
//! Promises: secrets can't be printed; times are milliseconds and sizes bytes, as their names say.
//!
//! Leaves out: everything an operator changes while the worker runs. That is policy and comes in bundles.

mod options;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use policy::redis::RedisAddress;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

pub use options::{ConfigError, WorkerOptions};

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

/// One worker.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Control plane, as `http://host:port`.
    pub control_url: Url,
    /// `mlx_wk_…`
    pub worker_token: SecretString,
    /// Where callers connect; port 0 takes a free one.
    pub proxy_listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are served beside the proxy's listener; absent: only there.
    pub admin_listen: Option<SocketAddr>,
    /// What callers of the proxy are shown; absent: they speak plain HTTP.
    pub proxy_tls: Option<TlsFiles>,
    /// What outlives a restart: identity, last good bundles, spool.
    pub data_dir: PathBuf,
    /// Where bundles are announced and kept.
    pub redis_url: Option<RedisAddress>,
    /// Where traces and metrics go, OTLP over HTTP.
    pub otlp_endpoint: Option<Url>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written, in the form of `tracing`'s filters; absent: `info`.
    pub log_filter: Option<String>,
    /// Name for people; absent: the listener's address.
    pub name: Option<String>,
    /// What a request may take.
    pub limits: Limits,
    /// What the response cache may keep.
    pub cache: CacheLimits,
    /// How the link to the control plane behaves.
    pub link: LinkTimes,
    /// Where usage events wait.
    pub spool: SpoolConfig,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What one request, and all together, may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads that serve requests. Default: one a core.
    pub threads: usize,
    /// Idle connections kept to upstreams. Default 512.
    pub upstream_pool_size: usize,
    /// Request head, bytes. Default 64 KiB.
    pub header_bytes: usize,
    /// Request body, bytes. Default 32 MiB.
    pub body_bytes: usize,
    /// Time for the request head, from its first byte. Default 10 s.
    pub header_timeout: Duration,
    /// Time between two pieces of the request body. Default 30 s.
    pub body_timeout: Duration,
    /// Time a connection may be idle between requests. Default 75 s.
    pub keep_alive: Duration,
    /// Time to connect to an upstream. Default 5 s.
    pub connect_timeout: Duration,
    /// Time until an upstream's response head, where the policy says nothing. Default 120 s.
    pub attempt_timeout: Duration,
    /// Time between two pieces of a response. Default 120 s.
    pub idle_timeout: Duration,
    /// A stream without anything to send is kept alive this often, also before its provider has answered. Default 8 s.
    pub stream_keep_alive: Duration,
    /// Time for an exchange from first to last byte. Default 600 s; the control plane's own limit bounds it on enrolment.
    pub exchange_limit: Duration,
    /// Time that running exchanges get on shutdown. Default 30 s.
    pub drain_limit: Duration,
}

/// What the response cache may keep. Whether anything is kept, and for how long, is policy.
#[derive(Debug, Clone)]
pub struct CacheLimits {
    /// All answers in memory, bytes. Default 64 MiB; 0 keeps none there.
    pub memory_bytes: u64,
    /// One answer, bytes. Default 1 MiB.
    pub entry_bytes: usize,
}

/// How the link to the control plane behaves.
#[derive(Debug, Clone)]
pub struct LinkTimes {
    /// Between two heartbeats. Default 1 s.
    pub heartbeat_interval: Duration,
    /// How long the control plane may hold back the answer to a feed query. Default 25 s.
    pub feed_wait: Duration,
    /// Time for any other call. Default 2 s.
    pub call_timeout: Duration,
    /// How long a request waits for money that other workers give back. Default 2.5 s.
    pub lease_wait: Duration,
    /// An account without traffic for this long gives its lease back. Default 30 s.
    pub idle_after: Duration,
    /// Bundles not confirmed for this long make readiness say `stale`. Default 1 h.
    pub policy_age_limit: Duration,
}

/// Where usage events wait until they are booked.
#[derive(Debug, Clone)]
pub struct SpoolConfig {
    /// Size of a segment file; two of them are in memory. Default 4 MiB.
    pub segment_bytes: u64,
    /// Size of all segments at which new requests are refused rather than unlogged. Default 1 GiB.
    pub limit_bytes: u64,
    /// Events in a batch at most. Default 500.
    pub batch_events: usize,
    /// How long a batch gathers. Default 50 ms.
    pub batch_wait: Duration,
    /// How long written events may be in memory only, as far as a crash of the host goes. Default 500 ms.
    pub sync_interval: Duration,
}

impl WorkerConfig {
    /// The four things without a default, and the default of everything else. For tests, and for a worker inside another program.
    #[must_use]
    pub fn new(control_url: Url, worker_token: SecretString, proxy_listen: SocketAddr, data_dir: PathBuf) -> Self {
        Self {
            control_url,
            worker_token,
            proxy_listen,
            admin_listen: None,
            proxy_tls: None,
            data_dir,
            redis_url: None,
            otlp_endpoint: None,
            log_format: LogFormat::default(),
            log_filter: None,
            name: None,
            limits: Limits::default(),
            cache: CacheLimits::default(),
            link: LinkTimes::default(),
            spool: SpoolConfig::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            upstream_pool_size: 512,
            header_bytes: 64 << 10,
            body_bytes: 32 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(120),
            stream_keep_alive: Duration::from_secs(8),
            exchange_limit: Duration::from_secs(600),
            drain_limit: Duration::from_secs(30),
        }
    }
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, entry_bytes: 1 << 20 }
    }
}

impl Default for LinkTimes {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(1),
            feed_wait: Duration::from_secs(25),
            call_timeout: Duration::from_secs(2),
            lease_wait: Duration::from_millis(2_500),
            idle_after: Duration::from_secs(30),
            policy_age_limit: Duration::from_secs(3_600),
        }
    }
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 4 << 20,
            limit_bytes: 1 << 30,
            batch_events: 500,
            batch_wait: Duration::from_millis(50),
            sync_interval: Duration::from_millis(500),
        }
    }
}
