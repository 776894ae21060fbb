//! Health checks of our own: what they ask, what a bad and a good one change, and what they never do.

use serde_json::{Value, json};
use tests::fleet::{Applied, Fleet, UPSTREAM_KEY, manifest};
use tests::provider::{Answer, Gate, SimulatedProvider};
use tests::wait::{SOON, until};

/// A fleet whose provider `checked` is at an address of its own and looked at every second, and who may be asked in its place.
async fn with_check(check: Value) -> (Fleet, SimulatedProvider, Applied) {
    let (fleet, checked) = (Fleet::start().await, SimulatedProvider::start().await);
    let applied = fleet.enforce(&wanted(&fleet, &checked, check)).await;
    (fleet, checked, applied)
}

fn wanted(fleet: &Fleet, checked: &SimulatedProvider, check: Value) -> Value {
    let mut wanted = manifest(&fleet.provider);
    let provider =
        json!({"name": "checked", "vendor": "openai", "base_url": checked.base_url(), "api_key": "${UPSTREAM_KEY}", "health_check": check});
    wanted["providers"].as_array_mut().unwrap().push(provider);
    let free = |name: &str| json!({"model": format!("checked/{name}"), "input_usd_per_mtok": 0, "output_usd_per_mtok": 0});
    wanted["models"].as_array_mut().unwrap().extend([free("one"), free("two")]);
    wanted["routing_configs"] = json!([
        {"slug": "falls", "strategy": "fallback", "attempts": [{"model": "checked/one"}, {"model": "sim/free"}]},
        {"slug": "asks", "strategy": "custom_rules", "rules": [
            {"if": "!health['checked/two'].ok", "then": "sim/free"}, {"else": "checked/two"}]},
    ]);
    wanted
}

fn every_second() -> Value {
    json!({"interval_seconds": 1, "timeout_ms": 400})
}

/// Requests that a GET is.
fn checks(provider: &SimulatedProvider) -> Vec<tests::provider::Recorded> {
    provider.requests().into_iter().filter(|request| request.target.starts_with("GET ")).collect()
}

async fn until_checked(provider: &SimulatedProvider, times: usize) {
    let until_then = checks(provider).len() + times;
    until("the provider is checked", SOON, || async { (checks(provider).len() >= until_then).then_some(()) }).await;
}

/// Which provider answers a request for `model`.
async fn served_by(fleet: &Fleet, applied: &Applied, model: &str) -> String {
    let reply = fleet.chat(&applied.key("app/main"), model).ok().await;
    reply.header("x-modelux-provider-used").unwrap_or_default().to_owned()
}

async fn until_served_by(fleet: &Fleet, applied: &Applied, (model, provider): (&str, &str)) {
    until(&format!("{model} is served by {provider}"), SOON, || async {
        (served_by(fleet, applied, model).await == provider).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_failing_check_rests_every_model_of_its_provider_until_a_good_one() {
    let (fleet, checked, applied) = with_check(every_second()).await;
    until_served_by(&fleet, &applied, ("@falls", "checked")).await;
    for failure in [Answer::error(503), Answer::default().held_by(&Gate::default()), Answer::hang_up(), Answer::error(401)] {
        checked.always("", failure);
        // A model that was asked, and one that never was.
        until_served_by(&fleet, &applied, ("@falls", "sim")).await;
        until_served_by(&fleet, &applied, ("@asks", "sim")).await;
        let asked = checked.requests().len() - checks(&checked).len();
        until_checked(&checked, 2).await;
        assert_eq!(served_by(&fleet, &applied, "@falls").await, "sim");
        assert_eq!(checked.requests().len() - checks(&checked).len(), asked, "no request is spent on finding out");
        checked.always("", Answer::json(&json!({"data": []})));
        until_served_by(&fleet, &applied, ("@falls", "checked")).await;
        until_served_by(&fleet, &applied, ("@asks", "checked")).await;
    }
    let log = fleet.logged(1, "model: \"free\"").await;
    let rested = |row: &Value| row["trace"].to_string().contains("\"by\":\"health_check\"");
    assert!(log.iter().any(rested), "{log:#?}");
    let metrics = fleet.worker().get("/metrics").await.text();
    assert!(metrics.contains("modelux_breaker_state{org=\"default\",target=\"checked/*\"}"), "{metrics}");
    for outcome in ["ok", "status", "timeout", "connect", "credential"] {
        let line = format!("modelux_health_checks_total{{org=\"default\",outcome=\"{outcome}\",provider=\"checked\"}}");
        assert!(metrics.contains(&line), "{outcome}: {metrics}");
    }
}

/// A check is no model call: it is a GET with the provider's credential, and nothing of it is in the log or in the bill.
#[tokio::test]
async fn a_check_asks_for_the_list_of_models_and_costs_nothing() {
    let (fleet, checked, _) = with_check(every_second()).await;
    until_checked(&checked, 2).await;
    let asked = checks(&checked).remove(0);
    assert_eq!((asked.target.as_str(), asked.body.len()), ("GET /v1/models", 0));
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {UPSTREAM_KEY}").as_str()));
    assert_eq!(checks(&checked).len(), checked.count());
    assert_eq!(fleet.provider.count(), 0, "who is not to be checked is not");
    let logs = fleet.owner().query("{ requestLogs(first: 5) { nodes { id } } }").await;
    assert_eq!(logs["requestLogs"]["nodes"].as_array().map(Vec::len), Some(0));
}

/// A bundle that checks something else, or nothing, holds at once; what was held back for a check is free then.
#[tokio::test]
async fn what_is_not_checked_any_more_is_not_held_back() {
    let (fleet, checked, applied) = with_check(json!({"interval_seconds": 1, "path": "/health?deep=1"})).await;
    checked.always("", Answer::error(500));
    until_served_by(&fleet, &applied, ("@falls", "sim")).await;
    assert_eq!(checks(&checked)[0].target, "GET /v1/health?deep=1");
    let mut without = wanted(&fleet, &checked, Value::Null);
    without["providers"][2].as_object_mut().unwrap().remove("health_check");
    without["providers"][0]["health_check"] = every_second();
    fleet.enforce(&without).await;
    until_served_by(&fleet, &applied, ("@falls", "checked")).await;
    let before = checks(&checked).len();
    until_checked(&fleet.provider, 3).await;
    assert_eq!(checks(&checked).len(), before, "while another one is checked again and again");
}

/// An answer says that somebody is there, whatever it says.
#[tokio::test]
async fn a_list_that_is_missing_or_not_for_this_key_rests_nobody() {
    let (fleet, checked, applied) = with_check(every_second()).await;
    for status in [404, 403, 429] {
        checked.always("", Answer::error(status));
        until_checked(&checked, 2).await;
        assert_eq!(served_by(&fleet, &applied, "@falls").await, "checked", "{status}");
    }
}

/// Where everything rests, better a try than a refusal.
#[tokio::test]
async fn a_provider_that_nobody_can_replace_is_asked_all_the_same() {
    let (fleet, checked, applied) = with_check(every_second()).await;
    checked.always("", Answer::error(503));
    until_served_by(&fleet, &applied, ("@falls", "sim")).await;
    assert_eq!(served_by(&fleet, &applied, "checked/one").await, "checked");
}

#[tokio::test]
async fn a_check_that_would_spend_is_refused_by_name() {
    let (fleet, checked) = (Fleet::start().await, SimulatedProvider::start().await);
    let file = fleet.write(&wanted(&fleet, &checked, json!({"path": "/chat/completions"})));
    let (status, output, errors) = fleet.modelux(&["apply", "-f", &file, "--yes"]).await;
    let said = format!("{output}{errors}");
    assert!(status == 1 && said.contains("health_check.path") && said.contains("where a model is asked"), "{said}");
}
