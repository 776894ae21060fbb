//! Puts together everything that lives on the link, and starts it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::enrolment::Enrolment;
use super::heartbeat::{HealthTeller, Pulse};
use super::{Control, ControlPlane, LinkError};
use crate::budget::Budgets;
use crate::config::WorkerConfig;
use crate::health::Health;
use crate::policy_feed::Policies;
use crate::spool::{Spool, SpoolError};

/// Why a worker can't be attached to its control plane. That the control plane is away is no reason.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The data directory is not usable.
    #[error("data directory `{path}` is not usable")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The spool is not usable.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// No client can be made.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// What a request needs of the control plane, kept up to date by tasks of its own.
#[derive(Clone)]
pub struct Attached {
    /// What is allowed.
    pub policies: Arc<Policies>,
    /// What may be spent.
    pub budgets: Arc<Budgets>,
    /// Where usage is written.
    pub spool: Arc<Spool>,
    /// Who this worker is.
    pub enrolment: Arc<Enrolment>,
    /// Requests in flight, counted by whoever serves them; told to the control plane.
    pub in_flight: Arc<AtomicU64>,
    /// What upstreams are like, as whoever calls them finds; told to the control plane.
    pub health: Arc<Health>,
}

/// Opens what the data directory holds, and starts the tasks that follow the control plane, on the runtime of the caller.
///
/// Bundles of an earlier start are in force when this returns. The tasks end after `stop`: first what was written is shipped, then leases
/// are given back; cancel it when no request is running any more, and wait for `tasks`.
///
/// # Errors
/// When the data directory or the configuration is not usable.
pub fn attach(config: &WorkerConfig, tasks: &TaskTracker, stop: &CancellationToken) -> Result<Attached, AttachError> {
    let link = Control::new(&config.control_url, config.worker_token.clone(), config.link.call_timeout)?;
    attach_to(Arc::new(link), config, tasks, stop)
}

/// As [`attach`], to a control plane that is reached in another way.
///
/// # Errors
/// As [`attach`].
pub fn attach_to(
    link: Arc<dyn ControlPlane>,
    config: &WorkerConfig,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Attached, AttachError> {
    let unusable = |source| AttachError::DataDir { path: config.data_dir.clone(), source };
    make_private_dir(&config.data_dir).map_err(unusable)?;
    // First, because its lock is what says that this directory is ours.
    let spool = Spool::start(&config.data_dir.join("spool"), config.spool.clone())?;
    let enrolment = Enrolment::load(&config.data_dir, config.worker_token.clone());
    let budgets = Budgets::new(Arc::clone(&link), Arc::clone(&enrolment), config.link.clone());
    let policies =
        Policies::load(&config.data_dir, Arc::clone(&link), Arc::clone(&enrolment), Arc::clone(&budgets), config).map_err(unusable)?;
    let (in_flight, health) = (Arc::new(AtomicU64::new(0)), Arc::new(Health::new()));
    let pulse = Pulse {
        link: Arc::clone(&link),
        enrolment: Arc::clone(&enrolment),
        policies: Arc::clone(&policies),
        budgets: Arc::clone(&budgets),
        spool: Arc::clone(&spool),
        in_flight: Arc::clone(&in_flight),
        health: HealthTeller::new(Arc::clone(&health)),
        interval: config.link.heartbeat_interval,
        name: config.name.clone().unwrap_or_else(|| config.proxy_listen.to_string()),
    };
    tasks.spawn(Arc::clone(&policies).follow(stop.clone()));
    tasks.spawn(Arc::clone(&budgets).serve(stop.clone()));
    let shipping = Arc::clone(&spool).run(link, stop.clone());
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::join!(shipping, pulse.run(&stop));
        pulse.leave().await;
    });
    Ok(Attached { policies, budgets, spool, enrolment, in_flight, health })
}

/// Only the worker's own user may read bundles and events.
fn make_private_dir(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
