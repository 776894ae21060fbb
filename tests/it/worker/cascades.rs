//! Cascades: cheap models first, each held and paid for, until an answer will do.

use serde_json::{Value, json};
use tests::fleet::{Applied, Fleet, manifest, nano, priced_model};
use tests::provider::{Answer, Usage};

/// What a usage of 20 and 10 tokens costs at each of the three.
const SMALL: i64 = 40_000;
const MEDIUM: i64 = 80_000;
const LARGE: i64 = 120_000;

async fn with_steps(accept: [&str; 2], cap_usd: &str, more: &[Value]) -> (Fleet, Applied) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["models"].as_array_mut().unwrap().extend([
        priced_model("small", 1.0, 2.0),
        priced_model("medium", 2.0, 4.0),
        priced_model("large", 3.0, 6.0),
    ]);
    let [first, second] = accept;
    let steps = json!([{"model": "sim/small", "accept": first}, {"model": "sim/medium", "accept": second}, {"model": "sim/large"}]);
    let mut configs = vec![json!({"slug": "steps", "strategy": "cascade", "steps": steps})];
    configs.extend_from_slice(more);
    wanted["routing_configs"] = Value::Array(configs);
    wanted["budgets"] = json!([{"name": "all", "scope": "organization", "period": "total", "cap_usd": cap_usd}]);
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied)
}

fn saying(text: &str) -> Answer {
    Answer::saying(text, Usage { prompt: 20, completion: 10, ..Usage::default() })
}

fn says(fleet: &Fleet, texts: [&str; 3]) {
    for (model, text) in ["small", "medium", "large"].into_iter().zip(texts) {
        fleet.provider.always(model, saying(text));
    }
}

const SURE: &str = "response.json.score >= 0.8";

#[tokio::test]
async fn the_first_answer_that_will_do_is_given_and_those_before_it_are_paid() {
    let (fleet, applied) = with_steps([SURE, SURE], "1", &[]).await;
    says(&fleet, [r#"{"score": 0.2}"#, r#"{"score": 0.9}"#, "never asked"]);
    let reply = fleet.chat(&applied.key("app/main"), "@steps").ok().await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], r#"{"score": 0.9}"#);
    assert_eq!(reply.header("x-modelux-model-used"), Some("medium"));
    assert_eq!(reply.header("x-modelux-cost-usd"), Some("0.00012"));
    assert_eq!(fleet.provider.count(), 2);
    fleet.settled("all", SMALL + MEDIUM).await;
    let log = fleet.logged(1, "status: 200").await;
    assert_eq!((nano(&log[0]["costUsd"]), log[0]["model"].as_str()), (SMALL + MEDIUM, Some("medium")));
    let trace = log[0]["trace"].to_string();
    for step in [r#""outcome":"rejected""#, r#""outcome":"accepted""#, r#""step":"cascade""#] {
        assert!(trace.contains(step), "{step}: {trace}");
    }
}

#[tokio::test]
async fn the_last_step_is_always_accepted_and_streamed_to_who_wants_a_stream() {
    let (fleet, applied) = with_steps(["response.json.label.startsWith('a')", SURE], "1", &[]).await;
    says(&fleet, ["prose", "prose", "the last word"]);
    let reply = fleet.chat(&applied.key("app/main"), "@steps").streamed().ok().await;
    let text = reply.text();
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert!(text.contains("the last word") && !text.contains("prose") && text.trim_end().ends_with("data: [DONE]"), "{text}");
    assert!(fleet.provider.requests().iter().all(|request| request.json()["stream"] == false));
    fleet.settled("all", SMALL + MEDIUM + LARGE).await;
    let trace = fleet.logged(1, "status: 200").await[0]["trace"].to_string();
    assert!(trace.contains(r#""outcome":"errored""#) && trace.contains("`response.json.label` is missing"), "{trace}");
}

#[tokio::test]
async fn a_step_that_fails_leads_on_and_the_last_one_fails_the_request() {
    let (fleet, applied) = with_steps(["true", "true"], "1", &[]).await;
    let key = applied.key("app/main");
    says(&fleet, ["", "", "large"]);
    fleet.provider.always("small", Answer::error(400));
    fleet.provider.always("medium", Answer::error(503));
    assert_eq!(fleet.chat(&key, "@steps").ok().await.header("x-modelux-model-used"), Some("large"));
    fleet.settled("all", LARGE).await;
    fleet.provider.always("large", Answer::error(503));
    assert_eq!(fleet.chat(&key, "@steps").send().await.status(), 502);
    fleet.settled("all", LARGE).await;
}

/// No admission, no upstream: a step that the budget can't hold is not asked.
#[tokio::test]
async fn a_step_whose_money_can_not_be_held_is_passed_over() {
    // About 111 tokens of input and 100 of output are held for each: 0.00031, 0.00062 and 0.00093 USD.
    let (fleet, applied) = with_steps(["false", "true"], "0.0005", &[]).await;
    says(&fleet, ["small", "medium", "large"]);
    assert_eq!(fleet.chat(&applied.key("app/main"), "@steps").send().await.status(), 402);
    assert_eq!(fleet.provider.count(), 1);
    fleet.settled("all", SMALL).await;
}

#[tokio::test]
async fn a_cascade_stands_in_a_fallback_and_an_ensemble_in_a_cascade() {
    let more = [
        json!({"slug": "both", "strategy": "ensemble", "aggregation": "weighted_vote", "members": [{"model": "sim/small"}, {"model": "sim/medium"}]}),
        json!({"slug": "nested", "strategy": "cascade", "steps": [{"model": "@both", "accept": "response.text == 'yes'"}, {"model": "sim/large"}]}),
        json!({"slug": "falls", "strategy": "fallback", "attempts": [{"model": "@nested"}, {"model": "sim/free"}]}),
    ];
    let (fleet, applied) = with_steps(["true", "true"], "1", &more).await;
    let key = applied.key("app/main");
    says(&fleet, ["yes", "yes", "large"]);
    assert_eq!(fleet.chat(&key, "@falls").ok().await.header("x-modelux-model-used"), Some("small"));
    says(&fleet, ["no", "no", "large"]);
    assert_eq!(fleet.chat(&key, "@falls").ok().await.header("x-modelux-model-used"), Some("large"));
    fleet.provider.always("large", Answer::error(503));
    assert_eq!(fleet.chat(&key, "@falls").ok().await.header("x-modelux-model-used"), Some("free"));
    fleet.settled("all", 3 * (SMALL + MEDIUM) + LARGE).await;
}
