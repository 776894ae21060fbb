//! Both planes: the control plane on the runtime of this process, the worker on a thread of its own, because Pingora brings runtimes.
//!
//! Started in that order, since a worker has to enrol; stopped in the other, since a worker that stops hands in its last events.

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use api::bootstrap::reachable;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;
use worker::config::WorkerConfig;
use worker::{Bound, RunError};

use super::options::UpOptions;
use crate::config::{CREDENTIALS, Credentials};

/// A running control plane and a running worker.
pub(super) struct Planes {
    api: ControlPlane,
    worker: Worker,
}

/// The control plane, as a task.
struct ControlPlane {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinSet<()>,
}

/// The worker, as a thread that says how it ended.
struct Worker {
    address: SocketAddr,
    stop: CancellationToken,
    ended: oneshot::Receiver<Result<(), RunError>>,
}

impl Planes {
    /// Starts both. They listen when this returns, and may not be ready yet.
    pub(super) async fn start(options: &UpOptions) -> anyhow::Result<Self> {
        let mut api = ControlPlane::start(options).await?;
        let credentials = Credentials::read(&options.api.data_dir)?;
        let config = options.worker(address_url(api.address)?, &credentials.worker_token)?;
        match Worker::start(config).await {
            Ok(worker) => Ok(Self { api, worker }),
            Err(error) => {
                // What stopping finds wrong would hide why the worker did not start.
                drop(api.stop().await);
                Err(error)
            }
        }
    }

    /// Where each can be reached from this machine.
    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        [self.api.address, self.worker.address]
    }

    /// Brings the addresses in the credentials up to date.
    pub(super) fn write_credentials(&self, options: &UpOptions) -> anyhow::Result<Credentials> {
        let directory = &options.api.data_dir;
        let stored = Credentials::read(directory)?;
        let credentials =
            Credentials { api_url: address_url(self.api.address)?, proxy_url: address_url(self.worker.address)?, ..stored.clone() };
        if credentials != stored {
            credentials.write(directory)?;
        }
        Ok(credentials)
    }

    /// Returns when one of them ends by itself, with the reason.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        tokio::select! {
            ended = self.api.task.join_next() => match ended {
                Some(Err(panicked)) => anyhow::Error::new(panicked).context("the control plane has failed"),
                Some(Ok(())) | None => anyhow!("the control plane has ended"),
            },
            ended = &mut self.worker.ended => match ended {
                Ok(Err(error)) => anyhow::Error::new(error).context("the worker has ended"),
                Ok(Ok(())) => anyhow!("the worker has ended"),
                Err(_) => anyhow!("the worker has failed"),
            },
        }
    }

    /// Drains the worker, then the control plane. One that has ended already is no error here.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let worker = self.worker.stop().await;
        let api = self.api.stop().await;
        worker.and(api)
    }
}

impl ControlPlane {
    async fn start(options: &UpOptions) -> anyhow::Result<Self> {
        let listening = api::ControlPlane::open(options.api.clone()).await.context("the control plane can't start")?;
        let listening = listening.listen().await.context("the control plane can't start")?;
        let address = reachable(listening.address());
        let path = options.api.data_dir.join(CREDENTIALS);
        let keep = |first: &api::bootstrap::Credentials| first.write(&path, &format!("http://{address}"), &options.api.proxy_url);
        listening.plane().bootstrap(keep).await.context("the first organization can't be made")?;
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(listening.serve(stop.clone().cancelled_owned()));
        Ok(Self { address, stop, task })
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        match self.task.join_next().await {
            Some(ended) => ended.context("the control plane failed while it stopped"),
            None => Ok(()),
        }
    }
}

impl Worker {
    async fn start(config: WorkerConfig) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (ready, bound) = oneshot::channel::<Bound>();
        let (end, mut ended) = oneshot::channel();
        let stopping = stop.clone();
        let thread = std::thread::Builder::new().name("modelux-worker-main".to_owned());
        // Whoever waited for the end may have given up by then.
        let run = move || drop(end.send(worker::run(config, stopping, ready)));
        thread.spawn(run).context("the worker's thread can't be started")?;
        tokio::select! {
            bound = bound => match bound {
                Ok(bound) => Ok(Self { address: reachable(bound.proxy), stop, ended }),
                Err(_) => Err(Self::reason(ended.await)),
            },
            result = &mut ended => Err(Self::reason(result)),
        }
    }

    fn reason(ended: Result<Result<(), RunError>, oneshot::error::RecvError>) -> anyhow::Error {
        match ended {
            Ok(Err(error)) => anyhow::Error::new(error).context("the worker can't start"),
            Ok(Ok(())) | Err(_) => anyhow!("the worker ended before it was ready"),
        }
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        if self.ended.is_terminated() {
            return Ok(());
        }
        match (&mut self.ended).await {
            Ok(ended) => ended.context("the worker could not stop cleanly"),
            Err(_) => Err(anyhow!("the worker failed while it stopped")),
        }
    }
}

fn address_url(address: SocketAddr) -> anyhow::Result<Url> {
    Url::parse(&format!("http://{address}")).with_context(|| format!("`{address}` makes no URL"))
}
