//! Request and response headers (contract 2.2, 2.3).

use serde_json::{Value, json};
use tests::fleet::{Fleet, UPSTREAM_KEY, manifest};
use tests::provider::{Answer, Usage};

/// Contract 2.3: what a buffered answer says of itself.
#[tokio::test]
async fn an_answer_says_who_served_it_what_it_cost_and_what_is_left() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([
        {"name": "wide", "scope": "organization", "period": "monthly", "cap_usd": 1000},
        {"name": "near", "scope": {"project": "app"}, "period": "monthly", "cap_usd": 10, "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.next(Answer::of(Usage { prompt: 20, completion: 100, ..Usage::default() }));
    let reply = fleet.chat(&key, "sim/cents").ok().await;
    assert_eq!(reply.header("x-modelux-provider-used"), Some("sim"));
    assert_eq!(reply.header("x-modelux-model-used"), Some("cents"));
    assert_eq!(reply.header("x-modelux-cache"), Some("BYPASS"));
    let cost = reply.header("x-modelux-cost-usd").expect("the cost").parse::<policy::money::NanoUsd>().expect("USD");
    assert_eq!(cost.nanos(), 10_000_000, "100 tokens at 100 USD a million");
    assert_eq!(reply.header("x-modelux-budget-name"), Some("near"), "the most constraining one");
    assert_eq!(reply.header("x-modelux-budget-action"), Some("block"));
    assert_eq!(reply.header("x-modelux-budget-remaining"), Some("9.9900"));
    assert!(reply.header("x-modelux-budget-reset").is_some_and(|at| at.ends_with('Z')));
    assert_eq!(reply.head.count("x-modelux-request-id"), 1);
}

/// Contract 2.2: only what a provider should see reaches it, with the provider's key in place of the caller's.
#[tokio::test]
async fn a_provider_sees_its_own_key_and_none_of_our_headers() {
    let (fleet, key) = Fleet::governed().await;
    let chat = fleet.chat(&key, "sim/gpt-test").header("Cookie", "session=1").header("X-Forwarded-For", "1.2.3.4");
    chat.header("X-Modelux-User-Id", "u-1").header("OpenAI-Beta", "assistants=v2").header("User-Agent", "OpenAI/Python 2").ok().await;
    let seen = fleet.provider.last();
    assert_eq!(seen.target, "POST /v1/chat/completions");
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {UPSTREAM_KEY}").as_str()));
    assert_eq!(seen.header("openai-beta"), Some("assistants=v2"));
    assert_eq!(seen.header("user-agent"), Some("OpenAI/Python 2"));
    assert_eq!(seen.header("host"), Some(fleet.provider.address().to_string().as_str()));
    let strange = |(name, value): &&(String, String)| {
        let name = name.to_ascii_lowercase();
        name.starts_with("x-modelux") || name == "cookie" || name == "x-forwarded-for" || value.contains(&key)
    };
    let strangers: Vec<_> = seen.headers.iter().filter(strange).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

/// Contract 2.2: the caller's own upstream key is used for one call and kept nowhere.
#[tokio::test]
async fn a_callers_own_provider_key_is_used_and_not_kept() {
    let (fleet, key) = Fleet::governed().await;
    let canary = "own-key-canary-77e1";
    fleet.chat(&key, "sim/gpt-test").header("X-Modelux-Provider-Key", canary).ok().await;
    assert_eq!(fleet.provider.last().header("authorization"), Some(format!("Bearer {canary}").as_str()));
    let log = fleet.logged(1, "status: 200").await;
    assert!(!Value::Array(log).to_string().contains(canary));
    assert!(!fleet.worker().process().stderr().contains(canary));
    fleet.chat(&key, "sim/gpt-test").ok().await;
    assert_eq!(fleet.provider.last().header("authorization"), Some(format!("Bearer {UPSTREAM_KEY}").as_str()));
}

/// Contract 2.2: key, then project, then body, then header; bound tags can't be overridden, and the attempt is in the trace.
#[tokio::test]
async fn tags_are_taken_in_their_order_and_bound_ones_stay() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["projects"][0]["tags"] = json!({"team": "support", "stage": "project"});
    wanted["projects"][0]["keys"] = json!([{"name": "main", "tags": {"stage": "key"}}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    let chat = fleet.chat(&key, "sim/gpt-test");
    chat.with("mlx:tags", json!({"team": "sales", "task": "body"})).header("X-Modelux-User-Tags", "task=header,lang=%C3%A4").ok().await;
    let log = fleet.logged(1, "status: 200").await;
    let tags: Vec<_> =
        log[0]["tags"].as_array().unwrap().iter().map(|tag| (tag["name"].as_str().unwrap(), tag["value"].as_str().unwrap())).collect();
    assert_eq!(tags, [("lang", "ä"), ("stage", "key"), ("task", "body"), ("team", "support")]);
    let trace = log[0]["trace"].to_string();
    assert!(trace.contains("tag_override_ignored") && trace.contains("sales"), "{trace}");
    let sent = fleet.provider.last();
    assert!(!String::from_utf8(sent.body).unwrap().contains("mlx:"), "our extensions stay here");
}

/// Contract 2.2: end user, trace and conversation come from body extensions, headers, or OpenAI's `metadata`.
#[tokio::test]
async fn end_user_and_trace_are_read_from_their_places() {
    let (fleet, key) = Fleet::governed().await;
    fleet.chat(&key, "sim/free").header("X-Modelux-User-Id", "from-header").header("X-Modelux-Trace-Id", "run-1").ok().await;
    fleet.chat(&key, "sim/free").with("metadata", json!({"user_id": "from-metadata", "trace_id": "run-2"})).ok().await;
    let log = fleet.logged(1, "traceId: \"run-1\"").await;
    assert_eq!(log[0]["endUser"], "from-header");
    let log = fleet.logged(1, "traceId: \"run-2\"").await;
    assert_eq!(log[0]["endUser"], "from-metadata");
}
