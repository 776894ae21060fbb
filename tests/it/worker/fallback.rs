//! Falling back: on which failures, how often, and what it costs.

use std::time::Duration;

use serde_json::{Value, json};
use tests::fleet::{Applied, Fleet, manifest, nano};
use tests::provider::{Answer, Gate, Usage};

async fn with_fallback(config: Value) -> (Fleet, Applied) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    let mut document = json!({"slug": "both", "strategy": "fallback", "attempts": [{"model": "sim/first", "timeout_ms": 300}, {"model": "other/gpt-test"}]});
    for (name, value) in config.as_object().unwrap() {
        document[name] = value.clone();
    }
    wanted["routing_configs"] = json!([document]);
    wanted["models"]
        .as_array_mut()
        .unwrap()
        .push(json!({"model": "sim/first", "input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "max_output_tokens": 1000}));
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied)
}

/// Contract 3: 429, 5xx, timeout and a broken connection lead on; the answer says who gave it.
#[tokio::test]
async fn a_failure_of_any_listed_kind_leads_to_the_next_target() {
    let (fleet, applied) = with_fallback(json!({})).await;
    let key = applied.key("app/main");
    for (kind, answer) in [
        ("429", Answer::error(429)),
        ("503", Answer::error(503)),
        ("timeout", Answer::default().held_by(&Gate::default())),
        ("connect", Answer::hang_up()),
    ] {
        fleet.provider.always("first", answer);
        for streamed in [false, true] {
            let chat = fleet.chat(&key, "@both");
            let reply = if streamed { chat.streamed() } else { chat }.send().await;
            assert_eq!(reply.status(), 200, "{kind} {streamed}: {}", reply.text());
            assert_eq!(reply.header("x-modelux-provider-used"), Some("other"), "{kind} {streamed}");
        }
    }
}

/// A connection that waited may be let go just as it is used again. The provider may have the request all the same: it is asked again, and each
/// attempt is held, journaled and booked on its own.
#[tokio::test]
async fn a_request_that_is_sent_twice_is_two_attempts() {
    let (fleet, key) = Fleet::governed().await;
    fleet.chat(&key, "sim/gpt-test").ok().await;
    fleet.provider.next(Answer::hang_up());
    fleet.chat(&key, "sim/gpt-test").ok().await;
    assert_eq!(fleet.provider.count(), 3);
    let log = fleet.logged(2, "").await;
    let row = log.iter().max_by_key(|row| nano(&row["costUsd"])).expect("a row");
    let steps = row["trace"]["steps"].as_array().unwrap();
    let of = |kind: &str| steps.iter().filter(|step| step["step"] == kind).collect::<Vec<_>>();
    let outcomes: Vec<_> = of("attempt").iter().map(|step| step["outcome"].clone()).collect();
    assert_eq!((of("reserved").len(), outcomes), (2, vec![json!("connect"), json!("ok")]), "{steps:#?}");
    let once = log.iter().map(|row| nano(&row["costUsd"])).min().expect("a row");
    assert!(nano(&row["costUsd"]) > once, "what the first may have cost is in it: {log:#?}");
}

/// Contract 3: what is not in `retry_on` is final.
#[tokio::test]
async fn a_failure_that_is_not_listed_is_final() {
    let (fleet, applied) = with_fallback(json!({"retry_on": ["timeout"]})).await;
    fleet.provider.always("first", Answer::error(503));
    let reply = fleet.chat(&applied.key("app/main"), "@both").send().await;
    assert_eq!(reply.status(), 502, "{}", reply.text());
    assert_eq!(fleet.provider.count(), 1);
}

/// A provider's own refusal of the request is not tried elsewhere.
#[tokio::test]
async fn a_bad_request_is_not_tried_again() {
    let (fleet, applied) = with_fallback(json!({})).await;
    fleet.provider.always("first", Answer::error(400));
    let reply = fleet.chat(&applied.key("app/main"), "@both").send().await;
    assert_eq!(reply.status(), 400);
    assert_eq!(fleet.provider.count(), 1);
}

/// Contract 3: `total_budget_ms` bounds all attempts together.
#[tokio::test]
async fn all_attempts_together_keep_to_their_time() {
    let (fleet, applied) = with_fallback(json!({"total_budget_ms": 500})).await;
    let never = Gate::default();
    fleet.provider.always("first", Answer::default().held_by(&never));
    fleet.provider.always("gpt-test", Answer::default().held_by(&never));
    let started = std::time::Instant::now();
    let reply = fleet.chat(&applied.key("app/main"), "@both").send().await;
    assert_eq!(reply.status(), 504, "{}", reply.text());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// Only the attempt that was served is charged, and the row names it.
#[tokio::test]
async fn attempts_that_failed_cost_nothing() {
    let (fleet, applied) = with_fallback(json!({})).await;
    fleet.provider.always("first", Answer::error(503));
    fleet.provider.always("gpt-test", Answer::of(Usage { prompt: 100, completion: 10, ..Usage::default() }));
    fleet.chat(&applied.key("app/main"), "@both").ok().await;
    let log = fleet.logged(1, "status: 200").await;
    assert_eq!(nano(&log[0]["costUsd"]), 100 * 1000 + 10 * 2000);
    assert_eq!((log[0]["provider"].as_str(), log[0]["requestedModel"].as_str()), (Some("other"), Some("@both")));
    let trace = log[0]["trace"].to_string();
    assert!(trace.contains("sim/first") && trace.contains("other/gpt-test"), "{trace}");
}

/// with the budget exhausted the free primary is served and the paid fallback refused.
#[tokio::test]
async fn an_exhausted_budget_serves_the_free_primary_and_refuses_the_paid_fallback() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["routing_configs"] =
        json!([{"slug": "mixed", "strategy": "fallback", "attempts": [{"model": "sim/free"}, {"model": "sim/cents"}]}]);
    wanted["budgets"] = json!([{"name": "spent", "scope": "organization", "period": "total", "cap_usd": "0.01"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }));
    fleet.chat(&key, "sim/cents").ok().await;
    fleet.settled("spent", 10_000_000).await;
    assert_eq!(fleet.chat(&key, "sim/cents").send().await.status(), 402);
    assert_eq!(fleet.chat(&key, "@mixed").send().await.status(), 200, "free is served");
    fleet.provider.always("free", Answer::error(503));
    let before = fleet.provider.requests().iter().filter(|request| request.model() == "cents").count();
    let reply = fleet.chat(&key, "@mixed").send().await;
    assert!([402, 502].contains(&reply.status()), "{}", reply.text());
    let after = fleet.provider.requests().iter().filter(|request| request.model() == "cents").count();
    assert_eq!(before, after, "paid is not");
}

/// A provider that is not there at all.
#[tokio::test]
async fn a_provider_that_nothing_listens_for_is_passed_over() {
    let (fleet, _) = with_fallback(json!({})).await;
    let mut wanted = json!({"org": "default", "providers": [{"name": "sim", "vendor": "openai", "base_url": format!("http://{}/v1", tests::wire::free_address())}]});
    wanted["projects"] = json!([{"name": "app", "keys": [{"name": "second"}]}]);
    let applied = fleet.enforce(&wanted).await;
    let reply = fleet.chat(&applied.key("app/second"), "@both").send().await;
    assert_eq!(reply.header("x-modelux-provider-used"), Some("other"), "{}", reply.text());
}
