//! Starting, running and stopping one worker: the only place that knows Pingora's server.
//!
//! [`run`] blocks its thread until the worker has stopped, so that it can be the main thread of a process of its own or one thread of
//! another program. Signals are the caller's business: it hands in a token.
//!
//! Stopping: readiness says no and nothing new is accepted; exchanges in progress get [`Limits::drain_limit`]; then money is given back and
//! events are shipped. Pingora waits out its grace period in full, busy or idle, and cuts what is left; so its thread is left to itself
//! once nothing is in flight.
//!
//! [`Limits::drain_limit`]: crate::config::Limits::drain_limit

mod certificate;
mod door;
mod listen;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig, TcpSocketOptions};
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora_core::services::listening::Service;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::Cache;
use crate::clock;
use crate::config::WorkerConfig;
use crate::exchange::{Context, Parts};
use crate::gateway::Gateway;
use crate::health::Checker;
use crate::link::{AttachError, Attached, attach};
use crate::policy_feed::Freshness;
use crate::telemetry::{Exporting, Metrics, Otlp, OtlpError};
use crate::upstream::token::Keeper;
use certificate::Certificate;
pub use certificate::CertificateError;
use door::Door;
use listen::Claimed;

/// Where a worker listens once it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Where callers connect.
    pub proxy: SocketAddr,
    /// Whether they have to speak TLS.
    pub tls: bool,
    /// Health and metrics, where they have a listener of their own.
    pub admin: Option<SocketAddr>,
}

/// Why a worker can't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No runtime or thread.
    #[error("worker can't start its threads")]
    Threads(#[source] std::io::Error),
    /// The address is taken or not ours.
    #[error("worker can't listen on `{address}`")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// What callers would be shown.
    #[error("worker can't speak TLS")]
    Certificate(#[from] CertificateError),
    /// No acceptor.
    #[error("worker can't speak TLS")]
    Tls(#[source] Box<pingora_core::Error>),
    /// The spool, the identity or the first enrolment.
    #[error("worker can't be attached to its control plane")]
    Attach(#[from] AttachError),
    /// No exporter of spans and metrics.
    #[error("telemetry can't be exported")]
    Telemetry(#[from] OtlpError),
    /// Two metrics of one name.
    #[error("metrics can't be registered")]
    Metrics(#[from] prometheus::Error),
}

/// Small reads go straight to where they are parsed; a head and a small body that follows it leave in one write. Every connection
/// has this buffer for as long as it is open, so it is no larger than that.
const BUFFERS: (usize, usize) = (0, 4 << 10);
/// How long events may take to be shipped and money to be given back on shutdown.
const DETACH_TIME: Duration = Duration::from_secs(10);
/// How long the last spans and metrics may take.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// How long the listeners may take to accept.
const ACCEPT_TIME: Duration = Duration::from_secs(5);

/// Runs a worker until `stop` is cancelled and everything in progress has ended.
///
/// `ready` gets the addresses as soon as connections are accepted.
///
/// # Errors
/// When it can't start.
pub fn run(config: WorkerConfig, stop: CancellationToken, ready: oneshot::Sender<Bound>) -> Result<(), RunError> {
    run_on(attach, config, stop, ready)
}

/// As [`run`], on a link that is reached in another way.
///
/// # Errors
/// As [`run`].
pub fn run_on(
    attach: impl FnOnce(&WorkerConfig, &TaskTracker, &CancellationToken) -> Result<Attached, AttachError>,
    mut config: WorkerConfig,
    stop: CancellationToken,
    ready: oneshot::Sender<Bound>,
) -> Result<(), RunError> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("another part of the process has installed its TLS provider");
    }
    let certificate = config.proxy_tls.as_ref().map(Certificate::read).transpose()?.map(Arc::new);
    let proxy = Claimed::claim(config.proxy_listen)?;
    let admin = config.admin_listen.map(Claimed::claim).transpose()?;
    let bound = Bound { proxy: proxy.address(), tls: certificate.is_some(), admin: admin.as_ref().map(Claimed::address) };
    config.proxy_listen = bound.proxy;
    let control = control_runtime()?;
    let (tasks, detach) = (TaskTracker::new(), CancellationToken::new());
    let attached = {
        let _entered = control.enter();
        attach(&config, &tasks, &detach)?
    };
    let (context, exporting) = context(&config, &attached)?;
    let context = Arc::new(context);
    let exported = start_exporting(exporting, &context)?;
    let listening = CancellationToken::new();
    start_pingora(&config, &context, (bound, certificate.clone()), listening.clone())?;
    start_chores(&context, certificate, (&tasks, control.handle()), &detach);
    control.block_on(async {
        listen::wait_until_accepting(bound, ACCEPT_TIME).await?;
        // The port was held until Pingora had it.
        drop((proxy, admin));
        tokio::select! {
            () = stop.cancelled() => {}
            () = wait_for_policy(&context) => {
                if ready.send(bound).is_err() {
                    tracing::debug!("nobody waits for this worker to be ready");
                }
                stop.cancelled().await;
            }
        }
        drain(&context, &listening).await;
        detach.cancel();
        tasks.close();
        if tokio::time::timeout(DETACH_TIME, tasks.wait()).await.is_err() {
            tracing::warn!("events are left in the spool; the next start ships them");
        }
        flush(&context, exported).await;
        Ok(())
    })
}

/// What goes on beside the requests, until `detach`.
fn start_chores(
    context: &Arc<Context>,
    certificate: Option<Arc<Certificate>>,
    (tasks, on): (&TaskTracker, &Handle),
    detach: &CancellationToken,
) {
    tasks.spawn_on(Keeper::new(Arc::clone(context), tasks.clone()).run(detach.clone()), on);
    tasks.spawn_on(Checker::new(Arc::clone(context), tasks.clone()).run(detach.clone()), on);
    if let Some(certificate) = certificate {
        tasks.spawn_on(certificate.follow(detach.clone()), on);
    }
    let (sharing, stop) = (Arc::clone(context), detach.clone());
    tasks.spawn_on(async move { sharing.cache.share(stop).await }, on);
    let (sweeping, stop) = (Arc::clone(context), detach.clone());
    tasks.spawn_on(async move { sweeping.connections.sweep(stop).await }, on);
}

fn control_runtime() -> Result<Runtime, RunError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("modelux-control").enable_all().build().map_err(RunError::Threads)
}

fn context(config: &WorkerConfig, attached: &Attached) -> Result<(Context, Option<Exporting>), RunError> {
    let metrics = Arc::new(Metrics::new()?);
    let (otlp, exporting) = Otlp::open(config, &metrics)?.unzip();
    let cache = Cache::new(&config.cache, config.redis_url.as_ref(), &attached.enrolment, &metrics)?;
    let context = Context::new(Parts {
        policies: Arc::clone(&attached.policies),
        budgets: Arc::clone(&attached.budgets),
        spool: Arc::clone(&attached.spool),
        enrolment: Arc::clone(&attached.enrolment),
        in_flight: Arc::clone(&attached.in_flight),
        health: Arc::clone(&attached.health),
        metrics,
        cache,
        limits: config.limits.clone(),
        otlp,
    });
    Ok((context, exporting))
}

/// Exports from here on, where somebody collects. The thread does not keep the context alive.
fn start_exporting(exporting: Option<Exporting>, context: &Arc<Context>) -> Result<Option<oneshot::Receiver<()>>, RunError> {
    let Some(exporting) = exporting else { return Ok(None) };
    let context = Arc::downgrade(context);
    let look_around = move || {
        if let Some(context) = context.upgrade() {
            context.look_around();
        }
    };
    exporting.start(look_around).map(Some).map_err(RunError::Threads)
}

/// The last spans and metrics leave, if somebody takes them in time.
async fn flush(context: &Context, exported: Option<oneshot::Receiver<()>>) {
    let (Some(otlp), Some(exported)) = (&context.otlp, exported) else { return };
    otlp.stop();
    if tokio::time::timeout(FLUSH_TIME, exported).await.is_err() {
        tracing::warn!("the last spans and metrics could not be exported in time");
    }
}

/// Starts Pingora on a thread of its own.
fn start_pingora(
    config: &WorkerConfig,
    context: &Arc<Context>,
    (bound, certificate): (Bound, Option<Arc<Certificate>>),
    stop: CancellationToken,
) -> Result<(), RunError> {
    let threads = config.limits.threads.max(1);
    let in_data_dir = |name: &str| config.data_dir.join(name).to_string_lossy().into_owned();
    let conf = ServerConf {
        threads,
        work_stealing: threads > 1,
        grace_period_seconds: Some(config.limits.drain_limit.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        upgrade_sock: in_data_dir("upgrade.sock"),
        pid_file: in_data_dir("worker.pid"),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let patience = config.limits.header_timeout;
    let door = |operations_only| Door::to(|preface| Gateway::new(context, operations_only, preface), patience);
    server.add_service(service("gateway", door(false), (bound.proxy, certificate), threads)?);
    if let Some(address) = bound.admin {
        server.add_service(service("admin", door(true), (address, None), 1)?);
    }
    let thread = std::thread::Builder::new().name("modelux-worker".to_owned());
    let run = move || server.run(RunArgs { shutdown_signal: Box::new(StopSignal(stop)) });
    thread.spawn(run).map(drop).map_err(RunError::Threads)
}

fn service(
    name: &str,
    door: Door,
    (address, certificate): (SocketAddr, Option<Arc<Certificate>>),
    threads: usize,
) -> Result<Service<Door>, RunError> {
    let mut service = Service::new(name.to_owned(), door);
    service.threads = Some(threads);
    let mut options = TcpSocketOptions::default();
    options.so_reuseport = Some(true);
    let (read, write) = BUFFERS;
    let mut listener = ListenerConfig::tcp(address.to_string()).tcp_socket_options(options).l4_buffer(L4BufferSettings::new(read, write));
    if let Some(certificate) = certificate {
        // No files: what is shown comes from the resolver.
        let mut settings = TlsSettings::intermediate("", "").map_err(RunError::Tls)?;
        settings.set_cert_resolver(certificate);
        settings.enable_h2();
        listener = listener.tls(settings);
    }
    service.endpoints().add_listener(listener);
    Ok(service)
}

/// Ready is who can serve: a worker without any policy can't.
async fn wait_for_policy(context: &Context) {
    while context.policies.freshness() == Freshness::Missing {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Stops accepting and waits for what is in progress.
async fn drain(context: &Context, listening: &CancellationToken) {
    context.drain();
    listening.cancel();
    let deadline = clock::instant() + context.limits.drain_limit;
    while context.metrics.in_flight() > 0 && clock::instant() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let left = context.metrics.in_flight();
    if left > 0 {
        tracing::warn!(exchanges = left, "exchanges were still in progress at the end of the drain limit");
    }
}

/// Tells Pingora to stop accepting. No signal handler is installed here.
struct StopSignal(CancellationToken);

#[async_trait]
impl ShutdownSignalWatch for StopSignal {
    async fn recv(&self) -> ShutdownSignal {
        self.0.cancelled().await;
        ShutdownSignal::GracefulTerminate
    }
}
