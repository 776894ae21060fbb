//! What every dialect must do: name an error as its SDKs do, and end a stream with it.

use serde_json::{Value, json};

use super::*;
use crate::{
    error::{BudgetDetail, ErrorCode},
    stream::{StreamMeter, UsageEvents},
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
