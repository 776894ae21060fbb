//! Amazon Bedrock: requests are signed over what is sent, `Converse` is spoken to whatever model, Anthropic's own dialect to its models, and
//! streams come in frames. Vectors are in `vectors`.

mod vectors;
mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest, nano};
use tests::http::{Reply, Request};
use tests::provider::Answer;
use wire::{KEYS, assert_signed, event, exception, stream};

const NOVA: &str = "amazon.nova-pro-v1:0";
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const PROFILE: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2";

/// A fleet with `aws`, whose requests are signed, `session`, which has a session token, and `bearer`, which has a Bedrock API key.
async fn with_bedrock() -> (Fleet, String) {
    let (fleet, key) = Fleet::governed().await;
    fleet.enforce(&wanted(&fleet, &[NOVA, CLAUDE, PROFILE])).await;
    (fleet, key)
}

/// A manifest with these three, each of which has these models.
fn wanted(fleet: &Fleet, models: &[&str]) -> Value {
    let mut wanted = manifest(&fleet.provider);
    let base_url = format!("http://{}", fleet.provider.address());
    let keys = json!({"access_key_id": KEYS.0, "secret_access_key": KEYS.1, "region": "us-east-1"});
    let mut with_token = keys.clone();
    with_token["session_token"] = json!("session/token+1=");
    for (name, api_key) in [("aws", keys.to_string()), ("session", with_token.to_string()), ("bearer", "bedrock-key-1".to_owned())] {
        let provider = json!({"name": name, "vendor": "bedrock", "base_url": base_url, "api_key": api_key});
        wanted["providers"].as_array_mut().unwrap().push(provider);
        for model in models {
            let model = json!({"model": format!("{name}/{model}"), "input_usd_per_mtok": 1, "cached_input_usd_per_mtok": 0.1,
                "cache_write_usd_per_mtok": 2, "output_usd_per_mtok": 4});
            wanted["models"].as_array_mut().unwrap().push(model);
        }
    }
    wanted
}

async fn ask(fleet: &Fleet, key: &str, path: &str, body: Value) -> Reply {
    let request = Request::new("POST", path).header("x-api-key", key).header("Content-Type", "application/json");
    let request = request.header("anthropic-beta", "interleaved-thinking-2025-05-14,claude-code-20250219");
    request.body(body.to_string()).send(fleet.worker().address()).await
}

fn turns() -> Value {
    json!([{"role": "user", "content": "What is a budget?"}])
}

fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "messages": turns(), "max_tokens": 50, "stream": stream})
}

/// 20 tokens of input, 100 read from the cache, 10 written to it, 5 of output.
fn usage() -> Value {
    json!({"inputTokens": 20, "outputTokens": 5, "totalTokens": 135, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 10})
}

const COST: i64 = 20 * 1_000 + 100 * 100 + 10 * 2_000 + 5 * 4_000;

/// An answer of `Converse`, that says a word and calls a tool.
fn conversed() -> Answer {
    let content = json!([{"text": "Hello"}, {"toolUse": {"toolUseId": "t-1", "name": "look", "input": {"at": "x"}}}]);
    let output = json!({"message": {"role": "assistant", "content": content}});
    Answer::json(&json!({"output": output, "stopReason": "tool_use", "usage": usage(), "metrics": {"latencyMs": 1}}))
}

/// The same as a stream.
fn converse_frames() -> Vec<Vec<u8>> {
    [
        ("messageStart", json!({"p": "abc", "role": "assistant"})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "He"}})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "llo"}})),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("contentBlockStart", json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t-1", "name": "look"}}})),
        ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{\"at\":"}}})),
        ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "\"x\"}"}}})),
        ("contentBlockStop", json!({"contentBlockIndex": 1})),
        ("messageStop", json!({"stopReason": "tool_use"})),
        ("metadata", json!({"usage": usage(), "metrics": {"latencyMs": 1}})),
    ]
    .map(|(name, payload)| event(name, &payload.to_string()))
    .to_vec()
}

/// Every log of these costs what [`usage`] comes to, by the provider's word.
async fn assert_booked(fleet: &Fleet, count: usize) {
    for log in fleet.logged(count, "").await {
        assert_eq!((nano(&log["costUsd"]), &log["usageSource"]), (COST, &json!("provider")), "{log:#}");
        let usage = json!({"inputTokens": 20, "cachedInputTokens": 100, "cacheWriteTokens": 10, "outputTokens": 5, "reasoningTokens": 0});
        assert_eq!(log["usage"], usage);
    }
}

#[tokio::test]
async fn any_model_is_conversed_with_and_every_request_is_signed() {
    let (fleet, key) = with_bedrock().await;
    fleet.provider.next(conversed());
    let reply = ask(&fleet, &key, "/v1/chat/completions", chat(&format!("aws/{NOVA}"), false)).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let message = &reply.json()["choices"][0]["message"];
    assert_eq!(message["content"], "Hello");
    assert_eq!(message["tool_calls"][0]["function"], json!({"name": "look", "arguments": "{\"at\":\"x\"}"}));
    let sent = fleet.provider.last();
    assert_eq!(sent.target, "POST /model/amazon.nova-pro-v1%3A0/converse");
    assert_eq!(sent.json()["inferenceConfig"], json!({"maxTokens": 50}));
    assert_signed(&sent, None);
    for (piece, path) in [(1, "/v1/chat/completions"), (33, "/v1/messages")] {
        fleet.provider.next(stream(&converse_frames(), piece));
        let reply = ask(&fleet, &key, path, chat(&format!("session/{NOVA}"), true)).await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        let text = reply.text();
        assert!(text.contains("\"He\"") && text.contains("\"llo\"") && text.contains("look"), "{text}");
        assert!(text.contains("[DONE]") || text.contains("message_stop"), "{text}");
        let sent = fleet.provider.last();
        assert_eq!(sent.target, "POST /model/amazon.nova-pro-v1%3A0/converse-stream");
        assert_signed(&sent, Some("session/token+1="));
    }
    assert_booked(&fleet, 3).await;
}

/// The frame with the usage comes behind the one that says how the answer ended: the cost that a caller is told is of that.
#[tokio::test]
async fn usage_that_comes_after_the_end_is_what_is_told_and_booked() {
    let (fleet, key) = with_bedrock().await;
    let frames = converse_frames();
    let (metadata, before) = frames.split_last().unwrap();
    let late = Answer::stream_of("application/vnd.amazon.eventstream", [before.concat(), metadata.clone()]);
    fleet.provider.next(late.pausing_after_the_first_piece(std::time::Duration::from_millis(50)));
    let mut body = chat(&format!("aws/{NOVA}"), true);
    body["stream_options"] = json!({"include_usage": true});
    let reply = ask(&fleet, &key, "/v1/chat/completions", body).await;
    let events = reply.events();
    let [.., ours, usage, done] = events.as_slice() else { panic!("{events:?}") };
    let ours: Value = serde_json::from_str(ours).unwrap();
    assert_eq!(nano(&ours["mlx:cost_usd"]), COST, "{events:?}");
    assert!(usage.contains("\"prompt_tokens\":130") && done == "[DONE]", "{events:?}");
    assert_booked(&fleet, 1).await;
}

#[tokio::test]
async fn an_arn_is_one_segment_of_the_path_and_a_bedrock_key_is_a_bearer() {
    let (fleet, key) = with_bedrock().await;
    fleet.provider.next(conversed());
    let reply = ask(&fleet, &key, "/v1/messages", chat(&format!("bearer/{PROFILE}"), false)).await;
    assert_eq!(reply.json()["content"][1]["input"], json!({"at": "x"}), "{}", reply.text());
    let sent = fleet.provider.last();
    let escaped = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2";
    assert_eq!(sent.target, format!("POST /model/{escaped}/converse"));
    assert_eq!((sent.header("authorization"), sent.header("x-amz-date")), (Some("Bearer bedrock-key-1"), None));
    fleet.provider.next(conversed());
    ask(&fleet, &key, "/v1/messages", chat(&format!("aws/{PROFILE}"), false)).await;
    assert_signed(&fleet.provider.last(), None);
    assert_booked(&fleet, 2).await;
}

/// What Anthropic's models stream on Bedrock: their own events, each in a chunk.
fn claude_events() -> Vec<String> {
    let usage = json!({"input_tokens": 20, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10, "output_tokens": 1});
    let message = json!({"id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage});
    [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 20}}),
    ]
    .map(|event| event.to_string())
    .to_vec()
}

fn chunk(inner: &str) -> Vec<u8> {
    event("chunk", &json!({"bytes": BASE64.encode(inner), "p": "abcdef"}).to_string())
}

#[tokio::test]
async fn anthropics_models_hear_a_caller_who_speaks_their_dialect_as_he_wrote() {
    let (fleet, key) = with_bedrock().await;
    let usage = json!({"input_tokens": 20, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10, "output_tokens": 5});
    let answer = json!({"id": "msg_bdrk_1", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn", "usage": usage});
    let mut body = chat(&format!("aws/{CLAUDE}"), false);
    body["thinking"] = json!({"type": "disabled"});
    fleet.provider.next(Answer::json(&answer));
    let reply = ask(&fleet, &key, "/v1/messages", body.clone()).await;
    assert_eq!(reply.json(), answer);
    assert_eq!(reply.header("x-modelux-dropped"), Some("anthropic-beta"));
    let sent = fleet.provider.last();
    assert_eq!(sent.target, "POST /model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke");
    let expected = json!({"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["interleaved-thinking-2025-05-14"],
        "messages": turns(), "max_tokens": 50, "thinking": {"type": "disabled"}});
    assert_eq!(sent.json(), expected);
    assert_signed(&sent, None);
    body["stream"] = json!(true);
    let events = claude_events();
    for piece in [1, 50, 10_000] {
        fleet.provider.next(stream(&events.iter().map(|inner| chunk(inner)).collect::<Vec<_>>(), piece));
        let reply = ask(&fleet, &key, "/v1/messages", body.clone()).await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        assert_eq!(reply.events(), events);
        let sent = fleet.provider.last();
        assert!(sent.target.ends_with("/invoke-with-response-stream"), "{}", sent.target);
        assert_eq!(sent.json(), expected);
        assert_signed(&sent, None);
    }
    assert_booked(&fleet, 4).await;
}

#[tokio::test]
async fn an_exception_in_a_stream_is_an_error_without_a_terminator() {
    let (fleet, key) = with_bedrock().await;
    let begun = converse_frames()[..2].to_vec();
    let broken = exception("modelStreamErrorException", r#"{"message":"the model broke","originalStatusCode":424}"#);
    fleet.provider.next(stream(&[begun.clone(), vec![broken]].concat(), 40));
    let reply = ask(&fleet, &key, "/v1/chat/completions", chat(&format!("aws/{NOVA}"), true)).await.text();
    assert!(reply.contains("the model broke") && !reply.contains("[DONE]"), "{reply}");
    let throttled = exception("throttlingException", r#"{"message":"slow down"}"#);
    fleet.provider.next(stream(&[chunk(&claude_events()[0]), throttled], 40));
    let reply = ask(&fleet, &key, "/v1/messages", chat(&format!("aws/{CLAUDE}"), true)).await.text();
    assert!(reply.contains("event: error") && reply.contains("rate_limit_error") && reply.contains("slow down"), "{reply}");
    // A connection that breaks within a frame.
    fleet.provider.next(stream(&begun, 10_000).cut_at(begun[0].len() + 20));
    let reply = ask(&fleet, &key, "/v1/chat/completions", chat(&format!("aws/{NOVA}"), true)).await.text();
    assert!(reply.contains("upstream_cut") || reply.contains("broke off"), "{reply}");
    assert!(!reply.contains("[DONE]"), "{reply}");
    let codes: Vec<_> = fleet.logged(3, "").await.iter().map(|log| log["errorCode"].clone()).collect();
    assert_eq!(codes, [json!("upstream_cut"), json!("upstream_error"), json!("upstream_error")]);
}

/// A connection that ends between two frames, before the message has: nothing but that says that the answer is not whole.
#[tokio::test]
async fn frames_that_end_before_the_message_does_end_with_an_error() {
    let (fleet, key) = with_bedrock().await;
    let (turns, escaped) = (turns(), NOVA.replace(':', "%3A"));
    let contents = json!([{"role": "user", "parts": [{"text": "What is a budget?"}]}]);
    let responses = json!({"model": format!("aws/{NOVA}"), "input": turns, "stream": true});
    for (path, body) in [
        ("/v1/chat/completions".to_owned(), chat(&format!("aws/{NOVA}"), true)),
        ("/v1/responses".to_owned(), responses),
        ("/v1/messages".to_owned(), chat(&format!("aws/{NOVA}"), true)),
        (format!("/v1beta/models/aws/{escaped}:streamGenerateContent?alt=sse"), json!({"contents": contents})),
    ] {
        for frames in [1, 3] {
            fleet.provider.next(stream(&converse_frames()[..frames], 10_000));
            let reply = ask(&fleet, &key, &path, body.clone()).await.text();
            assert!(reply.contains("broke off"), "{path}: {reply}");
            for end in ["[DONE]", "response.completed", "response.incomplete", "message_stop", "finishReason"] {
                assert!(!reply.contains(end), "{path}: {reply}");
            }
        }
    }
    fleet.provider.next(stream(&claude_events()[..3].iter().map(|inner| chunk(inner)).collect::<Vec<_>>(), 10_000));
    let reply = ask(&fleet, &key, "/v1/messages", chat(&format!("aws/{CLAUDE}"), true)).await.text();
    assert!(reply.contains("broke off") && !reply.contains("message_stop"), "{reply}");
    for log in fleet.logged(9, "").await {
        assert_eq!((&log["errorCode"], &log["usageSource"]), (&json!("upstream_cut"), &json!("partial_estimate")), "{log:#}");
    }
}

#[tokio::test]
async fn a_refusal_is_said_in_the_callers_shape_with_the_class_that_aws_gives() {
    let (fleet, key) = with_bedrock().await;
    for (path, model) in [("/v1/chat/completions", NOVA), ("/v1/messages", CLAUDE)] {
        let refused = Answer::json(&json!({"message": "The provided model identifier is invalid."}));
        let mut refused = refused.header("x-amzn-ErrorType", "ValidationException:http://internal.amazon.com/coral/x/");
        refused = refused.with_status(400);
        fleet.provider.next(refused);
        let reply = ask(&fleet, &key, path, chat(&format!("aws/{model}"), false)).await;
        let error = reply.error(400);
        assert_eq!(error["message"], "The provided model identifier is invalid.", "{}", reply.text());
        let kind = if path == "/v1/messages" { "invalid_request_error" } else { "ValidationException" };
        assert_eq!(error["type"], kind);
    }
}

#[tokio::test]
async fn keys_that_can_sign_nothing_are_refused_by_the_member_that_is_wrong() {
    let (fleet, _) = Fleet::governed().await;
    for (base_url, api_key, field) in [
        ("https://bedrock-runtime.us-east-1.amazonaws.com", json!({"access_key_id": "AKIA1"}), "secret_access_key"),
        ("https://gate.example", json!({"access_key_id": "AKIA1", "secret_access_key": "s"}), "region"),
        ("https://gate.example", json!({"access_key": "AKIA1"}), "access_key_id"),
    ] {
        let mut wanted = manifest(&fleet.provider);
        let provider = json!({"name": "aws", "vendor": "bedrock", "base_url": base_url, "api_key": api_key.to_string()});
        wanted["providers"].as_array_mut().unwrap().push(provider);
        let (status, output, errors) = fleet.modelux(&["apply", "-f", &fleet.write(&wanted), "--yes"]).await;
        assert_eq!(status, 1, "{output}");
        assert!(errors.contains("api_key") && errors.contains(field), "{errors}");
        assert!(!errors.contains("AKIA1"), "{errors}");
    }
}
