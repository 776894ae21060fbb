//! Ensembles: several are asked at once, each is held and paid for, and the caller gets one answer.

use std::time::Duration;

use serde_json::{Value, json};
use tests::fleet::{Applied, Fleet, manifest, nano, priced_model};
use tests::provider::{Answer, Gate, Usage};
use tests::wait::until;

/// What a usage of 20 and 10 tokens costs at each of the three.
const FIRST: i64 = 40_000;
const SECOND: i64 = 80_000;
const THIRD: i64 = 120_000;

async fn with_configs(configs: Value, cap_usd: &str) -> (Fleet, Applied) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["models"].as_array_mut().unwrap().extend([
        priced_model("first", 1.0, 2.0),
        priced_model("second", 2.0, 4.0),
        priced_model("third", 3.0, 6.0),
        priced_model("judge", 1.0, 2.0),
    ]);
    wanted["routing_configs"] = configs;
    wanted["budgets"] = json!([{"name": "all", "scope": "organization", "period": "total", "cap_usd": cap_usd}]);
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied)
}

fn ensemble(aggregation: &str, more: Value) -> Value {
    let members = json!([{"model": "sim/first"}, {"model": "sim/second"}, {"model": "sim/third"}]);
    let mut config = json!({"slug": "all", "strategy": "ensemble", "aggregation": aggregation, "members": members});
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    json!([config])
}

fn saying(text: &str) -> Answer {
    Answer::saying(text, Usage { prompt: 20, completion: 10, ..Usage::default() })
}

fn says(fleet: &Fleet, texts: [&str; 3]) {
    for (model, text) in ["first", "second", "third"].into_iter().zip(texts) {
        fleet.provider.always(model, saying(text));
    }
}

/// Issue 3, point 4: votes on normalised answers; every member is in the bill and in the trace.
#[tokio::test]
async fn what_most_members_agree_on_is_answered_and_all_are_paid() {
    let (fleet, applied) = with_configs(ensemble("weighted_vote", json!({})), "1").await;
    says(&fleet, ["No", "Yes.", "yes"]);
    let reply = fleet.chat(&applied.key("app/main"), "@all").ok().await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Yes.");
    assert_eq!(reply.header("x-modelux-model-used"), Some("second"));
    assert_eq!(reply.header("x-modelux-cost-usd"), Some("0.00024"));
    assert_eq!(fleet.provider.count(), 3);
    fleet.settled("all", FIRST + SECOND + THIRD).await;
    let log = fleet.logged(1, "status: 200").await;
    assert_eq!((nano(&log[0]["costUsd"]), log[0]["model"].as_str()), (FIRST + SECOND + THIRD, Some("second")));
    let trace = log[0]["trace"].to_string();
    for step in ["\"aggregation\":\"weighted_vote\"", "\"outcome\":\"chosen\"", "sim/first", "sim/third"] {
        assert!(trace.contains(step), "{step}: {trace}");
    }
}

/// The answer of an ensemble is replayed to who asked for a stream; nobody upstream is asked for one.
#[tokio::test]
async fn a_stream_is_made_of_what_was_decided() {
    let (fleet, applied) = with_configs(ensemble("weighted_average", json!({})), "1").await;
    says(&fleet, ["1", "2", "6"]);
    let reply = fleet.chat(&applied.key("app/main"), "@all").streamed().ok().await;
    let text = reply.text();
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert!(text.contains("\"3.0\"") && text.trim_end().ends_with("data: [DONE]"), "{text}");
    assert!(fleet.provider.requests().iter().all(|request| request.json()["stream"] == false));
    fleet.settled("all", FIRST + SECOND + THIRD).await;
}

/// Partial failure: who fails costs nothing, and a quorum decides whether that is enough.
#[tokio::test]
async fn members_that_fail_do_not_count_and_a_quorum_is_kept() {
    for (quorum, status) in [(1, 200), (2, 502)] {
        let (fleet, applied) = with_configs(ensemble("weighted_vote", json!({"quorum": quorum})), "1").await;
        says(&fleet, ["", "", "yes"]);
        fleet.provider.always("first", Answer::error(503));
        fleet.provider.always("second", Answer::error(429));
        let reply = fleet.chat(&applied.key("app/main"), "@all").send().await;
        assert_eq!(reply.status(), status, "{}", reply.text());
        assert_eq!(reply.text().contains("ensemble_undecided"), status == 502, "{}", reply.text());
        fleet.settled("all", THIRD).await;
    }
}

/// `timeout_ms`: who is too slow is cancelled, and its input is paid.
#[tokio::test]
async fn a_member_that_is_too_slow_is_cancelled_and_settled() {
    let (fleet, applied) = with_configs(ensemble("weighted_vote", json!({"timeout_ms": 600})), "1").await;
    says(&fleet, ["yes", "yes", ""]);
    fleet.provider.always("third", Answer::default().held_by(&Gate::default()));
    fleet.chat(&applied.key("app/main"), "@all").ok().await;
    let log = fleet.logged(1, "status: 200").await;
    let cost = nano(&log[0]["costUsd"]);
    let cancelled = cost - FIRST - SECOND;
    assert!(cancelled > 0 && cancelled % 3_000 == 0, "input alone, at its own price: {cancelled}");
    assert_eq!(log[0]["usageSource"], "partial_estimate");
    fleet.settled("all", cost).await;
}

/// Losers of `first_valid` are cancelled at the provider and settled right.
#[tokio::test]
async fn the_first_usable_answer_wins_and_the_others_are_cancelled() {
    let (fleet, applied) = with_configs(ensemble("first_valid", json!({})), "1").await;
    let never = Gate::default();
    says(&fleet, ["", "", "mine"]);
    fleet.provider.always("first", Answer::default().held_by(&never));
    fleet.provider.always("third", saying("mine").after(Duration::from_millis(300)));
    let reply = fleet.chat(&applied.key("app/main"), "@all").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("third"), "an empty answer is no answer");
    let log = fleet.logged(1, "status: 200").await;
    let cost = nano(&log[0]["costUsd"]);
    let cancelled = cost - SECOND - THIRD;
    assert!(cancelled > 0 && cancelled % 1_000 == 0, "input alone, at its own price: {cancelled}");
    let trace = log[0]["trace"].to_string();
    assert!(trace.contains("\"outcome\":\"cancelled\"") && trace.contains("\"outcome\":\"invalid\""), "{trace}");
    fleet.settled("all", cost).await;
}

/// No admission, no upstream: a member that the budget can't hold is not asked.
#[tokio::test]
async fn a_member_whose_money_can_not_be_held_is_not_asked() {
    // About 111 tokens of input and 100 of output are held for each: 0.00031, 0.00062 and 0.00093 USD.
    let (fleet, applied) = with_configs(ensemble("weighted_vote", json!({})), "0.00095").await;
    says(&fleet, ["yes", "yes", "no"]);
    fleet.chat(&applied.key("app/main"), "@all").ok().await;
    let asked: Vec<String> = fleet.provider.requests().iter().map(tests::provider::Recorded::model).collect();
    assert!(!asked.contains(&"third".to_owned()) && asked.len() == 2, "{asked:?}");
    fleet.settled("all", FIRST + SECOND).await;
}

/// The judge is an attempt too.
#[tokio::test]
async fn a_judge_decides_and_is_paid_or_else_weight_does() {
    let (fleet, applied) = with_configs(ensemble("llm_judge", json!({"judge": "sim/judge"})), "1").await;
    let key = applied.key("app/main");
    says(&fleet, ["one", "two", "three"]);
    fleet.provider.always("judge", saying("{\"best\": 2}"));
    let reply = fleet.chat(&key, "@all").ok().await;
    let (used, judged) = (reply.header("x-modelux-model-used").unwrap_or_default().to_owned(), fleet.provider.last());
    assert_eq!(judged.model(), "judge");
    let material: Value = serde_json::from_str(judged.json()["messages"][1]["content"].as_str().unwrap()).unwrap();
    assert_eq!((material["answers"][1]["answer"].as_str(), used.as_str()), (Some("two"), "second"));
    fleet.settled("all", FIRST + SECOND + THIRD + FIRST).await;
    fleet.provider.always("judge", Answer::error(500));
    assert_eq!(fleet.chat(&key, "@all").ok().await.header("x-modelux-model-used"), Some("first"));
}

/// Nested: rules lead to a test, the test to a fallback, the fallback to an ensemble and on from it.
#[tokio::test]
async fn an_ensemble_that_fails_deep_inside_leads_on() {
    let mut configs = ensemble("weighted_vote", json!({"quorum": 3}));
    configs.as_array_mut().unwrap().extend([
        json!({"slug": "rules", "strategy": "custom_rules", "rules": [{"if": "request.stream", "then": {"deny": "no streams"}}, {"else": "@test"}]}),
        json!({"slug": "test", "strategy": "ab_test", "variants": [{"name": "only", "weight": 1, "config": "@falls"}]}),
        json!({"slug": "falls", "strategy": "fallback", "attempts": [{"model": "@all"}, {"model": "sim/free"}]}),
    ]);
    let (fleet, applied) = with_configs(configs, "1").await;
    says(&fleet, ["a", "a", "a"]);
    let key = applied.key("app/main");
    assert_eq!(fleet.chat(&key, "@rules").ok().await.header("x-modelux-model-used"), Some("first"));
    fleet.provider.always("third", Answer::error(503));
    let reply = fleet.chat(&key, "@rules").ok().await;
    assert_eq!((reply.header("x-modelux-model-used"), reply.header("x-modelux-ab-variant")), (Some("free"), Some("only")));
    fleet.settled("all", 2 * (FIRST + SECOND) + THIRD).await;
}

/// A caller that leaves cancels every member.
#[tokio::test]
async fn a_caller_that_leaves_cancels_every_member() {
    let (fleet, applied) = with_configs(ensemble("weighted_vote", json!({})), "1").await;
    let never = Gate::default();
    for model in ["first", "second", "third"] {
        fleet.provider.always(model, Answer::default().held_by(&never));
    }
    let chat = fleet.chat(&applied.key("app/main"), "@all");
    let asking = tokio::spawn(async move { chat.send().await });
    until("all three are asked", Duration::from_secs(10), || async { (fleet.provider.count() == 3).then_some(()) }).await;
    asking.abort();
    let log = fleet.logged(1, "status: 499").await;
    fleet.settled("all", nano(&log[0]["costUsd"])).await;
    assert!(nano(&log[0]["costUsd"]) > 0);
}
