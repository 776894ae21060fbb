//! This project, started as an operator would: control plane, manifest applied, and a worker of its own process that joins
//! it. Only the worker stands on the measured core.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::{Contestant, Name, answers, manifest, wait_until_ready};
use crate::clock;
use crate::decision::DecisionReport;
use crate::dialect::Dialect;
use crate::load::{Connection, RequestText, Shape};
use crate::process::{Placement, Process, Program, Starter, free_address};

/// Ten thousand keys in a debug-sized machine's quiet minute and in a bad one.
const START_LIMIT: Duration = Duration::from_secs(120);
const MODEL: &str = "openai/gpt-test";
/// The worker's count of events that are in the ledger, and of those that are on their way.
const BOOKED: &str = "modelux_spool{figure=\"booked\"}";
const WAITING: &str = "modelux_spool{figure=\"waiting\"}";
const SLOW_MODEL: &str = "slow/gpt-test";

/// Where the built programs are.
pub(crate) struct Programs(pub(crate) PathBuf);

impl Programs {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn are_built(&self) -> bool {
        ["modelux", "modelux-api", "modelux-worker"].iter().all(|name| self.path(name).exists())
    }
}

pub(crate) struct FleetOptions {
    pub(crate) mock: SocketAddr,
    pub(crate) slow_mock: SocketAddr,
    /// Keys besides the one that is used.
    pub(crate) idle_keys: usize,
    pub(crate) redis_url: Option<String>,
}

/// Control plane and one worker that runs.
pub(crate) struct Fleet<'a> {
    starter: &'a Starter<'a>,
    programs: &'a Programs,
    directory: PathBuf,
    redis_url: Option<String>,
    credentials: Value,
    key: String,
    worker: Option<RunningWorker>,
    _control: Process,
}

struct RunningWorker {
    process: Process,
    address: SocketAddr,
}

/// How long a worker took from its start.
pub(crate) struct ReadyTimes {
    /// Until `/readyz` said 200.
    pub(crate) ready: Duration,
    /// Until the first completion came back.
    pub(crate) first_answer: Duration,
}

/// The worker's usage events.
#[derive(Clone, Copy)]
pub(crate) struct Events {
    /// Those that the control plane has said it booked since the worker's start.
    pub(crate) booked: u64,
    /// Those in the batch that is being shipped; none when nothing is left to ship.
    pub(crate) waiting: u64,
}

impl<'a> Fleet<'a> {
    pub(crate) fn start(
        starter: &'a Starter<'a>,
        programs: &'a Programs,
        directory: &Path,
        options: &FleetOptions,
    ) -> anyhow::Result<Self> {
        let control_directory = directory.join("control");
        let address = free_address()?;
        let mut control = start_control(starter, programs, &control_directory, address, options.redis_url.as_deref())?;
        wait_until_ready(&mut control, address, "/readyz", START_LIMIT)?;
        let credentials = serde_json::from_slice(&std::fs::read(control_directory.join("credentials.json"))?)?;
        let manifest = directory.join("manifest.yaml");
        std::fs::write(&manifest, manifest::write(options.mock, options.slow_mock, options.idle_keys))?;
        let key = apply(starter, programs, &manifest, &control_directory)?;
        let mut fleet = Self {
            starter,
            programs,
            directory: directory.to_owned(),
            redis_url: options.redis_url.clone(),
            credentials,
            key,
            worker: None,
            _control: control,
        };
        fleet.restart_worker(true)?;
        Ok(fleet)
    }

    /// Ends the worker, if one runs, and starts it again; with an empty data directory where `fresh`.
    pub(crate) fn restart_worker(&mut self, fresh: bool) -> anyhow::Result<ReadyTimes> {
        self.worker = None;
        let data = self.directory.join("worker");
        if fresh && data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let address = free_address()?;
        let started = clock::now();
        let mut process = self.start_worker(&data, address)?;
        wait_until_ready(&mut process, address, "/readyz", START_LIMIT)?;
        let ready = clock::since(started);
        let request = RequestText::new(Shape::SHORT, &self.key, MODEL);
        clock::poll(START_LIMIT, Duration::from_millis(1), || answers(address, &request).filter(|status| *status == 200))
            .context("the worker says it is ready and answers no completion")?;
        self.worker = Some(RunningWorker { process, address });
        Ok(ReadyTimes { ready, first_answer: clock::since(started) })
    }

    fn start_worker(&self, data: &Path, address: SocketAddr) -> anyhow::Result<Process> {
        let path = self.programs.path("modelux-worker");
        let mut environment = vec![
            ("MODELUX_CONTROL_URL".to_owned(), self.credential("/api_url")?),
            ("MODELUX_WORKER_TOKEN".to_owned(), self.credential("/worker_token")?),
            ("MODELUX_PROXY_LISTEN".to_owned(), address.to_string()),
            ("MODELUX_DATA_DIR".to_owned(), data.to_string_lossy().into_owned()),
        ];
        environment.extend(self.redis_url.clone().map(|url| ("MODELUX_REDIS_URL".to_owned(), url)));
        let arguments = vec!["serve".to_owned()];
        self.starter.start("modelux-worker", Program { path: path.as_os_str(), arguments, environment, placement: Placement::Measured })
    }

    fn credential(&self, pointer: &str) -> anyhow::Result<String> {
        let found = self.credentials.pointer(pointer).and_then(Value::as_str);
        Ok(found.with_context(|| format!("no `{pointer}` in credentials.json"))?.to_owned())
    }

    fn running(&self) -> anyhow::Result<&RunningWorker> {
        self.worker.as_ref().context("no worker runs")
    }

    pub(crate) fn contestant(&self) -> anyhow::Result<Contestant> {
        let worker = self.running()?;
        Ok(Contestant {
            name: Name::Worker,
            address: worker.address,
            processes: vec![worker.process.id()],
            key: self.key.clone(),
            model: MODEL.to_owned(),
        })
    }

    /// The same worker, asked for a model of a provider who speaks `dialect`, or of one who does not and has to be converted to.
    pub(crate) fn speaking(&self, dialect: Dialect, name: Name) -> anyhow::Result<Contestant> {
        let model = if name == Name::Converting { dialect.other_model() } else { dialect.own_model() };
        Ok(Contestant { name, model: model.to_owned(), ..self.contestant()? })
    }

    /// The same worker with a provider whose streams last.
    pub(crate) fn slow_contestant(&self) -> anyhow::Result<Contestant> {
        Ok(Contestant { model: SLOW_MODEL.to_owned(), ..self.contestant()? })
    }

    /// What policy and budgets cost without a request around them, in a process that joins as a second worker.
    pub(crate) fn decision(&self) -> anyhow::Result<DecisionReport> {
        let path = std::env::current_exe()?;
        let (control_url, token) = (self.credential("/api_url")?, self.credential("/worker_token")?);
        let data = self.directory.join("decision");
        let arguments = [
            ["decision", "--control-url"].as_slice(),
            &[&control_url, "--worker-token", &token, "--key", &self.key, "--model", MODEL, "--data-dir", &data.to_string_lossy()],
        ];
        let arguments = arguments.concat().into_iter().map(str::to_owned).collect();
        let program = Program { path: path.as_os_str(), arguments, environment: Vec::new(), placement: Placement::Measured };
        Ok(serde_json::from_str(&self.starter.output("bench decision", program)?)?)
    }

    /// How the worker's usage events stand.
    pub(crate) fn events(&self) -> anyhow::Result<Events> {
        let mut connection = Connection::open(self.running()?.address)?;
        let answer = connection.exchange(RequestText::get("/metrics").bytes())?;
        let text = String::from_utf8_lossy(connection.body(&answer));
        let count = |name: &str| -> anyhow::Result<u64> {
            let count =
                text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("the worker does not count {name}"))?;
            Ok(count.trim().parse()?)
        };
        Ok(Events { booked: count(BOOKED)?, waiting: count(WAITING)? })
    }

    /// Asks the control plane and returns `data`.
    pub(crate) fn query(&self, query: &str, variables: &Value) -> anyhow::Result<Value> {
        let url = self.credential("/api_url")?;
        let address: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse()?;
        let body = serde_json::json!({ "query": query, "variables": variables }).to_string();
        let request = RequestText::post("/graphql", &self.credential("/management_key")?, &body);
        let mut connection = Connection::open(address)?;
        let answer = connection.exchange(request.bytes())?;
        let reply: Value = serde_json::from_slice(connection.body(&answer))?;
        anyhow::ensure!(reply.get("errors").is_none(), "the control plane refused: {reply}");
        reply.get("data").cloned().context("a reply without data")
    }
}

fn start_control(
    starter: &Starter<'_>,
    programs: &Programs,
    data: &Path,
    address: SocketAddr,
    redis: Option<&str>,
) -> anyhow::Result<Process> {
    let path = programs.path("modelux-api");
    let data = data.to_string_lossy();
    let arguments = ["serve", "--no-demo", "--data-dir", &data, "--api-listen", &address.to_string()].map(str::to_owned).to_vec();
    let environment = redis.map(|url| ("MODELUX_REDIS_URL".to_owned(), url.to_owned())).into_iter().collect();
    starter.start("modelux-api", Program { path: path.as_os_str(), arguments, environment, placement: Placement::Beside })
}

/// Applies the manifest and returns the key that was made for the load.
fn apply(starter: &Starter<'_>, programs: &Programs, manifest: &Path, data: &Path) -> anyhow::Result<String> {
    let path = programs.path("modelux");
    let arguments = ["apply", "-f", &manifest.to_string_lossy(), "--yes", "-o", "json", "--data-dir", &data.to_string_lossy()];
    let program = Program {
        path: path.as_os_str(),
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: vec![("BENCH_UPSTREAM_KEY".to_owned(), "upstream-key".to_owned())],
        placement: Placement::Anywhere,
    };
    let applied: Value = serde_json::from_str(&starter.output("modelux apply", program)?)?;
    let key = applied.get("created_keys").and_then(|keys| keys.get(manifest::LOAD_KEY)).and_then(Value::as_str);
    Ok(key.context("`modelux apply` named no key for the load")?.to_owned())
}
