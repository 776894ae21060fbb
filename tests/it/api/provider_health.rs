//! How providers stand, as workers tell: put together over the fleet, and for nobody but whose providers they are.

use serde_json::{Value, json};
use tests::api::ApiOptions;
use tests::fleet::{Fleet, manifest};
use tests::provider::{Answer, Usage};
use tests::wait::{SOON, until};

const QUERY: &str = "{ providerHealth(first: 50) { nodes { provider model state successRate requests p50Ms openedAt lastSeenAt lastCheck workers \
    restingWorkers } } }";

async fn nodes(fleet: &Fleet) -> Vec<Value> {
    let told = fleet.owner().query(QUERY).await;
    told["providerHealth"]["nodes"].as_array().cloned().unwrap_or_default()
}

/// The line of one model once it is as `expected` says.
async fn until_told(fleet: &Fleet, (provider, model): (&str, Option<&str>), expected: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{provider}/{model:?} is told of"), SOON, || async {
        let nodes = nodes(fleet).await;
        nodes.into_iter().find(|node| node["provider"] == provider && node["model"].as_str() == model && expected(node))
    })
    .await
}

#[tokio::test]
async fn what_all_workers_see_of_a_model_is_one_line() {
    let fleet = Fleet::start_with(ApiOptions::default(), 2).await;
    let applied = fleet.enforce(&manifest(&fleet.provider)).await;
    let key = applied.key("app/main");
    fleet.provider.always("gpt-test", Answer::of(Usage { prompt: 1, completion: 1, ..Usage::default() }));
    for worker in &fleet.workers {
        for _ in 0..3 {
            worker.chat(&key, "sim/gpt-test").ok().await;
        }
    }
    let line = until_told(&fleet, ("sim", Some("gpt-test")), |line| line["requests"] == 6).await;
    assert_eq!((&line["state"], &line["successRate"], &line["workers"]), (&json!("closed"), &json!(1.0), &json!(2)), "{line}");
    assert!(line["p50Ms"].as_f64().is_some_and(|ms| ms > 0.0) && line["openedAt"].is_null() && line["lastCheck"].is_null(), "{line}");

    fleet.provider.always("free", Answer::error(503));
    for _ in 0..5 {
        fleet.workers[0].chat(&key, "sim/free").send().await;
    }
    let line = until_told(&fleet, ("sim", Some("free")), |line| line["state"] == "open").await;
    assert_eq!((&line["successRate"], &line["workers"], &line["restingWorkers"]), (&json!(0.0), &json!(1), &json!(1)), "{line}");
    assert!(line["openedAt"].is_string(), "{line}");
}

#[tokio::test]
async fn a_provider_that_fails_its_checks_is_shown_as_a_whole() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["providers"][0]["health_check"] = json!({"interval_seconds": 1});
    fleet.provider.always("", Answer::error(500));
    fleet.enforce(&wanted).await;
    let line = until_told(&fleet, ("sim", None), |line| line["state"] == "open").await;
    assert_eq!((&line["lastCheck"], &line["requests"], &line["successRate"]), (&json!("status"), &json!(0), &Value::Null), "{line}");
    fleet.provider.always("", Answer::json(&json!({"data": []})));
    until_told(&fleet, ("sim", None), |line| line["lastCheck"] == "ok" && line["state"] == "half_open").await;
}

/// Workers serve all organizations; what they tell of one is for that one.
#[tokio::test]
async fn another_organization_sees_nothing_of_it_and_a_provider_that_is_gone_is_not_shown() {
    let fleet = Fleet::start().await;
    let key = fleet.enforce(&manifest(&fleet.provider)).await.key("app/main");
    fleet.chat(&key, "sim/gpt-test").ok().await;
    until_told(&fleet, ("sim", Some("gpt-test")), |_| true).await;
    let made = fleet.owner().query(r#"mutation { createOrganization(input: {slug: "stranger"}) { managementKey } }"#).await;
    let stranger = fleet.owner().with_key(made["createOrganization"]["managementKey"].as_str().unwrap());
    // A provider of the same name is another one.
    stranger.query(r#"mutation { createProvider(input: {name: "sim", vendor: "simulated"}) { revision } }"#).await;
    assert_eq!(stranger.query(QUERY).await["providerHealth"]["nodes"], json!([]));

    let providers = fleet.owner().query("{ providers(first: 9) { nodes { id name } } }").await;
    let providers = providers["providers"]["nodes"].as_array().unwrap();
    let id = providers.iter().find(|provider| provider["name"] == "other").map(|provider| provider["id"].clone()).unwrap();
    fleet.chat(&key, "other/gpt-test").ok().await;
    until_told(&fleet, ("other", Some("gpt-test")), |_| true).await;
    let models = fleet.owner().query("{ models(first: 9) { nodes { id model } } }").await;
    for model in models["models"]["nodes"].as_array().unwrap().iter().filter(|model| model["model"] == "other/gpt-test") {
        fleet.owner().query(&format!("mutation {{ deleteModel(id: {}) {{ revision }} }}", model["id"])).await;
    }
    fleet.owner().query(&format!("mutation {{ deleteProvider(id: {id}) {{ revision }} }}")).await;
    assert!(nodes(&fleet).await.iter().all(|node| node["provider"] == "sim"));
}

/// A health check is a setting like any other: set, shown, changed and taken away.
#[tokio::test]
async fn a_health_check_is_set_and_shown_and_taken_away_again() {
    let fleet = Fleet::start().await;
    let owner = fleet.owner();
    let selection = "{ provider { id healthCheck { intervalSeconds timeoutMs path } } }";
    let made = owner
        .query(&format!(
            r#"mutation {{ createProvider(input: {{name: "p", vendor: "openai", healthCheck: {{intervalSeconds: 60}}}}) {selection} }}"#
        ))
        .await;
    let provider = &made["createProvider"]["provider"];
    assert_eq!(provider["healthCheck"], json!({"intervalSeconds": 60, "timeoutMs": 5000, "path": null}));
    let update = |change: &str| format!("mutation {{ updateProvider(id: {}, input: {{{change}}}) {selection} }}", provider["id"]);
    let changed = owner.query(&update(r#"healthCheck: {path: "/models", timeoutMs: 900}"#)).await;
    assert_eq!(changed["updateProvider"]["provider"]["healthCheck"], json!({"intervalSeconds": 30, "timeoutMs": 900, "path": "/models"}));
    let kept = owner.query(&update(r#"apiKey: "k""#)).await;
    assert_eq!(kept["updateProvider"]["provider"]["healthCheck"]["path"], "/models");
    let exported = owner.query("{ exportManifest }").await.to_string();
    assert!(exported.contains("health_check"), "{exported}");
    let gone = owner.query(&update("healthCheck: null")).await;
    assert_eq!(gone["updateProvider"]["provider"]["healthCheck"], Value::Null);
}
