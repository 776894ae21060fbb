//! What is passed through costs what is known of it; where that is nothing, no budget that blocks lets it pass.

use serde_json::{Value, json};
use tests::fleet::nano;
use tests::provider::{Answer, Usage};

use super::{FORM, call, form, governed, post, send};

fn budget(name: &str, cap: &str, at_cap: &str) -> Value {
    json!({"name": name, "scope": "organization", "period": "total", "cap_usd": cap, "at_cap": at_cap})
}

fn draw(key: &str, more: &Value) -> tests::http::Request {
    let mut body = json!({"model": "sim/draws", "prompt": "a cat"});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    post("/v1/images/generations", key, &body)
}

/// 5, 8, 10 and 40 USD a million.
const PICTURE_USAGE: &str = "\"usage\":{\"input_tokens\":300,\"input_tokens_details\":{\"text_tokens\":100,\"image_tokens\":200},\
    \"output_tokens\":1000,\"total_tokens\":1300}";
const PICTURE_COST: i64 = 100 * 5_000 + 200 * 8_000 + 1_000 * 40_000;

#[tokio::test]
async fn pictures_are_priced_by_the_tokens_that_the_answer_reports() {
    let (fleet, key) = governed(|wanted| wanted["budgets"] = json!([budget("strict", "10", "block")])).await;
    let answer = format!("{{\"created\":1,\"data\":[{{\"b64_json\":\"{}\"}}],{PICTURE_USAGE}}}", "A".repeat(300_000));
    fleet.provider.next(Answer::bytes(answer.clone()).header("Content-Type", "application/json"));
    let reply = send(&fleet, &draw(&key, &json!({}))).await;
    assert!(reply.status() == 200 && reply.text() == answer);
    assert_eq!(reply.header("x-modelux-cost-usd"), Some("0.0421"));
    assert_eq!(reply.header("x-modelux-budget-name"), Some("strict"));
    fleet.settled("strict", PICTURE_COST).await;
    // Streamed, the report is in the last event.
    let event = format!("data: {{\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\",{PICTURE_USAGE}}}\n\n");
    fleet.provider.next(Answer::stream(["data: {\"type\":\"image_generation.partial_image\"}\n\n".to_owned(), event.clone()]));
    let reply = send(&fleet, &draw(&key, &json!({"stream": true}))).await;
    assert!(reply.text().ends_with(&event), "{}", reply.text());
    fleet.settled("strict", 2 * PICTURE_COST).await;
    let log = fleet.logged(2, "model: \"draws\"").await;
    assert!(log.iter().all(|row| row["usageSource"] == "provider" && nano(&row["costUsd"]) == PICTURE_COST), "{log:#?}");
    assert_eq!((&log[0]["usage"]["inputTokens"], &log[0]["usage"]["outputTokens"]), (&json!(300), &json!(1000)));
}

/// ADR 0003: what may be spent is held before it is spent; here the whole context and all output.
#[tokio::test]
async fn the_most_that_it_can_cost_is_held_and_too_little_money_refuses_it() {
    // 5,000 tokens of output at 40 USD are 20 cents a picture.
    let (fleet, key) = governed(|wanted| wanted["budgets"] = json!([budget("strict", "0.5", "block")])).await;
    fleet.provider.always("draws", Answer::bytes(format!("{{{PICTURE_USAGE}}}")).header("Content-Type", "application/json"));
    assert_eq!(send(&fleet, &draw(&key, &json!({"n": 2}))).await.status(), 200);
    let asked = fleet.provider.count();
    assert_eq!(send(&fleet, &draw(&key, &json!({"n": 3}))).await.error(402)["budget"]["name"], "strict");
    assert_eq!(fleet.provider.count(), asked);
    fleet.settled("strict", PICTURE_COST).await;
    // An answer that does not say what it consumed is booked at what was held.
    fleet.provider.always("draws", Answer::json(&json!({"data": []})));
    assert_eq!(send(&fleet, &draw(&key, &json!({}))).await.status(), 200);
    let log = fleet.logged(2, "status: 200, model: \"draws\"").await;
    // A token for each byte at most, and some for what is around them.
    let input = i64::try_from(fleet.provider.last().body.len()).unwrap() + 4 + 64;
    assert_eq!(
        (&log[0]["usageSource"], nano(&log[0]["costUsd"])),
        (&json!("partial_estimate"), input * 8_000 + 5_000 * 40_000),
        "{log:#?}"
    );
}

#[tokio::test]
async fn where_a_budget_blocks_what_has_no_price_or_no_bound_is_refused() {
    let (fleet, key) = governed(|wanted| {
        wanted["budgets"] = json!([budget("strict", "10", "block")]);
        let priced = json!({"model": "sim/endless", "input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "context_tokens": 1000});
        wanted["models"].as_array_mut().unwrap().push(priced);
    })
    .await;
    let named = |model: &str| draw(&key, &json!({"model": model}));
    let speech = post("/v1/audio/speech", &key, &json!({"model": "sim/speaks", "input": "x", "voice": "y"}));
    let unpriced = send(&fleet, &speech).await.error(400);
    assert_eq!(unpriced["code"], "model_unpriced", "{unpriced}");
    let unbounded = send(&fleet, &named("sim/endless")).await.error(403);
    assert!(unbounded["message"].as_str().unwrap().contains("`max_output_tokens` of `sim/endless`"), "{unbounded}");
    for request in [
        post("/v1/batches", &key, &json!({"input_file_id": "f"})),
        post("/v1/vector_stores", &key, &json!({"name": "s"})),
        post("/v1/images/variations", &key, &json!({})).header("X-Test", "y"),
        post("/v1beta/cachedContents", &key, &json!({"model": "models/gem/g"})),
    ] {
        let reply = send(&fleet, &request).await;
        assert!([400, 403].contains(&reply.status()), "{}", reply.text());
    }
    assert_eq!(fleet.provider.count(), 0, "nothing was sent");
    // What costs nothing passes: a budget that is used up must not keep anybody from stopping what spends.
    for request in [
        call("POST", "/v1/batches/batch_1/cancel", &key),
        post("/v1/moderations", &key, &json!({"model": "sim/omni", "input": "x"})),
        call("POST", "/v1/files", &key).header("Content-Type", FORM).body(form(&[])),
    ] {
        assert_eq!(send(&fleet, &request).await.status(), 200);
    }
    // What is free with OpenAI itself is not with others.
    let elsewhere = post("/v1/moderations", &key, &json!({"model": "other/omni", "input": "x"}));
    assert_eq!(send(&fleet, &elsewhere).await.error(400)["code"], "model_unpriced");
}

#[tokio::test]
async fn where_no_budget_blocks_it_is_sent_and_marked_as_unpriced() {
    let (fleet, key) = governed(|wanted| wanted["budgets"] = json!([budget("warns", "0.001", "warn_only")])).await;
    let reply = send(&fleet, &post("/v1/batches", &key, &json!({"input_file_id": "f"}))).await;
    assert_eq!((reply.status(), reply.header("x-modelux-cost-usd")), (200, None), "nobody knows what it costs");
    let speech = post("/v1/audio/speech", &key, &json!({"model": "sim/speaks", "input": "x", "voice": "y"}));
    fleet.provider.next(Answer::bytes(vec![0_u8; 1000]).header("Content-Type", "audio/mpeg"));
    assert_eq!(send(&fleet, &speech).await.status(), 200);
    let log = fleet.logged(2, "status: 200").await;
    assert!(log.iter().all(|row| row["usageSource"] == "unpriced" && row["costUsd"] == "0.00"), "{log:#?}");
}

#[tokio::test]
async fn completions_of_texts_are_metered_streamed_or_not() {
    let (fleet, key) = governed(|wanted| wanted["budgets"] = json!([budget("strict", "10", "block")])).await;
    let complete = |more: Value| {
        let mut body = json!({"model": "sim/gpt-test", "prompt": "once upon a time", "max_tokens": 20});
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        post("/v1/completions", &key, &body)
    };
    // 1 and 2 USD a million.
    let usage = Usage { prompt: 4, completion: 20, ..Usage::default() }.json();
    fleet.provider.next(Answer::json(&json!({"object": "text_completion", "choices": [{"text": "x"}], "usage": usage})));
    let reply = send(&fleet, &complete(json!({}))).await;
    assert_eq!(reply.header("x-modelux-cost-usd"), Some("0.000044"), "{}", reply.text());
    // The caller does not ask for a report: it is asked for, read and kept back.
    let text = "data: {\"choices\":[{\"text\":\"there \"}],\"usage\":null}\n\n";
    let report = format!("data: {}\n\n", json!({"choices": [], "usage": usage}));
    fleet.provider.next(Answer::stream([text.to_owned(), report.clone(), "data: [DONE]\n\n".to_owned()]));
    let reply = send(&fleet, &complete(json!({"stream": true}))).await;
    assert_eq!(reply.text(), format!("{text}data: [DONE]\n\n"));
    assert_eq!(fleet.provider.last().json()["stream_options"], json!({"include_usage": true}));
    fleet.settled("strict", 2 * 44_000).await;
    // One that asks gets it.
    fleet.provider.next(Answer::stream([text.to_owned(), report.clone()]));
    let reply = send(&fleet, &complete(json!({"stream": true, "stream_options": {"include_usage": true}}))).await;
    assert_eq!(reply.text(), format!("{text}{report}"));
    fleet.settled("strict", 3 * 44_000).await;
    let log = fleet.logged(3, "model: \"gpt-test\"").await;
    assert!(log.iter().all(|row| row["usageSource"] == "provider" && row["surface"] == "passthrough"), "{log:#?}");
}

/// A worker that dies in the middle leaves an event, never a gap.
#[tokio::test]
async fn a_worker_that_is_killed_in_the_middle_leaves_what_was_held() {
    let (mut fleet, key) = governed(|wanted| wanted["budgets"] = json!([budget("strict", "10", "block")])).await;
    let gate = tests::provider::Gate::default();
    fleet.provider.next(Answer::default().held_by(&gate));
    let mut connection = tests::http::Connection::open(fleet.worker().address()).await;
    connection.send(&draw(&key, &json!({}))).await;
    tests::wait::until("the provider is asked", tests::wait::SOON, || async { (fleet.provider.count() == 1).then_some(()) }).await;
    let worker = fleet.workers.last_mut().expect("a worker");
    worker.kill();
    worker.restart().await;
    let log = fleet.logged(1, "model: \"draws\"").await;
    assert_eq!((&log[0]["usageSource"], &log[0]["surface"]), (&json!("reservation"), &json!("passthrough")), "{log:#?}");
    assert!(nano(&log[0]["costUsd"]) >= 5_000 * 40_000, "{log:#?}");
}
