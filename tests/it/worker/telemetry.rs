//! What leaves a worker besides answers: metrics, logs, traces. Never a prompt, a completion, a key or a secret.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tests::collector::TestCollector;
use tests::fleet::{Fleet, UPSTREAM_KEY, manifest};
use tests::http::Request;
use tests::provider::Answer;

const PROMPT: &str = "prompt-canary-3b9d";
const COMPLETION: &str = "completion-canary-c2f8";
const CALLERS_KEY: &str = "caller-canary-0123456789-a71e";

/// Issue 2, point 12, R-43: canaries are looked for in everything that either plane writes, shows, exports or keeps.
#[tokio::test]
async fn no_prompt_completion_key_or_secret_is_written_or_shown_anywhere() {
    let collector = TestCollector::start().await;
    let mut fleet = Fleet::start_observed(&collector, "debug,api=trace,worker=trace").await;
    let applied = fleet.enforce(&manifest(&fleet.provider)).await;
    let key = applied.key("app/main");
    let completion = json!({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": COMPLETION}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}});
    let message = json!([{"role": "user", "content": PROMPT}]);
    for answer in [Answer::json(&completion), Answer::error(400), Answer::error(500), Answer::default().cut_at(5)] {
        fleet.provider.next(answer);
        fleet.chat(&key, "sim/gpt-test").with("messages", message.clone()).send().await;
    }
    fleet.provider.next(Answer::stream([format!("data: {completion}\n\n"), "data: broken".to_owned()]).cut_at(400));
    fleet.chat(&key, "sim/gpt-test").with("messages", message.clone()).streamed().send().await;
    Request::new("POST", "/v1/chat/completions")
        .header("Authorization", &format!("Bearer {key}"))
        .body(format!("{{{PROMPT}"))
        .send(fleet.worker().address())
        .await;
    fleet.chat(&key, "sim/gpt-test").with("messages", message.clone()).header("X-Modelux-Provider-Key", CALLERS_KEY).ok().await;
    fleet.owner().refusal("mutation { createProject(input: {name: \"app\"}) { revision } }", json!({})).await;
    let logged = fleet.logged(6, "key: \"main\"").await;

    let mut shown = vec![
        ("the request log", serde_json::Value::Array(logged).to_string()),
        ("the worker's metrics", fleet.worker().get("/metrics").await.text()),
        ("the control plane's metrics", Request::new("GET", "/metrics").send(fleet.api.address()).await.text()),
    ];
    fleet.stop().await;
    for plane in [fleet.worker().process(), fleet.api.process()] {
        assert!(plane.stderr().contains("DEBUG"), "as much as can be was logged: {}", plane.stderr());
    }
    assert!(collector.spans().len() >= 12 && !collector.series().is_empty(), "{}", collector.text());
    shown.push(("what was exported", collector.text()));
    let (token, management_key) = (fleet.api.credential("worker_token"), fleet.api.credential("management_key"));
    let secrets = [PROMPT, COMPLETION, CALLERS_KEY, UPSTREAM_KEY, &key, &token, &management_key];
    // The worker's data directory holds its logs, its spool and its bundles; the control plane's its database, but also the credentials.
    for (name, place) in
        [("the worker's files", fleet.worker().directory().path()), ("the control plane's files", fleet.api.directory().path())]
    {
        shown.push((name, contents(place)));
    }
    for (place, text) in &shown {
        for secret in secrets {
            assert!(!text.contains(secret), "`{secret}` is in {place}");
        }
    }
}

/// All files of a directory but the credentials, whose purpose is to hold two secrets, and the manifests that a test wrote.
fn contents(directory: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&contents(&path));
        } else if entry.file_name() != "credentials.json" && path.extension().is_none_or(|ending| ending != "yaml") {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()));
        }
    }
    text
}

/// Issue 2, point 12: the caller's trace goes on to the provider, with a span of ours between.
#[tokio::test]
async fn the_callers_trace_goes_on_to_the_provider() {
    let (fleet, key) = Fleet::governed().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    fleet.chat(&key, "sim/free").header("traceparent", &parent).header("tracestate", "vendor=1").ok().await;
    let seen = fleet.provider.last();
    let sent = seen.header("traceparent").expect("a traceparent").to_owned();
    assert!(sent.starts_with(&format!("00-{trace}-")) && sent.ends_with("-01") && sent != parent, "{sent}");
    assert_eq!(seen.header("tracestate"), Some("vendor=1"));
    fleet.chat(&key, "sim/free").header("traceparent", "nonsense").ok().await;
}

/// Issue 2, point 12. Metrics in the text form of Prometheus: every family with a type, every sample of a family; and Prometheus' own
/// judgement of names and units where its tool is on this machine.
#[tokio::test]
async fn metrics_of_both_planes_are_well_formed() {
    let (fleet, key) = Fleet::governed().await;
    fleet.chat(&key, "sim/free").ok().await;
    let both = [fleet.worker().get("/metrics").await.text(), Request::new("GET", "/metrics").send(fleet.api.address()).await.text()];
    for text in both {
        let mut typed = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                typed.push(rest.split(' ').next().unwrap());
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
                assert!(typed.contains(&family) || typed.contains(&name), "`{name}` has no type");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(typed.len() > 1, "{text}");
        assert_eq!(promtool(&text), "", "{text}");
    }
}

/// What `promtool check metrics` has to say, which is nothing where all is well or there is no promtool.
fn promtool(metrics: &str) -> String {
    let piped = || Stdio::piped();
    let started = Command::new("promtool").args(["check", "metrics"]).stdin(piped()).stdout(piped()).stderr(piped()).spawn();
    let Ok(mut promtool) = started else { return String::new() };
    promtool.stdin.take().expect("a pipe").write_all(metrics.as_bytes()).expect("a reader");
    let output = promtool.wait_with_output().expect("a child of this process");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { said } else { format!("{}: {said}", output.status) }
}
