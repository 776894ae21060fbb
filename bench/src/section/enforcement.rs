//! How long a mutation takes to bind a worker, over Redis: the entry policy is closed and opened again and again, while an
//! observer sends requests one after the other and notes the first that is treated the new way.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use super::Bench;
use crate::contestant::{Contestant, Fleet, FleetOptions, Programs};
use crate::load::{Connection, RequestText, Shape};
use crate::process::{Placement, Process, Program, Starter, free_address};
use crate::{clock, statistics};

const MUTATIONS: usize = 200;
/// Between two requests of the observer: enough to see a millisecond, too little to be load.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(10);
const MUTATION: &str = "mutation($id: ID!, $input: UpdateRoutingConfigInput!) { updateRoutingConfig(id: $id, input: $input) { revision } }";

pub(crate) const STEPS: usize = 1;

/// What a fleet of its own is started from.
pub(crate) struct Setting<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) directory: &'a Path,
    pub(crate) mock: SocketAddr,
    pub(crate) slow_mock: SocketAddr,
}

pub(crate) struct Enforcement {
    /// From sending the mutation to the first request treated by it, in milliseconds, in order.
    from_sent: Vec<f64>,
    /// From its answer; zero where the worker was faster than the answer.
    from_answer: Vec<f64>,
}

pub(crate) fn measure(bench: &Bench<'_>, setting: &Setting<'_>) -> anyhow::Result<Enforcement> {
    bench.progress.step("mutation to enforcement");
    let directory = setting.directory.join("enforcement");
    std::fs::create_dir(&directory)?;
    let starter = Starter { logs: &directory, real_time: bench.starter.real_time };
    let (_redis, redis_url) = start_redis(&starter)?;
    let options = FleetOptions { mock: setting.mock, slow_mock: setting.slow_mock, idle_keys: 0, redis_url: Some(redis_url) };
    let fleet = Fleet::start(&starter, setting.programs, &directory, &options)?;
    let worker = fleet.contestant()?;
    let id = entry_policy(&fleet)?;
    let times: Vec<(f64, f64)> = (0..MUTATIONS).map(|number| once(&fleet, &worker, &id, number % 2 == 0)).collect::<Result<_, _>>()?;
    Ok(Enforcement {
        from_sent: statistics::sorted(times.iter().map(|(sent, _)| *sent)),
        from_answer: statistics::sorted(times.iter().map(|(_, answered)| *answered)),
    })
}

fn start_redis(starter: &Starter<'_>) -> anyhow::Result<(Process, String)> {
    let port = free_address()?.port().to_string();
    let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned).to_vec();
    let program = Program { path: "redis-server".as_ref(), arguments, environment: Vec::new(), placement: Placement::Beside };
    let process = starter.start("redis", program)?;
    Ok((process, format!("redis://127.0.0.1:{port}")))
}

fn entry_policy(fleet: &Fleet<'_>) -> anyhow::Result<String> {
    let data = fleet.query("{ routingConfigs(first: 50) { nodes { id slug } } }", &Value::Null)?;
    let configs = data.pointer("/routingConfigs/nodes").and_then(Value::as_array).context("no routing configs")?;
    let found = configs.iter().find(|config| config.get("slug").is_some_and(|slug| slug == "company-policy"));
    Ok(found.and_then(|config| config.get("id")?.as_str()).context("no entry policy")?.to_owned())
}

/// One mutation, and when it held.
fn once(fleet: &Fleet<'_>, worker: &Contestant, id: &str, close: bool) -> anyhow::Result<(f64, f64)> {
    let (target, status) = if close { (json!({"deny": "closed for the measurement"}), 403) } else { (json!("pass"), 200) };
    let document = json!({"strategy": "custom_rules", "rules": [{"if": "tags.team == 'support'", "then": "@cheap"}, {"else": target}]});
    let variables = json!({"id": id, "input": {"document": document}});
    std::thread::scope(|scope| {
        let observer = scope.spawn(|| first_answer_with(worker, status));
        let sent = clock::now();
        fleet.query(MUTATION, &variables)?;
        let answered = clock::now();
        let held = observer.join().map_err(|_| anyhow::anyhow!("the observer panicked"))??;
        let ms = |since: Instant| held.saturating_duration_since(since).as_secs_f64() * 1e3;
        Ok((ms(sent), ms(answered)))
    })
}

fn first_answer_with(worker: &Contestant, status: u16) -> anyhow::Result<Instant> {
    let request = RequestText::new(Shape::SHORT, &worker.key, &worker.model);
    let mut connection = Connection::open(worker.address)?;
    let deadline = clock::now() + LIMIT;
    while clock::now() < deadline {
        let answer = connection.exchange(request.bytes())?;
        if answer.status == status {
            return Ok(answer.done);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    anyhow::bail!("the worker did not follow within {} s", LIMIT.as_secs())
}

impl Enforcement {
    pub(crate) fn table(&self) -> String {
        let line = |title: &str, times: &[f64]| {
            let at = |share| statistics::quantile(times, share);
            format!("| {title} | {:.1} | {:.1} | {:.1} |\n", at(0.5), at(0.99), at(1.0))
        };
        format!(
            "| {} mutations over Redis, ms | p50 | p99 | max |\n|---|---|---|---|\n{}{}",
            self.from_sent.len(),
            line("from sending the mutation to the first request treated by it", &self.from_sent),
            line("from the mutation's answer (0: enforced before it)", &self.from_answer)
        )
    }
}
