//! Hedging: who is slow gets somebody beside them, both are held and paid, and the ledger says what the provider saw.

use std::time::Duration;

use serde_json::{Value, json};
use tests::fleet::{Applied, Fleet, manifest, nano, priced_model};
use tests::provider::{Answer, Gate, Usage};
use tests::wait::{SOON, until};

/// What a usage of 20 and 10 tokens costs at each of the three.
const FIRST: i64 = 40_000;
const SECOND: i64 = 80_000;
const THIRD: i64 = 120_000;
/// Nano-USD for a token of input.
const FIRST_INPUT: i64 = 1_000;
const SECOND_INPUT: i64 = 2_000;
/// Long after the hedge.
const LATER: Duration = Duration::from_millis(700);

async fn with_configs(configs: Value, cap_usd: &str) -> (Fleet, Applied) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    let priced = [priced_model("first", 1.0, 2.0), priced_model("second", 2.0, 4.0), priced_model("third", 3.0, 6.0)];
    wanted["models"].as_array_mut().unwrap().extend(priced);
    wanted["routing_configs"] = configs;
    wanted["budgets"] = json!([{"name": "all", "scope": "organization", "period": "total", "cap_usd": cap_usd}]);
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied)
}

fn fallback(models: &[&str]) -> Value {
    let attempts: Vec<Value> = models.iter().map(|model| json!({"model": model})).collect();
    json!([{"slug": "hedged", "strategy": "fallback", "attempts": attempts, "hedge_after_ms": 150}])
}

fn single(model: &str) -> Value {
    json!({"slug": "hedged", "strategy": "single", "model": model, "hedge_after_ms": 150})
}

fn usual() -> Answer {
    Answer::of(Usage { prompt: 20, completion: 10, ..Usage::default() })
}

fn never() -> Answer {
    usual().held_by(&Gate::default())
}

/// The tokens that a cancelled call is taken to have read.
async fn bound(fleet: &Fleet, key: &str) -> i64 {
    let report = fleet.chat(key, "@hedged").header("X-Modelux-Dry-Run", "true").ok().await.json();
    report["estimate"]["input_tokens_bound"].as_i64().unwrap()
}

/// Models and whether their caller went away, in the order in which they were asked.
fn seen(fleet: &Fleet) -> Vec<(String, bool)> {
    fleet.provider.requests().iter().map(|request| (request.model(), request.abandoned)).collect()
}

async fn until_seen(fleet: &Fleet, expected: &[(&str, bool)]) {
    let expected: Vec<(String, bool)> = expected.iter().map(|(model, abandoned)| ((*model).to_owned(), *abandoned)).collect();
    until(&format!("the provider has seen {expected:?}"), SOON, || async { (seen(fleet) == expected).then_some(()) }).await;
}

/// The only hedge of a request in its trace.
fn hedge(row: &Value) -> Value {
    let steps = row["trace"]["steps"].as_array().unwrap();
    let hedges: Vec<&Value> = steps.iter().filter(|step| step["step"] == "hedged").collect();
    assert_eq!(hedges.len(), 1, "{row}");
    hedges[0].clone()
}

fn attempts(row: &Value) -> Vec<(String, String)> {
    let steps = row["trace"]["steps"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    steps.iter().filter(|step| step["step"] == "attempt").map(|step| (text(&step["target"]), text(&step["outcome"]))).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

/// Issue 3, point 4: the first good answer wins, the loser is cancelled, and both are in the bill.
#[tokio::test]
async fn the_second_wins_where_the_first_stays_silent_and_both_are_paid() {
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "1").await;
    let key = applied.key("app/main");
    fleet.provider.always("first", never());
    let reply = fleet.chat(&key, "@hedged").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("second"));
    until_seen(&fleet, &[("first", true), ("second", false)]).await;
    let cost = SECOND + bound(&fleet, &key).await * FIRST_INPUT;
    assert_eq!(nano(&json!(reply.header("x-modelux-cost-usd"))), cost);
    let row = fleet.logged(1, "status: 200").await.remove(0);
    assert_eq!(
        (nano(&row["costUsd"]), row["model"].as_str(), row["usageSource"].as_str()),
        (cost, Some("second"), Some("partial_estimate"))
    );
    let noted = json!({"step": "hedged", "target": "sim/first", "second": "sim/second", "after_ms": 150, "outcome": "second"});
    assert_eq!(hedge(&row), noted);
    assert_eq!(attempts(&row), pairs(&[("sim/first", "cancelled"), ("sim/second", "ok")]));
    fleet.settled("all", cost).await;
}

#[tokio::test]
async fn the_first_wins_where_it_answers_after_all_and_the_second_is_cancelled() {
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "1").await;
    let key = applied.key("app/main");
    fleet.provider.always("first", usual().after(LATER));
    fleet.provider.always("second", never());
    let reply = fleet.chat(&key, "@hedged").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("first"));
    until_seen(&fleet, &[("first", false), ("second", true)]).await;
    let cost = FIRST + bound(&fleet, &key).await * SECOND_INPUT;
    assert_eq!(nano(&json!(reply.header("x-modelux-cost-usd"))), cost);
    let row = fleet.logged(1, "status: 200").await.remove(0);
    assert_eq!((nano(&row["costUsd"]), row["model"].as_str()), (cost, Some("first")));
    assert_eq!(hedge(&row)["outcome"], "first");
    fleet.settled("all", cost).await;
}

/// A stream has given no sign of life before its first piece; what wins is passed on as it comes.
#[tokio::test]
async fn a_stream_whose_first_piece_is_late_is_hedged_and_the_winner_is_passed_on() {
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "1").await;
    let key = applied.key("app/main");
    let cost = SECOND + bound(&fleet, &key).await * FIRST_INPUT;
    let silent = Answer::stream([""]).held_after_the_first_piece(&Gate::default());
    for (asked, slow) in [never(), silent].into_iter().enumerate() {
        fleet.provider.always("first", slow);
        let reply = fleet.chat(&key, "@hedged").streamed().ok().await;
        let events = reply.events();
        assert_eq!(reply.header("x-modelux-model-used"), Some("second"), "{events:?}");
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
        let told = policy::money::NanoUsd::from_nanos(cost).to_string();
        assert!(events.iter().any(|event| event.contains("mlx:cost_usd") && event.contains(&told)), "{told}: {events:?}");
        until(&format!("{asked}: the slow one is cancelled"), SOON, || async { seen(&fleet)[2 * asked].1.then_some(()) }).await;
    }
    assert!(fleet.logged(2, "status: 200").await.iter().all(|row| nano(&row["costUsd"]) == cost));
    fleet.settled("all", 2 * cost).await;
}

/// A whole answer whose head is there is waited for.
#[tokio::test]
async fn nobody_else_is_asked_once_the_head_is_there_or_where_the_answer_comes_in_time() {
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "1").await;
    let key = applied.key("app/main");
    let text = fleet.chat(&key, "@hedged").ok().await.text();
    let (head, tail) = text.split_at(text.len() / 2);
    fleet.provider.always("first", Answer::stream_of("application/json", [head, tail]).pausing_after_the_first_piece(LATER));
    fleet.chat(&key, "@hedged").ok().await;
    assert_eq!(fleet.provider.count(), 2);
    let log = fleet.logged(2, "status: 200").await;
    assert!(!log.iter().any(|row| row["trace"].to_string().contains("\"step\":\"hedged\"")), "{log:#?}");
}

/// Where both fail the route goes on behind both.
#[tokio::test]
async fn where_both_fail_the_next_one_is_asked_and_without_a_next_one_it_is_said() {
    for (models, status, cost) in [(&["sim/first", "sim/second", "sim/third"][..], 200, THIRD), (&["sim/first", "sim/second"], 502, 0)] {
        let (fleet, applied) = with_configs(fallback(models), "1").await;
        fleet.provider.always("first", Answer::error(503).after(LATER));
        fleet.provider.always("second", Answer::error(500));
        let reply = fleet.chat(&applied.key("app/main"), "@hedged").send().await;
        assert_eq!(reply.status(), status, "{}", reply.text());
        assert_eq!(fleet.provider.count(), models.len());
        let row = fleet.logged(1, &format!("status: {status}")).await.remove(0);
        assert_eq!((nano(&row["costUsd"]), hedge(&row)["outcome"].as_str()), (cost, Some("neither")));
        assert_eq!(attempts(&row)[..2], pairs(&[("sim/second", "5xx"), ("sim/first", "5xx")]));
        fleet.settled("all", cost).await;
    }
}

/// A refusal of the request itself is what the caller gets where nobody else has better news.
#[tokio::test]
async fn a_refusal_of_the_request_outlasts_the_failure_of_the_other_one() {
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second", "sim/third"]), "1").await;
    fleet.provider.always("first", Answer::error(400).after(Duration::from_millis(400)));
    fleet.provider.always("second", Answer::error(503).after(LATER));
    let reply = fleet.chat(&applied.key("app/main"), "@hedged").send().await;
    assert_eq!((reply.status(), fleet.provider.count()), (400, 2), "{}", reply.text());
}

/// No admission, no upstream: where the money for two is not there, the first one goes on alone.
#[tokio::test]
async fn a_budget_that_can_not_hold_two_lets_the_first_go_on_alone() {
    // About 111 tokens of input and 100 of output are held: 0.00031 USD, and 0.00062 for the second.
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "0.0007").await;
    fleet.provider.always("first", usual().after(LATER));
    let reply = fleet.chat(&applied.key("app/main"), "@hedged").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("first"));
    assert_eq!(fleet.provider.count(), 1);
    let row = fleet.logged(1, "status: 200").await.remove(0);
    assert_eq!((nano(&row["costUsd"]), hedge(&row)["outcome"].as_str()), (FIRST, Some("not_held")));
    fleet.settled("all", FIRST).await;
}

/// What can't be had beside the first can be had after it: its money is free again then.
#[tokio::test]
async fn who_could_not_be_asked_beside_the_first_is_asked_after_it() {
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "0.0007").await;
    fleet.provider.always("first", Answer::error(503).after(LATER));
    let reply = fleet.chat(&applied.key("app/main"), "@hedged").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("second"));
    fleet.settled("all", SECOND).await;
}

#[tokio::test]
async fn a_caller_who_leaves_while_both_are_open_cancels_both_and_pays_for_both() {
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "1").await;
    let key = applied.key("app/main");
    fleet.provider.always("first", never());
    fleet.provider.always("second", never());
    let connection = fleet.chat(&key, "@hedged").open().await;
    until_seen(&fleet, &[("first", false), ("second", false)]).await;
    drop(connection);
    until_seen(&fleet, &[("first", true), ("second", true)]).await;
    let cost = bound(&fleet, &key).await * (FIRST_INPUT + SECOND_INPUT);
    let row = fleet.logged(1, "status: 499").await.remove(0);
    assert_eq!((nano(&row["costUsd"]), hedge(&row)["outcome"].as_str()), (cost, Some("open")));
    fleet.settled("all", cost).await;
}

/// both were reserved before they were sent, so a worker that is killed leaves both.
#[tokio::test]
async fn a_worker_killed_while_both_are_open_leaves_what_was_held_for_both() {
    let (mut fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "1").await;
    let key = applied.key("app/main");
    let held = (bound(&fleet, &key).await + 2 * 100) * (FIRST_INPUT + SECOND_INPUT);
    fleet.provider.always("first", never());
    fleet.provider.always("second", never());
    let connection = fleet.chat(&key, "@hedged").open().await;
    until_seen(&fleet, &[("first", false), ("second", false)]).await;
    fleet.workers[0].restart().await;
    drop(connection);
    fleet.settled("all", held).await;
}

/// `single` has nobody else; and a loser is no failure, however often it loses.
#[tokio::test]
async fn the_only_target_is_asked_once_more_and_losing_opens_no_breaker() {
    let (fleet, applied) = with_configs(json!([single("sim/first")]), "1").await;
    let key = applied.key("app/main");
    for _ in 0..7 {
        fleet.provider.next(never());
        fleet.chat(&key, "@hedged").ok().await;
    }
    let log = fleet.logged(7, "status: 200").await;
    assert!(log.iter().all(|row| hedge(row)["second"] == "sim/first" && hedge(row)["outcome"] == "second"), "{log:#?}");
    fleet.settled("all", 7 * (FIRST + bound(&fleet, &key).await * FIRST_INPUT)).await;
}

/// Who rests is not woken by a hedge.
#[tokio::test]
async fn a_target_whose_breaker_is_open_is_not_asked_beside_another() {
    let (fleet, applied) = with_configs(fallback(&["sim/first", "sim/second"]), "1").await;
    let key = applied.key("app/main");
    fleet.provider.always("second", Answer::error(503));
    for _ in 0..5 {
        fleet.chat(&key, "sim/second").send().await;
    }
    fleet.provider.next(never());
    let reply = fleet.chat(&key, "@hedged").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("first"));
    let row = fleet.logged(1, "status: 200").await.remove(0);
    assert_eq!((hedge(&row)["second"].as_str(), hedge(&row)["outcome"].as_str()), (Some("sim/first"), Some("second")));
}

/// Asking twice must do no more than asking once.
#[tokio::test]
async fn what_the_provider_would_keep_or_do_is_never_asked_twice() {
    let (fleet, applied) = with_configs(json!([single("sim/first")]), "1").await;
    let key = applied.key("app/main");
    fleet.provider.always("first", usual().after(Duration::from_millis(500)));
    fleet.chat(&key, "@hedged").with("store", true).ok().await;
    assert_eq!(fleet.provider.count(), 1);
    fleet.chat(&key, "@hedged").with("store", false).ok().await;
    assert_eq!(fleet.provider.count(), 3);
}

/// Steps of a cascade and members of an ensemble are hedged as their own configs say.
#[tokio::test]
async fn a_step_of_a_cascade_is_hedged_as_its_own_config_says() {
    let mut configs = json!([single("sim/first")]);
    configs[0]["slug"] = json!("step");
    let steps = json!([{"model": "@step", "accept": "response.text != ''"}, {"model": "sim/third"}]);
    configs.as_array_mut().unwrap().push(json!({"slug": "hedged", "strategy": "cascade", "steps": steps}));
    let (fleet, applied) = with_configs(configs, "1").await;
    let key = applied.key("app/main");
    let cost = FIRST + bound(&fleet, &key).await * FIRST_INPUT;
    for streamed in [false, true] {
        fleet.provider.next(never());
        let chat = fleet.chat(&key, "@hedged");
        let reply = if streamed { chat.streamed() } else { chat }.ok().await;
        assert!(reply.text().contains("word1"), "{}", reply.text());
    }
    let log = fleet.logged(2, "status: 200").await;
    assert!(log.iter().all(|row| nano(&row["costUsd"]) == cost && hedge(row)["outcome"] == "second"), "{log:#?}");
    fleet.settled("all", 2 * cost).await;
}

#[tokio::test]
async fn a_hedge_that_makes_no_sense_is_refused_by_name() {
    let fleet = Fleet::start().await;
    for more in [json!({"hedge_after_ms": 0}), json!({"hedge_after_ms": 400, "first_byte_timeout_ms": 400})] {
        let mut wanted = manifest(&fleet.provider);
        let mut config = single("sim/gpt-test");
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        wanted["routing_configs"] = json!([config]);
        let (status, output, errors) = fleet.modelux(&["apply", "-f", &fleet.write(&wanted), "--yes"]).await;
        let said = format!("{output}{errors}");
        assert!(status == 1 && said.contains("hedge_after_ms"), "{more}: {said}");
    }
}
