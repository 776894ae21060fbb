//! The vendors' own SDKs: every case on every surface, through a provider of the same vendor and through the others.

use std::time::Duration;

use tests::fleet::nano;
use tests::scratch::Scratch;

use super::compatibility::{Row, keep};
use super::installed::{Ecosystem, finished};
use super::scenario::Stage;

/// Dozens of calls by an interpreter that shares the machine with other tests.
const LIMIT: Duration = Duration::from_secs(90);

/// Runs one SDK's script: every case is fine, and every caller who left was booked, with nothing held for them any more.
async fn conforms(ecosystem: Ecosystem, package: &str, script: &str) {
    let stage = Stage::set().await;
    let scratch = Scratch::new("client");
    let mut command = ecosystem.script(script, &scratch);
    command.arg(stage.setting());
    let (status, output, errors) = finished("client", command, &scratch, LIMIT).await;
    let read = |line: &str| serde_json::from_str::<Row>(line).unwrap_or_else(|error| panic!("{error}: {line}\n{errors}"));
    let rows: Vec<Row> = output.lines().map(read).collect();
    assert_eq!(status, Some(0), "{output}\n{errors}");

    let left = rows.iter().filter(|row| row.case == "disconnect").count();
    assert!(left > 0, "{output}");
    for log in stage.fleet.logged(left, "model: \"endless\"").await {
        assert_eq!(log["usageSource"].as_str().map(str::to_lowercase).as_deref(), Some("partial_estimate"), "{log}");
        assert!(nano(&log["costUsd"]) > 0, "{log}");
    }
    stage.nothing_is_held().await;
    keep(package, &ecosystem.version(package), ecosystem, &rows);
}

#[tokio::test]
async fn the_openai_sdk_for_python_works_on_every_surface_and_provider() {
    conforms(Ecosystem::Python, "openai", "openai_client.py").await;
}

#[tokio::test]
async fn the_openai_sdk_for_node_works_on_every_surface_and_provider() {
    conforms(Ecosystem::Node, "openai", "openai_client.js").await;
}

#[tokio::test]
async fn the_anthropic_sdk_for_python_works_with_every_provider() {
    conforms(Ecosystem::Python, "anthropic", "anthropic_client.py").await;
}

#[tokio::test]
async fn the_anthropic_sdk_for_node_works_with_every_provider() {
    conforms(Ecosystem::Node, "@anthropic-ai/sdk", "anthropic_client.js").await;
}

#[tokio::test]
async fn the_google_sdk_for_python_works_with_every_provider() {
    conforms(Ecosystem::Python, "google-genai", "google_client.py").await;
}

#[tokio::test]
async fn the_google_sdk_for_node_works_with_every_provider() {
    conforms(Ecosystem::Node, "@google/genai", "google_client.js").await;
}
