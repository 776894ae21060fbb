//! Replies and errors of our own, as the wire shows them.

use super::*;
use crate::{
    dialect::{
        Dialect,
        openai_models::{ModelEntry, write_model, write_models},
    },
    error::{BudgetDetail, ErrorCode},
};

const USAGE: Usage = Usage {
    input_tokens: Some(3),
    cached_input_tokens: Some(0),
    cache_write_tokens: None,
    cache_write_1h_tokens: None,
    input_audio_tokens: None,
    output_tokens: Some(2),
    reasoning_tokens: None,
    output_audio_tokens: None,
    input_image_tokens: None,
    output_image_tokens: None,
    total_tokens: Some(5),
};

#[test]
fn a_completion_has_the_members_that_clients_read() {
    let completion = Completion { id: "chatcmpl-1", created: 7, model: "m", content: "a\n\"b\"", finish: Finish::Stop, usage: USAGE };
    let expected = concat!(
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","#,
        r#""content":"a\n\"b\"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"#,
        r#""total_tokens":5,"prompt_tokens_details":{"cached_tokens":0}}}"#
    );
    assert_eq!(write_completion(&completion), expected);
    assert_eq!(Dialect::OpenAiChat.read_usage(expected.as_bytes()), Ok(Some(USAGE)));
}

#[test]
fn a_blocking_budget_is_spelled_out() {
    let budget =
        BudgetDetail { name: "b", spend_usd: "99.9999", cap_usd: "100", period: "monthly", period_resets_at: "2026-12-01T00:00:00Z" };
    let error = ErrorReply {
        status: 402,
        message: "no money",
        kind: "budget_exceeded",
        code: Some(ErrorCode::Number(402)),
        param: None,
        budget: Some(budget),
    };
    let expected = concat!(
        r#"{"error":{"message":"no money","type":"budget_exceeded","code":402,"param":null,"budget":{"name":"b","spend_usd":99.9999,"#,
        r#""cap_usd":100,"period":"monthly","period_resets_at":"2026-12-01T00:00:00Z"}}}"#
    );
    assert_eq!(Dialect::OpenAiChat.write_error(&error), expected);
    assert_eq!(Dialect::OpenAiChat.write_error_event(&error, 0), format!("data: {expected}\n\n"));
}

#[test]
fn an_amount_that_is_no_numeral_can_not_break_the_json() {
    let budget = BudgetDetail { name: "b", spend_usd: "1,\"x\":2", cap_usd: "", period: "p", period_resets_at: "r" };
    let error =
        ErrorReply { status: 400, message: "m", kind: "k", code: Some(ErrorCode::Name("c")), param: Some("p"), budget: Some(budget) };
    let written: serde_json::Value = serde_json::from_slice(&Dialect::OpenAiChat.write_error(&error)).unwrap();
    assert_eq!(written["error"]["budget"]["spend_usd"], "1,\"x\":2");
    assert_eq!(written["error"]["code"], "c");
}

#[test]
fn models_are_listed_as_openai_does() {
    let model = ModelEntry { id: "openai/gpt-4o", created: 0, owned_by: "openai" };
    let one = r#"{"id":"openai/gpt-4o","object":"model","created":0,"owned_by":"openai"}"#;
    assert_eq!(write_model(&model), one);
    assert_eq!(write_models(&[model, model]), format!(r#"{{"object":"list","data":[{one},{one}]}}"#));
}
