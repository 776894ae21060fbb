//! `modelux up` (contract 1): from an empty directory to a first governed request, twice on the same data.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::caller::Chat;
use tests::graphql::GraphQl;
use tests::http::Request;
use tests::process::Process;
use tests::program::{addresses, command};
use tests::scratch::Scratch;
use tests::worker::{TestWorker, WorkerOptions};

const LIMIT: Duration = Duration::from_secs(40);

struct Up {
    process: Process,
    api: SocketAddr,
    proxy: SocketAddr,
    credentials: Value,
}

async fn up(logs: &Path, data: &Path, more: &[&str]) -> Up {
    let mut up = command("modelux");
    up.args(["up", "--api-listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0", "--data-dir"]).arg(data).args(more);
    let mut process = Process::start("modelux-up", logs, up);
    let ready = |text: &str| text.lines().find(|line| line.contains("ready")).map(|line| addresses(line).collect::<Vec<_>>());
    let said = process.printed("one line that says it is ready, with both addresses", LIMIT, ready).await;
    let credentials = std::fs::read(data.join("credentials.json")).expect("credentials.json");
    let credentials: Value = serde_json::from_slice(&credentials).expect("JSON");
    assert!(said.len() >= 2, "both addresses are in the line: {}", process.stdout());
    let address = |name: &str| credentials[name].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    let (api, proxy): (SocketAddr, SocketAddr) = (address("api_url"), address("proxy_url"));
    assert!(said.contains(&api) && said.contains(&proxy), "{said:?} {credentials}");
    Up { process, api, proxy, credentials }
}

/// Contract 1, issue 2 point 1.
#[tokio::test]
async fn up_serves_a_first_request_from_an_empty_directory_and_goes_on_where_it_left_off() {
    let scratch = Scratch::new("up");
    let data = scratch.join("data");
    let first = up(scratch.path(), &data, &[]).await;
    let mode = std::fs::metadata(data.join("credentials.json")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    for address in [first.api, first.proxy] {
        assert_eq!(Request::new("GET", "/readyz").send(address).await.status(), 200);
        assert_eq!(Request::new("GET", "/healthz").send(address).await.status(), 200);
    }
    for name in ["org", "management_key", "worker_token", "owner_email", "owner_password"] {
        assert!(first.credentials[name].is_string(), "no `{name}`");
    }
    let key = first.credentials["demo"]["proxy_key"].as_str().expect("the demo's key").to_owned();
    assert_eq!(first.credentials["demo"]["project"], "demo");
    let model = demo_model(&first, &key).await;
    Chat::new(first.proxy, &key, &model).ok().await;
    Chat::new(first.proxy, &key, &model).streamed().ok().await;

    let Up { mut process, credentials, .. } = first;
    process.terminate();
    assert_eq!(process.end(Duration::from_secs(20)).await.code(), Some(0), "{}", process.stderr());

    let second = up(scratch.path(), &data, &[]).await;
    for name in ["management_key", "worker_token", "owner_password", "demo", "org"] {
        assert_eq!(second.credentials[name], credentials[name], "{name}");
    }
    Chat::new(second.proxy, &key, &model).ok().await;
    let owner = owner_of(&second);
    tests::wait::until("both lives are in the log", LIMIT, || async {
        let logs = owner.query("{ requestLogs(first: 10) { nodes { id status } } }").await;
        (logs["requestLogs"]["nodes"].as_array().unwrap().len() == 3).then_some(())
    })
    .await;
    let (status, output, errors) = tests::fleet::run_modelux("", "", &["audit", "verify", "--data-dir", &data.to_string_lossy()]).await;
    assert_eq!(status, 0, "the audit chain is whole over both lives: {output}{errors}");
}

fn owner_of(up: &Up) -> GraphQl {
    GraphQl { address: up.api, key: up.credentials["management_key"].as_str().map(str::to_owned) }
}

/// A model that the demo project may use.
async fn demo_model(up: &Up, key: &str) -> String {
    let models = Request::new("GET", "/v1/models").header("Authorization", &format!("Bearer {key}")).send(up.proxy).await.json();
    let models: Vec<&str> = models["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    let named = models.iter().find(|model| model.contains("simulated")).or(models.first());
    named.copied().map(str::to_owned).unwrap_or_else(|| "simulated/hello".to_owned())
}

/// Contract 1: a worker started beside a running `modelux up` joins it.
#[tokio::test]
async fn a_second_worker_joins_a_running_up() {
    let scratch = Scratch::new("up");
    let data = scratch.join("data");
    let running = up(scratch.path(), &data, &[]).await;
    let options = WorkerOptions {
        control_url: format!("http://{}", running.api),
        token: running.credentials["worker_token"].as_str().unwrap().to_owned(),
        redis_url: None,
        environment: Vec::new(),
    };
    let worker = TestWorker::start(options).await;
    let key = running.credentials["demo"]["proxy_key"].as_str().unwrap();
    let model = demo_model(&running, key).await;
    worker.chat(key, &model).ok().await;
    let workers = owner_of(&running).query("{ workers(first: 10) { nodes { id } } }").await;
    assert_eq!(workers["workers"]["nodes"].as_array().unwrap().len(), 2, "{workers}");
}

/// Contract 1: `--no-demo` leaves the demo out.
#[tokio::test]
async fn without_the_demo_there_is_no_demo() {
    let scratch = Scratch::new("up");
    let running = up(scratch.path(), &scratch.join("data"), &["--no-demo"]).await;
    assert!(running.credentials["demo"].is_null(), "{}", running.credentials);
    let projects = owner_of(&running).query("{ projects(first: 10) { nodes { name } } }").await;
    assert_eq!(projects["projects"]["nodes"].as_array().unwrap().len(), 0, "{projects}");
}

/// Contract 1: unknown options and keys are errors, not ignored.
#[tokio::test]
async fn unknown_keys_of_the_configuration_are_errors() {
    let scratch = Scratch::new("up");
    let file = scratch.join("modelux.toml");
    std::fs::write(&file, "no_such_key = 1\n").unwrap();
    for program in ["modelux-api", "modelux-worker"] {
        let output = command(program).arg("serve").arg("--config").arg(&file).arg("--data-dir").arg(scratch.join("data")).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("no_such_key"), "{program}: {said}");
    }
}
