//! Both planes together, with a provider behind them and a manifest to apply.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{ApiOptions, TestApi};
use crate::caller::Chat;
use crate::collector::TestCollector;
use crate::graphql::GraphQl;
use crate::program::command;
use crate::provider::SimulatedProvider;
use crate::wait::{SOON, until};
use crate::worker::{TestWorker, WorkerOptions};

/// From the signal to the end, with everything shipped and exported.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A control plane, its workers and a provider.
#[derive(Debug)]
pub struct Fleet {
    /// Dropped first: workers say goodbye to nobody.
    pub workers: Vec<TestWorker>,
    /// The control plane.
    pub api: TestApi,
    /// What is behind `sim/…` and `other/…` in [`manifest`].
    pub provider: SimulatedProvider,
}

/// What `modelux apply` said.
#[derive(Debug, Clone)]
pub struct Applied {
    /// All of it.
    pub output: Value,
    /// The revision that carries the change.
    pub revision: u64,
}

impl Applied {
    /// The secret of a key that was made, by `project/key`.
    pub fn key(&self, name: &str) -> String {
        self.output["created_keys"][name].as_str().unwrap_or_else(|| panic!("no key `{name}` in {}", self.output)).to_owned()
    }
}

impl Fleet {
    /// A control plane on SQLite, one worker, a provider; nothing applied.
    pub async fn start() -> Self {
        Self::start_with(ApiOptions::default(), 1).await
    }

    /// As told, with so many workers.
    pub async fn start_with(options: ApiOptions, workers: usize) -> Self {
        let (api, provider) = tokio::join!(TestApi::start_with(options), SimulatedProvider::start());
        let mut fleet = Self { workers: Vec::new(), api, provider };
        let started = (0..workers).map(|_| TestWorker::start(fleet.worker_options()));
        fleet.workers = futures::future::join_all(started).await;
        fleet
    }

    /// A control plane on SQLite and one worker, whose spans and metrics all go to `collector`; a provider; nothing applied.
    pub async fn start_observed(collector: &TestCollector, log_filter: &str) -> Self {
        let settings = [("MODELUX_OTLP_ENDPOINT", collector.url()), ("MODELUX_LOG_FILTER", log_filter.to_owned())];
        let environment: Vec<_> = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut fleet = Self::start_with(ApiOptions { environment: environment.clone(), ..ApiOptions::default() }, 0).await;
        let options = WorkerOptions { environment, ..fleet.worker_options() };
        fleet.join(options).await;
        fleet
    }

    /// A control plane, one worker, a provider and the manifest of [`manifest`]; the key is `app/main`'s.
    pub async fn governed() -> (Self, String) {
        let fleet = Self::start().await;
        let applied = fleet.apply(&manifest(&fleet.provider)).await;
        fleet.enforced(&applied).await;
        let key = applied.key("app/main");
        (fleet, key)
    }

    /// Ends all planes in good order: what they had to tell, they have told then.
    pub async fn stop(&mut self) {
        let planes = self.workers.iter_mut().map(TestWorker::process_mut).chain([self.api.process_mut()]);
        for plane in planes {
            plane.terminate();
            let status = plane.end(STOP_LIMIT).await;
            assert_eq!(status.code(), Some(0), "{}", plane.stderr());
        }
    }

    /// How a worker joins.
    pub fn worker_options(&self) -> WorkerOptions {
        WorkerOptions { control_url: self.api.url(), token: self.api.credential("worker_token"), redis_url: None, environment: Vec::new() }
    }

    /// One more worker.
    pub async fn join(&mut self, options: WorkerOptions) -> &TestWorker {
        self.workers.push(TestWorker::start(options).await);
        self.worker()
    }

    /// The worker that joined last.
    pub fn worker(&self) -> &TestWorker {
        self.workers.last().expect("a worker")
    }

    /// GraphQL as the owner.
    pub fn owner(&self) -> GraphQl {
        self.api.owner()
    }

    /// A chat completion at the worker that joined last.
    pub fn chat(&self, key: &str, model: &str) -> Chat {
        self.worker().chat(key, model)
    }

    /// Runs `modelux` with credentials for this control plane; its status, output and errors.
    pub async fn modelux(&self, arguments: &[&str]) -> (i32, String, String) {
        run_modelux(&self.api.url(), &self.api.credential("management_key"), arguments).await
    }

    /// Applies a manifest with `modelux apply`; panics when it is refused.
    pub async fn apply(&self, manifest: &Value) -> Applied {
        let file = self.write(manifest);
        let (status, output, errors) = self.modelux(&["apply", "-f", &file, "--yes", "-o", "json"]).await;
        assert_eq!(status, 0, "{output}{errors}\n{manifest:#}");
        let output: Value = serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"));
        let revision = output["revision"].as_u64().unwrap_or_else(|| panic!("no revision in {output}"));
        Applied { output, revision }
    }

    /// Applies, and waits until every worker enforces it.
    pub async fn enforce(&self, manifest: &Value) -> Applied {
        let applied = self.apply(manifest).await;
        self.enforced(&applied).await;
        applied
    }

    /// Writes a manifest to a file; its path.
    pub fn write(&self, manifest: &Value) -> String {
        let path = self.api.directory().join(&format!("{}.yaml", policy::id::new_id(policy::id::IdKind::Bundle)));
        std::fs::write(&path, serde_yaml_ng::to_string(manifest).expect("a manifest in YAML")).expect("a file");
        path.to_string_lossy().into_owned()
    }

    /// Waits until every worker of this fleet has applied the revision.
    pub async fn enforced(&self, applied: &Applied) {
        self.reached(applied.revision, SOON).await;
    }

    /// Waits until every worker of this fleet has applied `revision` and said so.
    pub async fn reached(&self, revision: u64, limit: Duration) {
        let owner = self.owner();
        until(&format!("revision {revision} on {} workers", self.workers.len()), limit, || async {
            let workers = owner.query("{ workers(first: 50) { nodes { id revision state } } }").await;
            let nodes = workers["workers"]["nodes"].as_array().cloned().unwrap_or_default();
            let there = nodes.iter().filter(|worker| worker["revision"].as_u64() >= Some(revision)).count();
            (there >= self.workers.len()).then_some(())
        })
        .await;
    }

    /// Waits until the request log has `count` requests that `filter` (the body of a `RequestLogFilter`) accepts; newest first.
    pub async fn logged(&self, count: usize, filter: &str) -> Vec<Value> {
        let owner = self.owner();
        let query = format!("{{ requestLogs(first: 100, filter: {{{filter}}}) {{ nodes {{ {LOG_FIELDS} }} }} }}");
        until(&format!("{count} requests in the log"), SOON, || async {
            let logs = owner.query(&query).await;
            let nodes = logs["requestLogs"]["nodes"].as_array().cloned().unwrap_or_default();
            (nodes.len() >= count).then_some(nodes)
        })
        .await
    }

    /// One budget as the control plane shows it.
    pub async fn budget(&self, name: &str) -> Value {
        let budgets = self.owner().query(BUDGETS).await;
        let nodes = budgets["budgets"]["nodes"].as_array().cloned().unwrap_or_default();
        nodes.into_iter().find(|budget| budget["name"] == name).unwrap_or_else(|| panic!("no budget `{name}`"))
    }

    /// Waits until nothing of a budget is reserved and all is booked, so that `settledUsd` is final; the budget then.
    pub async fn settled(&self, name: &str, nano_usd: i64) -> Value {
        until(&format!("`{name}` settles {nano_usd} nano-USD"), SOON, || async {
            let budget = self.budget(name).await;
            let done = nano(&budget["settledUsd"]) == nano_usd && nano(&budget["reservedUsd"]) == 0;
            done.then_some(budget)
        })
        .await
    }
}

const LOG_FIELDS: &str = "id time project { name } key { name } surface requestedModel model provider status errorCode stream endUser \
    tags { name value } costUsd usageSource latencyMs firstByteMs \
    usage { inputTokens cachedInputTokens cacheWriteTokens outputTokens reasoningTokens } trace";
const BUDGETS: &str =
    "{ budgets(first: 100) { nodes { name scope capUsd settledUsd reservedUsd leasedUsd usedPct periodStart resetsAt state } } }";

/// Runs `modelux`; its status, output and errors. Without an address, where and who is left to the arguments.
pub async fn run_modelux(url: &str, key: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut modelux = command("modelux");
    modelux.env("UPSTREAM_KEY", UPSTREAM_KEY);
    if !url.is_empty() {
        modelux.env("MODELUX_URL", url).env("MODELUX_TOKEN", key);
    }
    modelux.args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || modelux.output().expect("`modelux` can be started")).await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The secret that workers send to the provider.
pub const UPSTREAM_KEY: &str = "upstream-canary-5f1c";

/// Decimal USD to nano-USD, exactly.
pub fn nano(usd: &Value) -> i64 {
    let text = usd.as_str().unwrap_or_else(|| panic!("money is a decimal string, not `{usd}`"));
    text.parse::<policy::money::NanoUsd>().unwrap_or_else(|error| panic!("`{text}`: {error}")).nanos()
}

/// A plain organization: providers `sim` and `other` (both the simulated provider's address), priced models, one project `app` with
/// the key `main`, no rules, no budgets.
///
/// `sim/cents` costs exactly one cent for each 100 tokens of output and nothing for input; `sim/gpt-test` has all five prices;
/// `sim/free` costs nothing.
pub fn manifest(provider: &SimulatedProvider) -> Value {
    json!({
        "org": "default",
        "providers": [
            {"name": "sim", "vendor": "openai", "base_url": provider.base_url(), "api_key": "${UPSTREAM_KEY}"},
            {"name": "other", "vendor": "openai_compatible", "base_url": provider.base_url(), "api_key": "${UPSTREAM_KEY}"},
        ],
        "models": [
            {"model": "sim/gpt-test", "input_usd_per_mtok": 1.0, "cached_input_usd_per_mtok": 0.1, "cache_write_usd_per_mtok": 1.25,
             "output_usd_per_mtok": 2.0, "reasoning_usd_per_mtok": 3.0, "context_tokens": 128_000, "max_output_tokens": 4096},
            {"model": "sim/cents", "input_usd_per_mtok": 0, "output_usd_per_mtok": 100, "max_output_tokens": 4096},
            {"model": "sim/free", "input_usd_per_mtok": 0, "output_usd_per_mtok": 0, "max_output_tokens": 4096},
            {"model": "other/gpt-test", "input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0, "max_output_tokens": 4096},
        ],
        "projects": [{"name": "app", "keys": [{"name": "main"}]}],
    })
}

/// One more model of provider `sim`, at these prices in USD per million tokens.
pub fn priced_model(name: &str, input: f64, output: f64) -> Value {
    json!({"model": format!("sim/{name}"), "input_usd_per_mtok": input, "output_usd_per_mtok": output, "max_output_tokens": 4096})
}
