//! A control plane from start to end: open, bootstrap, listen, serve, drain.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;

use crate::app::publish_begun_prices;
use crate::authz::{Matrix, MatrixError};
use crate::bootstrap::{BootstrapError, Credentials};
use crate::clock::Clock;
use crate::config::{Config, SecretsConfig};
use crate::database::{Database, DatabaseError};
use crate::http::{FORGET, HttpState, RateLimits};
use crate::jobs::{self, Supervisor};
use crate::ledger::{Feed, LeaseLimits, Ledger};
use crate::link::LinkState;
use crate::publish::{AnnounceError, Announcer, Publisher};
use crate::secrets::{MasterKey, MasterKeyError, Secrets, SecretsError};
use crate::state::AppState;
use crate::telemetry::{Metrics, points};
use crate::{bootstrap, graphql, http};

/// How often prices are looked for that have begun.
const PRICES: Duration = Duration::from_secs(10);

/// Why a control plane can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory can't be made.
    #[error("can't make the data directory `{path}`")]
    Directory {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The deployment's keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The authorisation policy.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// The Redis address.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// The newest revisions can't be read.
    #[error("can't read the newest revisions")]
    Revisions(#[from] sea_orm::DbErr),
    /// Metrics.
    #[error("can't set up metrics")]
    Metrics(#[from] prometheus::Error),
    /// The address.
    #[error("can't listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A control plane with its database open and nothing running yet.
pub struct ControlPlane {
    config: Config,
    state: AppState,
    metrics: Arc<Metrics>,
    rate: Arc<RateLimits>,
    supervisor: Supervisor,
}

/// A control plane that has its address.
pub struct Listening {
    plane: ControlPlane,
    listener: TcpListener,
    address: SocketAddr,
}

impl ControlPlane {
    /// Opens the database (and brings its schema up to date) and the keys of the deployment.
    ///
    /// # Errors
    /// When any of it can't be had.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        Self::open_at(config, Clock::system()).await
    }

    /// The same with a clock of the caller's.
    ///
    /// # Errors
    /// When any of it can't be had.
    pub async fn open_at(config: Config, clock: Clock) -> Result<Self, StartError> {
        make_directory(&config.data_dir)?;
        let (master, previous) = master_keys(&config.secrets)?;
        let database = Database::connect(config.database.url.expose_secret()).await?;
        let secrets = Secrets::open(&database, &clock, master, previous).await?;
        let announcer = config.redis_url.as_ref().map(Announcer::new).transpose()?;
        let publisher = Publisher::new(database.clone(), clock.clone(), announcer).await?;
        let feed = Feed::new();
        let ledger = Ledger::new(database.clone(), clock.clone(), LeaseLimits::default(), feed.clone());
        let state = AppState {
            database,
            clock,
            secrets: Arc::new(secrets),
            publisher,
            matrix: Arc::new(Matrix::load().await?),
            ledger: Arc::new(ledger),
            feed,
        };
        let rate = Arc::new(RateLimits::new(config.http.rate));
        Ok(Self { config, state, metrics: Arc::new(Metrics::new()?), rate, supervisor: Supervisor::new() })
    }

    /// On a first start makes organization `default` with an owner, keys and, unless configured otherwise, the demo project. `keep` gets the
    /// secrets before they become valid. None on a later start.
    ///
    /// # Errors
    /// When it can't be made or its secrets can't be kept; then nothing was made.
    pub async fn bootstrap(
        &self,
        keep: impl FnOnce(&Credentials) -> std::io::Result<()> + Send,
    ) -> Result<Option<Credentials>, BootstrapError> {
        bootstrap::bootstrap(&self.state, self.config.demo, keep).await
    }

    /// What the process shares.
    #[must_use]
    pub const fn state(&self) -> &AppState {
        &self.state
    }

    /// What it was started with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Every route, for tests that need no socket. Background jobs are not running.
    pub fn router(&self) -> Router {
        let state = HttpState {
            app: self.state.clone(),
            schema: graphql::build(),
            metrics: Arc::clone(&self.metrics),
            config: Arc::new(self.config.http.clone()),
            rate: Arc::clone(&self.rate),
        };
        let AppState { database, clock, secrets, publisher, matrix: _, ledger, feed: _ } = self.state.clone();
        http::router(state, LinkState { database, clock, secrets, publisher, ledger, stopping: self.supervisor.stopping() })
    }

    /// To a collector, where one is configured.
    fn export_metrics(&self) {
        if let Some(endpoint) = self.config.telemetry.otlp_endpoint.clone() {
            let registry = self.metrics.registry().clone();
            self.supervisor.spawn("metrics", move |stop| points::export(registry.clone(), endpoint.clone(), stop));
        }
    }

    fn forget_rates(&self) {
        let rate = Arc::clone(&self.rate);
        self.supervisor.every("rates", FORGET, move || {
            rate.forget();
            std::future::ready(Ok(()))
        });
    }

    /// Takes the configured address.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn listen(self) -> Result<Listening, StartError> {
        let address = self.config.http.listen;
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Listening { plane: self, listener, address })
    }
}

impl Listening {
    /// Where.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The control plane that will be served.
    #[must_use]
    pub const fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Answers until `shutdown`, then lets what is running end.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) {
        let Self { plane, listener, address: _ } = self;
        let ControlPlane { config, state, supervisor, .. } = &plane;
        jobs::start(supervisor, &state.database, &state.clock, &state.publisher, &state.ledger);
        publish_prices_as_they_begin(supervisor, state);
        plane.export_metrics();
        plane.forget_rates();
        let stopping = supervisor.stopping();
        let told = stopping.clone();
        let stop = async move {
            shutdown.await;
            // Long-polls of workers end here, so that draining does not wait for them.
            told.cancel();
        };
        tokio::select! {
            () = http::serve(listener, plane.router(), config.http.header_timeout, stop) => {}
            // Subscriptions have no end of their own.
            () = after(stopping, config.drain_limit) => {}
        }
        if !supervisor.shutdown(config.drain_limit).await {
            tracing::warn!("background jobs did not end in time");
        }
    }
}

/// A price that was set for later is part of no bundle until it begins.
fn publish_prices_as_they_begin(supervisor: &Supervisor, state: &AppState) {
    let state = state.clone();
    supervisor.every("prices", PRICES, move || {
        let state = state.clone();
        async move { Ok(publish_begun_prices(&state).await?) }
    });
}

async fn after(stopping: tokio_util::sync::CancellationToken, limit: Duration) {
    stopping.cancelled().await;
    tokio::time::sleep(limit).await;
}

fn make_directory(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::Directory { path: path.to_owned(), source })
}

fn master_keys(config: &SecretsConfig) -> Result<(MasterKey, Vec<MasterKey>), MasterKeyError> {
    let master = match &config.master_key {
        Some(key) => MasterKey::from_base64(key.expose_secret())?,
        None => MasterKey::load_or_create(&config.master_key_file)?,
    };
    let previous = config.previous_master_keys.iter().map(|key| MasterKey::from_base64(key.expose_secret())).collect::<Result<_, _>>()?;
    Ok((master, previous))
}
