//! A worker in a process of its own, its data directory kept over restarts.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::caller::Chat;
use crate::http::{Reply, Request};
use crate::process::Process;
use crate::program::{address_in, command};
use crate::scratch::Scratch;

/// From nothing to ready, in a debug build on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(40);

/// How a worker is started.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// `http://host:port` of the control plane.
    pub control_url: String,
    /// `mlx_wk_…`
    pub token: String,
    /// Where bundles are announced.
    pub redis_url: Option<String>,
    /// More variables.
    pub environment: Vec<(String, String)>,
}

impl WorkerOptions {
    /// Adds a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }
}

/// Runs until dropped.
#[derive(Debug)]
pub struct TestWorker {
    address: SocketAddr,
    process: Process,
    options: WorkerOptions,
    directory: Scratch,
}

impl TestWorker {
    /// Starts one with an empty data directory and waits until it is ready.
    pub async fn start(options: WorkerOptions) -> Self {
        let mut worker = Self::launch(options);
        worker.wait_until_ready().await;
        worker
    }

    /// Starts one and does not wait.
    pub fn launch(options: WorkerOptions) -> Self {
        let directory = Scratch::new("worker");
        let process = Process::start("modelux-worker", directory.path(), serve(None, &directory, &options));
        Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), process, options, directory }
    }

    /// Waits until it says that it is ready.
    pub async fn wait_until_ready(&mut self) {
        self.address = self.process.printed("its address", START_LIMIT, |text| address_in(text, |line| line.contains("ready"))).await;
    }

    /// Where callers connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub fn directory(&self) -> &Scratch {
        &self.directory
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, to be waited for.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same data, at the same address, and waits until it is ready.
    pub async fn restart(&mut self) {
        if self.process.ended().is_none() {
            self.process.kill();
        }
        self.process = Process::start("modelux-worker", self.directory.path(), serve(Some(self.address), &self.directory, &self.options));
        self.wait_until_ready().await;
    }

    /// A chat completion with `key`.
    pub fn chat(&self, key: &str, model: &str) -> Chat {
        Chat::new(self.address, key, model)
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Reply {
        Request::new("GET", path).send(self.address).await
    }
}

fn serve(address: Option<SocketAddr>, directory: &Scratch, options: &WorkerOptions) -> Command {
    let mut serve = command("modelux-worker");
    let listen = address.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
    serve.args(["serve", "--control-url", &options.control_url, "--proxy-listen", &listen, "--data-dir"]).arg(directory.path());
    serve.env("MODELUX_WORKER_TOKEN", &options.token).env("MODELUX_THREADS", "2").env("MODELUX_LOG_FORMAT", "text");
    if let Some(url) = &options.redis_url {
        serve.env("MODELUX_REDIS_URL", url);
    }
    serve.envs(options.environment.iter().map(|(name, value)| (name, value)));
    serve
}
