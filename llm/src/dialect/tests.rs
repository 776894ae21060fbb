//! What every dialect must do: name an error as its SDKs do, and end a stream with it.

use serde_json::json;

use super::*;
use crate::{
    error::{BudgetDetail, ErrorCode},
    response::Finish,
    stream::{StreamMeter, UsageEvents},
    tokens::TokenEstimate,
    usage::UsageSource,
};

const SPOKEN: [Dialect; 5] =
    [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::OpenAiEmbeddings, Dialect::AnthropicMessages, Dialect::Gemini];

fn reply(status: u16, kind: &'static str) -> ErrorReply<'static> {
    ErrorReply { status, message: "m\n\"q\"", kind, code: Some(ErrorCode::Name("exact")), param: None, budget: None }
}

fn written(dialect: Dialect, error: &ErrorReply<'_>) -> Value {
    serde_json::from_slice(&dialect.write_error(error)).unwrap()
}

#[test]
fn every_status_has_the_class_that_the_sdk_knows() {
    let cases = [
        (400, "invalid_request_error", "INVALID_ARGUMENT"),
        (401, "authentication_error", "UNAUTHENTICATED"),
        (403, "permission_error", "PERMISSION_DENIED"),
        (404, "not_found_error", "NOT_FOUND"),
        (405, "invalid_request_error", "INVALID_ARGUMENT"),
        (408, "timeout_error", "DEADLINE_EXCEEDED"),
        (413, "request_too_large", "INVALID_ARGUMENT"),
        (429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "api_error", "INTERNAL"),
        (502, "api_error", "UNAVAILABLE"),
        (503, "overloaded_error", "UNAVAILABLE"),
        (504, "timeout_error", "DEADLINE_EXCEEDED"),
    ];
    for (status, anthropic, google) in cases {
        let error = reply(status, "policy_denied");
        let expected = json!({"type": "error", "error": {"type": anthropic, "message": "m\n\"q\"", "code": "exact"}});
        assert_eq!(written(Dialect::AnthropicMessages, &error), expected);
        let expected = json!({"error": {"code": status, "message": "m\n\"q\"", "status": google, "type": "policy_denied"}});
        assert_eq!(written(Dialect::Gemini, &error), expected);
    }
}

#[test]
fn a_blocking_budget_is_spelled_out_in_every_dialect() {
    let budget = BudgetDetail { name: "b", spend_usd: "1.5", cap_usd: "2", period: "daily", period_resets_at: "2026-12-01T00:00:00Z" };
    let code = Some(ErrorCode::Number(402));
    let error = ErrorReply { code, budget: Some(budget), ..reply(402, "budget_exceeded") };
    for dialect in SPOKEN {
        let error = &written(dialect, &error)["error"];
        let expected = json!({"name": "b", "spend_usd": 1.5, "cap_usd": 2, "period": "daily", "period_resets_at": "2026-12-01T00:00:00Z"});
        assert_eq!((&error["type"], &error["code"], &error["budget"]), (&json!("budget_exceeded"), &json!(402), &expected), "{dialect:?}");
    }
}

#[test]
fn an_error_of_ours_ends_a_stream_as_the_providers_own_would() {
    for dialect in SPOKEN {
        let event = dialect.write_error_event(&reply(502, "upstream_error"), 7);
        let mut meter = StreamMeter::new(dialect, UsageEvents::Forward);
        meter.push(event, &mut Vec::new());
        let outcome = meter.finish();
        assert!(outcome.failed && !outcome.done && !outcome.mid_event, "{dialect:?}");
        assert_eq!(outcome.unread_events, 0);
    }
}

#[test]
fn an_error_in_a_response_is_raised_by_sdks_and_seen_by_agents() {
    let event = Dialect::OpenAiResponses.write_error_event(&reply(502, "upstream_error"), 7);
    let text = String::from_utf8(event.to_vec()).unwrap();
    let events: Vec<(&str, Value)> = text
        .split_terminator("\n\n")
        .map(|event| event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap())
        .map(|(name, data)| (name, serde_json::from_str(data).unwrap()))
        .collect();
    assert_eq!(events.len(), 2);
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(7 + number)));
    }
    assert_eq!((&events[0].1["message"], &events[0].1["error"]["type"]), (&json!("m\n\"q\""), &json!("upstream_error")));
    assert_eq!(events[1].1["response"]["error"], json!({"code": "exact", "message": "m\n\"q\""}));
}

const USAGE: Usage = Usage {
    input_tokens: Some(30),
    cached_input_tokens: Some(10),
    cache_write_tokens: None,
    cache_write_1h_tokens: None,
    input_audio_tokens: None,
    output_tokens: Some(12),
    reasoning_tokens: Some(4),
    output_audio_tokens: None,
    input_image_tokens: None,
    output_image_tokens: None,
    total_tokens: Some(42),
};

/// R-13: the simulated provider says the same in a stream as in one piece, and in every dialect.
#[test]
fn a_completion_of_our_own_is_metered_the_same_streamed_and_whole() {
    for dialect in SPOKEN {
        for finish in [Finish::Stop, Finish::Length] {
            let id = dialect.reply_id("7");
            let completion = Completion { id: &id, created: 7, model: "m", content: "a\n\"b\" \u{1f980}", finish, usage: USAGE };
            let whole = dialect.write_completion(&completion);
            let expected = dialect.read_usage(&whole).unwrap().unwrap();
            assert_eq!(expected.buckets(), USAGE.buckets(), "{dialect:?}");
            let mut meter = StreamMeter::new(dialect, UsageEvents::Withhold);
            for event in dialect.write_completion_events(&completion, &["a\n", "\"b\" ", "\u{1f980}"]) {
                meter.push(event, &mut Vec::new());
            }
            let outcome = meter.finish();
            assert!(outcome.done && !outcome.failed && outcome.unread_events == 0, "{dialect:?}");
            assert_eq!(outcome.output_pieces, 3, "{dialect:?}");
            let verdict = outcome.verdict(TokenEstimate::default());
            assert_eq!((verdict.source, verdict.usage), (UsageSource::Provider, expected), "{dialect:?}");
        }
    }
}

#[test]
fn a_response_of_our_own_is_streamed_in_the_order_that_agents_demand() {
    let completion = Completion { id: "resp_7", created: 7, model: "m", content: "ab", finish: Finish::Stop, usage: USAGE };
    let events = Dialect::OpenAiResponses.write_completion_events(&completion, &["a", "b"]);
    let names: Vec<Value> = (0_u64..)
        .zip(events)
        .map(|(number, event)| {
            let text = String::from_utf8(event.to_vec()).unwrap();
            let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(number)));
            data["type"].clone()
        })
        .collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names, expected);
}

#[test]
fn embeddings_of_our_own_come_one_for_each_input() {
    let cases = [
        (Dialect::OpenAiEmbeddings, r#"{"input":"a","model":"m","dimensions":2}"#, "/data", 1),
        (Dialect::OpenAiEmbeddings, r#"{"input":["a","b"],"model":"m","dimensions":2}"#, "/data", 2),
        (Dialect::OpenAiEmbeddings, r#"{"input":[1,2,3],"model":"m","dimensions":2}"#, "/data", 1),
        (Dialect::OpenAiEmbeddings, r#"{"input":[[1],[2,3]],"model":"m","dimensions":2}"#, "/data", 2),
        (Dialect::Gemini, r#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":2}"#, "/embedding/values", 2),
        (Dialect::Gemini, r#"{"requests":[{"content":{"parts":[]},"outputDimensionality":2},{"content":{}}]}"#, "/embeddings", 2),
    ];
    for (dialect, body, list, length) in cases {
        let request = dialect.read_embedding_request(body.as_bytes()).unwrap();
        let usage = Usage { input_tokens: Some(3), total_tokens: Some(3), ..Usage::default() };
        let reply = dialect.write_embeddings(&request.simulate("m", usage));
        assert_eq!(dialect.read_usage(&reply).unwrap().unwrap(), usage, "{body}");
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(reply.pointer(list).unwrap().as_array().unwrap().len(), length, "{body}");
    }
}

#[test]
fn embeddings_in_base64_are_little_endian_floats() {
    let embeddings = Embeddings { model: "m", vectors: vec![vec![1.0, -0.5]], base64: true, batched: true, usage: Usage::default() };
    let reply: Value = serde_json::from_slice(&Dialect::OpenAiEmbeddings.write_embeddings(&embeddings)).unwrap();
    assert_eq!(reply["data"][0]["embedding"], "AACAPwAAAL8=");
}
