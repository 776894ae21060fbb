//! Vendors that are only nearly like OpenAI get what they take, and long calls are priced as long ones.

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest, nano};
use tests::http::Request;
use tests::provider::{Answer, Usage};

/// Vendors whose interface knows the role `developer`, and those whose does not.
const DEVELOPERS: [&str; 5] = ["openai", "xai", "cerebras", "cohere", "openrouter"];
const NO_DEVELOPERS: [&str; 7] = ["mistral", "deepseek", "groq", "together", "fireworks", "perplexity", "openai_compatible"];

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

/// `developer` says what `system` says, so that nothing is lost and nothing is named.
#[tokio::test]
async fn a_developer_speaks_as_the_system_where_the_vendor_knows_no_developers() {
    let (fleet, key) = Fleet::governed().await;
    let mut wanted = manifest(&fleet.provider);
    for vendor in DEVELOPERS.into_iter().chain(NO_DEVELOPERS) {
        let provider = json!({"name": vendor, "vendor": vendor, "base_url": fleet.provider.base_url(), "api_key": "${UPSTREAM_KEY}"});
        wanted["providers"].as_array_mut().unwrap().push(provider);
        let model = json!({"model": format!("{vendor}/gpt-test"), "input_usd_per_mtok": 1, "output_usd_per_mtok": 2});
        wanted["models"].as_array_mut().unwrap().push(model);
    }
    fleet.enforce(&wanted).await;
    let messages = json!([{"role": "developer", "content": "Be brief, developer."}, {"role": "user", "content": "Hi"}]);
    for (vendors, role) in [(&DEVELOPERS[..], "developer"), (&NO_DEVELOPERS[..], "system")] {
        for vendor in vendors {
            let reply = fleet.chat(&key, &format!("{vendor}/gpt-test")).with("messages", messages.clone()).ok().await;
            let mut expected = messages.clone();
            expected[0]["role"] = json!(role);
            assert_eq!(fleet.provider.last().json()["messages"], expected, "{vendor}");
            assert_eq!(reply.header("x-modelux-dropped"), None, "{vendor}");
        }
    }
}

/// A schema is more than some JSON: it is named in the words of whoever asked for it, or refused.
#[tokio::test]
async fn a_schema_becomes_some_json_where_the_vendor_keeps_to_none() {
    let (fleet, key) = Fleet::governed().await;
    let mut wanted = with_vendor(&fleet, "deepseek");
    let strict = json!({"name": "strict", "settings": {"strict_capabilities": true}, "keys": [{"name": "main"}]});
    wanted["projects"].as_array_mut().unwrap().push(strict);
    let strict = fleet.enforce(&wanted).await.key("strict/main");
    let schema = json!({"type": "object", "properties": {}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let reply = fleet.chat(&key, "near/gpt-test").with("response_format", format.clone()).ok().await;
    assert_eq!(fleet.provider.last().json()["response_format"], json!({"type": "json_object"}));
    assert_eq!(reply.header("x-modelux-dropped"), Some("response_format"));

    let body = json!({"model": "near/gpt-test", "max_tokens": 50, "messages": [{"role": "user", "content": "a"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let request = Request::new("POST", "/v1/messages").header("x-api-key", &key).header("Content-Type", "application/json");
    let reply = request.body(body.to_string()).send(fleet.worker().address()).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some("output_config.format")), "{}", reply.text());
    assert_eq!(fleet.provider.last().json()["response_format"], json!({"type": "json_object"}));

    let sent = fleet.provider.count();
    let refused = fleet.chat(&strict, "near/gpt-test").with("response_format", format).send().await.error(400);
    assert!(refused["message"].as_str().is_some_and(|message| message.contains("response_format")), "{refused}");
    assert_eq!(fleet.provider.count(), sent, "nothing was sent");
    fleet.chat(&strict, "near/gpt-test").with("response_format", json!({"type": "json_object"})).ok().await;
}

/// Names are those of the caller's request, also in the refusal.
#[tokio::test]
async fn what_a_vendor_refuses_is_named_in_the_words_of_another_surface() {
    let (fleet, key) = Fleet::governed().await;
    let mut wanted = with_vendor(&fleet, "mistral");
    let strict = json!({"name": "strict", "settings": {"strict_capabilities": true}, "keys": [{"name": "main"}]});
    wanted["projects"].as_array_mut().unwrap().push(strict);
    let strict_key = fleet.enforce(&wanted).await.key("strict/main");
    let body =
        json!({"model": "near/gpt-test", "max_tokens": 50, "messages": [{"role": "user", "content": "a"}], "metadata": {"user_id": "u"}});
    let ask = |key: String| {
        let request = Request::new("POST", "/v1/messages").header("x-api-key", &key).header("Content-Type", "application/json");
        request.body(body.to_string())
    };
    let reply = ask(key).send(fleet.worker().address()).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some("metadata.user_id")), "{}", reply.text());
    assert_eq!(fleet.provider.last().json().get("user"), None);
    let reply = ask(strict_key).send(fleet.worker().address()).await;
    assert!(reply.status() == 400 && reply.text().contains("metadata.user_id"), "{}", reply.text());
}

/// Some of Groq's streams have their usage nowhere else.
#[tokio::test]
async fn usage_that_groq_gives_in_its_own_member_is_booked() {
    let (fleet, key) = Fleet::governed().await;
    fleet.enforce(&with_vendor(&fleet, "groq")).await;
    let chunk = |choice: Value, groqs: Value| {
        let chunk =
            json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test", "choices": [choice], "x_groq": groqs});
        format!("data: {chunk}\n\n")
    };
    let said = chunk(json!({"index": 0, "delta": {"role": "assistant", "content": "four"}, "finish_reason": null}), json!({"id": "req_1"}));
    let usage = json!({"queue_time": 0.01, "prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57, "total_time": 0.02});
    let last = chunk(json!({"index": 0, "delta": {}, "finish_reason": "stop"}), json!({"id": "req_1", "usage": usage}));
    fleet.provider.next(Answer::stream([said, last, "data: [DONE]\n\n".to_owned()]));
    let reply = fleet.chat(&key, "near/gpt-test").with("stream", true).ok().await;
    assert!(reply.text().contains("four") && reply.text().contains("x_groq"), "{}", reply.text());
    let log = fleet.logged(1, "status: 200").await;
    assert_eq!(log[0]["usageSource"].as_str().map(str::to_lowercase).as_deref(), Some("provider"), "{log:?}");
    assert_eq!((&log[0]["usage"]["inputTokens"], &log[0]["usage"]["outputTokens"]), (&json!(50), &json!(7)));
    assert_eq!(nano(&log[0]["costUsd"]), 50 * 1_000 + 7 * 2_000);
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
