//! Vendors that are only nearly like OpenAI get what they take, and long calls are priced as long ones.

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest, nano};
use tests::provider::{Answer, Usage};

/// The plain organization with one more provider of `vendor` at the simulated provider's address, and a priced model there.
fn with_vendor(fleet: &Fleet, vendor: &str) -> Value {
    let mut wanted = manifest(&fleet.provider);
    let provider = json!({"name": "near", "vendor": vendor, "base_url": fleet.provider.base_url(), "api_key": "${UPSTREAM_KEY}"});
    wanted["providers"].as_array_mut().unwrap().push(provider);
    let further = json!({"long_context": [{"above_input_tokens": 100, "input_usd_per_mtok": 2, "output_usd_per_mtok": 4}]});
    let model = json!({"model": "near/gpt-test", "input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "further_prices": further});
    wanted["models"].as_array_mut().unwrap().push(model);
    wanted
}

#[tokio::test]
async fn members_that_a_vendor_refuses_are_left_out_and_named() {
    let (fleet, key) = Fleet::governed().await;
    fleet.enforce(&with_vendor(&fleet, "mistral")).await;
    let limited = fleet.chat(&key, "near/gpt-test").with("max_tokens", Value::Null).with("max_completion_tokens", 50);
    let reply = limited.with("seed", 7).with("temperature", 1).ok().await;
    let sent = fleet.provider.last().json();
    assert_eq!((sent.get("seed"), sent.get("max_completion_tokens")), (None, None), "{sent}");
    assert_eq!((&sent["max_tokens"], &sent["temperature"]), (&json!(50), &json!(1)), "{sent}");
    assert_eq!(reply.header("x-modelux-dropped"), Some("seed"));
}

#[tokio::test]
async fn a_vendor_that_sends_usage_in_every_stream_is_not_asked_for_it() {
    let (fleet, key) = Fleet::governed().await;
    fleet.enforce(&with_vendor(&fleet, "cohere")).await;
    fleet.chat(&key, "near/gpt-test").streamed().ok().await;
    assert_eq!(fleet.provider.last().json().get("stream_options"), None);
    fleet.enforce(&with_vendor(&fleet, "groq")).await;
    fleet.chat(&key, "near/gpt-test").with("stream", true).ok().await;
    assert_eq!(fleet.provider.last().json()["stream_options"]["include_usage"], true);
}

/// what was booked can be computed again from what is kept of the call.
#[tokio::test]
async fn a_long_call_is_booked_at_the_rates_of_long_calls_which_are_kept_with_it() {
    let (fleet, key) = Fleet::governed().await;
    fleet.enforce(&with_vendor(&fleet, "together")).await;
    for prompt in [100, 101] {
        fleet.provider.next(Answer::of(Usage { prompt, completion: 10, ..Usage::default() }));
        fleet.chat(&key, "near/gpt-test").ok().await;
    }
    let mut logs = fleet.logged(2, "").await;
    logs.sort_by_key(|log| log["usage"]["inputTokens"].as_i64());
    assert_eq!(logs.iter().map(|log| nano(&log["costUsd"])).collect::<Vec<_>>(), [100 * 1_000 + 10 * 2_000, 101 * 2_000 + 10 * 4_000]);
    let answer = fleet.owner().query("{ requestLogs(first: 2) { nodes { costUsd attempts } } }").await;
    for log in answer["requestLogs"]["nodes"].as_array().unwrap() {
        let priced = &log["attempts"][0]["priced"];
        let part = |bucket: &str| priced["tokens"][bucket].as_i64().unwrap() * priced["rates"][bucket].as_i64().unwrap();
        assert_eq!(part("input") + part("output"), nano(&log["costUsd"]) * 1_000_000, "{log}");
    }
}
