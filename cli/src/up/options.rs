//! Options of `modelux up`: a few of its own, and by variable or file every option of either plane.
//!
//! Promises: flags win over variables, variables over the file, the file over the defaults; unknown keys are errors. Everything lives in
//! the data directory: a database or a Redis that is configured for a fleet is deliberately not used.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use api::config::{ApiOptions, Config};
use clap::Args;
use clap::builder::BoolishValueParser;
use url::Url;
use worker::config::{WorkerConfig, WorkerOptions};

use crate::config;

/// What `up` logs unless told otherwise: only what somebody should know.
const LOG_FILTER: &str = "warn";

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UpArguments {
    /// Directory for everything that outlives a restart [default: ./modelux-data]
    #[arg(long, env = "MODELUX_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the control plane listens; port 0 takes a free one [default: 127.0.0.1:5100]
    #[arg(long, env = "MODELUX_API_LISTEN")]
    api_listen: Option<SocketAddr>,
    /// Where callers connect; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "MODELUX_PROXY_LISTEN")]
    proxy_listen: Option<SocketAddr>,
    /// Leave the demo project and its simulated provider out
    #[arg(long, env = "MODELUX_NO_DEMO", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    no_demo: Option<bool>,
    /// What is logged to stderr, such as `info` or `warn,worker=debug` [default: warn]
    #[arg(long, env = "MODELUX_LOG_FILTER")]
    log_filter: Option<String>,
    /// Where traces and metrics of both planes go, OTLP over HTTP
    #[arg(long, env = "MODELUX_OTLP_ENDPOINT")]
    otlp_endpoint: Option<Url>,
    /// TOML file with the options of both planes as keys
    #[arg(long, env = "MODELUX_CONFIG")]
    config: Option<PathBuf>,
}

/// What `up` runs with.
pub(crate) struct UpOptions {
    /// The control plane.
    pub(super) api: Config,
    /// The worker, but for the address of its control plane and its token, which are known when that runs.
    worker: WorkerOptions,
}

impl UpOptions {
    /// Flags over variables over the keys of the file.
    pub(crate) fn find(arguments: &UpArguments) -> anyhow::Result<Self> {
        Self::over(arguments.clone(), from_environment()?, from_environment()?)
    }

    fn over(arguments: UpArguments, api: ApiOptions, worker: WorkerOptions) -> anyhow::Result<Self> {
        let UpArguments { data_dir, api_listen, proxy_listen, no_demo, log_filter, otlp_endpoint, config } = arguments;
        let proxy_listen = proxy_listen.or(worker.proxy_listen);
        let worker = WorkerOptions { otlp_endpoint: otlp_endpoint.clone().or(worker.otlp_endpoint), ..worker };
        let otlp_endpoint = otlp_endpoint.map(String::from).or(api.otlp_endpoint);
        let config_file = config.clone();
        let api = ApiOptions {
            data_dir,
            api_listen,
            no_demo,
            log_filter,
            otlp_endpoint,
            config: config_file,
            database_url: None,
            redis_url: None,
            ..api
        };
        let says_what_to_log = api.log_filter.is_some() || config::file_has(config.as_deref(), "log_filter")?;
        let mut api = api.into_config().context("options of the control plane")?;
        if !says_what_to_log {
            LOG_FILTER.clone_into(&mut api.telemetry.log_filter);
        }
        // Whatever the file says of a fleet's database and Redis.
        api.database = Config::in_directory(api.data_dir.clone()).database;
        api.redis_url = None;
        let data_dir = Some(api.data_dir.join("worker"));
        Ok(Self { worker: WorkerOptions { data_dir, proxy_listen, config, redis_url: None, ..worker }, api })
    }

    /// The worker, now that there is a control plane for it.
    pub(super) fn worker(&self, control_url: Url, token: &str) -> anyhow::Result<WorkerConfig> {
        let options = WorkerOptions { control_url: Some(control_url), worker_token: Some(token.to_owned()), ..self.worker.clone() };
        let mut config = options.into_config().context("options of the worker")?;
        config.redis_url = None;
        Ok(config)
    }
}

/// The options of a plane as its variables have them, without any flag.
fn from_environment<O: Args>() -> anyhow::Result<O> {
    let matches = O::augment_args(clap::Command::new("modelux up")).try_get_matches_from(["modelux up"])?;
    Ok(O::from_arg_matches(&matches)?)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::DATA_DIR;

    fn options(arguments: UpArguments, file: &str) -> UpOptions {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("modelux.toml");
        std::fs::write(&path, file).unwrap();
        UpOptions::over(UpArguments { config: Some(path), ..arguments }, ApiOptions::default(), WorkerOptions::default()).unwrap()
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let arguments = UpArguments { no_demo: Some(false), ..UpArguments::default() };
        let options = options(arguments, "no_demo = true\napi_listen = \"127.0.0.1:0\"\n");
        assert!(options.api.demo);
        assert_eq!(options.api.http.listen.port(), 0);
        assert_eq!(options.api.data_dir, PathBuf::from(DATA_DIR));
        assert_eq!(options.api.telemetry.log_filter, LOG_FILTER);
    }

    #[test]
    fn a_database_and_a_redis_of_a_fleet_are_not_used() {
        let options = options(UpArguments::default(), "database_url = \"postgres://h/d\"\nredis_url = \"redis://h\"\n");
        assert!(options.api.database.url.expose_secret().starts_with("sqlite://"));
        assert!(options.api.redis_url.is_none());
    }
}
