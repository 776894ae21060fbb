//! R-45: what was not asked to change does not, and what was asked changes as JSON sees it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::request::{Addressed, Head, ReadRequestError};

fn read(body: &[u8]) -> Result<Head<'_>, ReadRequestError> {
    Dialect::OpenAiChat.read_head(body, None)
}

fn rewritten(body: &str, rewrite: &Rewrite<'_>) -> String {
    let layout = read(body.as_bytes()).unwrap().layout;
    String::from_utf8(layout.upstream_body(&Bytes::from(body.to_owned()), rewrite).to_vec()).unwrap()
}

const FORCED: Rewrite<'_> = Rewrite { model: None, force_usage: true, output_limit: None, dimensions: None };

fn limited(tokens: u32, field: OutputField) -> Rewrite<'static> {
    Rewrite { output_limit: Some(OutputLimit { tokens, field }), ..Rewrite::default() }
}

#[test]
fn with_nothing_to_change_the_same_bytes_go_on() {
    let body =
        Bytes::from_static(br#"{"model":"a\/b","messages":[ ],"stream":true,"stream_options":{"include_usage":true},"max_tokens":5}"#);
    let layout = read(&body).unwrap().layout;
    let rewrite = Rewrite { force_usage: true, ..limited(5, OutputField::MaxTokens) };
    assert_eq!(layout.upstream_body(&body, &rewrite).as_ptr(), body.as_ptr());
    let same = Bytes::from_static(br#"{"model":"gpt","messages":[]}"#);
    let layout = read(&same).unwrap().layout;
    assert_eq!(layout.upstream_body(&same, &Rewrite { model: Some("gpt"), ..Rewrite::default() }).as_ptr(), same.as_ptr());
}

#[test]
fn our_members_are_taken_out_with_one_comma_each() {
    let cases = [
        (r#"{"mlx:trace":true,"model":"m","messages":[]}"#, r#"{"model":"m","messages":[]}"#),
        (r#"{ "mlx:trace" : true , "mlx:tags":{} , "model":"m","messages":[]}"#, r#"{ "model":"m","messages":[]}"#),
        (r#"{"model":"m", "mlx:trace":true, "mlx:tags":{"a":"}"} ,"messages":[] }"#, r#"{"model":"m" ,"messages":[] }"#),
        (r#"{"model":"m","messages":[] , "mlx:trace":true , "mlx:tags":{} }"#, r#"{"model":"m","messages":[] }"#),
        (r#"{"mlx:trace":true,"model":"m","messages":[],"mlx:tags":{}}"#, r#"{"model":"m","messages":[]}"#),
        (r#"{"model":"m","messages":[{"mlx:trace":true}]}"#, r#"{"model":"m","messages":[{"mlx:trace":true}]}"#),
    ];
    for (body, expected) in cases {
        assert_eq!(rewritten(body, &Rewrite::default()), expected);
    }
}

#[test]
fn usage_is_asked_for_in_a_stream_whatever_the_caller_wrote() {
    let cases = [
        ("", r#"{"stream_options":{"include_usage":true},"model":"m","messages":[],"stream":true}"#),
        (r#","stream_options":null"#, r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#),
        (r#","stream_options":{ }"#, r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true }}"#),
        (r#","stream_options":{"x":1}"#, r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true,"x":1}}"#),
        (
            r#","stream_options":{"x":1, "include_usage" : false}"#,
            r#"{"model":"m","messages":[],"stream":true,"stream_options":{"x":1, "include_usage" : true}}"#,
        ),
    ];
    for (options, expected) in cases {
        let body = format!(r#"{{"model":"m","messages":[],"stream":true{options}}}"#);
        assert_eq!(rewritten(&body, &FORCED), expected);
        assert!(read(body.as_bytes()).unwrap().layout.forces_usage());
    }
    let buffered = r#"{"model":"m","messages":[]}"#;
    assert_eq!(rewritten(buffered, &FORCED), buffered);
}

#[test]
fn output_is_limited_where_the_caller_set_more_or_nothing() {
    let body = |members: &str| format!(r#"{{"model":"m","messages":[]{members}}}"#);
    let lowered = rewritten(&body(r#","max_tokens":100,"max_completion_tokens":5"#), &limited(10, OutputField::MaxTokens));
    assert_eq!(lowered, body(r#","max_tokens":10,"max_completion_tokens":5"#));
    let added = rewritten(&body(""), &limited(10, OutputField::MaxCompletionTokens));
    assert_eq!(added, r#"{"max_completion_tokens":10,"model":"m","messages":[]}"#);
    let null = rewritten(&body(r#","max_tokens":null"#), &limited(10, OutputField::MaxTokens));
    assert_eq!(null, body(r#","max_tokens":10"#));
}

#[test]
fn a_model_name_is_written_as_json() {
    let rewrite = Rewrite { model: Some("a\"b\\c\n"), ..Rewrite::default() };
    let body = r#"{"messages":[],"model" :"@x" }"#;
    assert_eq!(rewritten(body, &rewrite), r#"{"messages":[],"model" :"a\"b\\c\n" }"#);
}

fn limited_as(dialect: Dialect, body: &str, tokens: u32) -> String {
    let addressed = Some(Addressed { model: "m", stream: true });
    let layout = dialect.read_head(body.as_bytes(), addressed).unwrap().layout;
    let rewrite = Rewrite { model: Some("new"), force_usage: true, ..limited(tokens, OutputField::MaxTokens) };
    String::from_utf8(layout.upstream_body(&Bytes::from(body.to_owned()), &rewrite).to_vec()).unwrap()
}

#[test]
fn every_dialect_is_limited_by_its_own_member_and_named_by_its_own_model() {
    let cases = [
        (Dialect::OpenAiResponses, r#"{"input":"x","model":"m"}"#, r#"{"max_output_tokens":9,"input":"x","model":"new"}"#),
        (Dialect::OpenAiResponses, r#"{"max_output_tokens":null,"input":"x"}"#, r#"{"max_output_tokens":9,"input":"x"}"#),
        (Dialect::OpenAiEmbeddings, r#"{"input":"x","model":"m"}"#, r#"{"input":"x","model":"new"}"#),
        (Dialect::AnthropicMessages, r#"{"model":"m","max_tokens":10,"messages":[]}"#, r#"{"model":"new","max_tokens":9,"messages":[]}"#),
        (Dialect::AnthropicMessages, r#"{"model":"m","max_tokens":8,"messages":[]}"#, r#"{"model":"new","max_tokens":8,"messages":[]}"#),
        (Dialect::Gemini, r#"{"contents":[]}"#, r#"{"generationConfig":{"maxOutputTokens":9},"contents":[]}"#),
        (Dialect::Gemini, r#"{"contents":[],"generationConfig":null}"#, r#"{"contents":[],"generationConfig":{"maxOutputTokens":9}}"#),
        (
            Dialect::Gemini,
            r#"{"contents":[],"generation_config":{ "topK":1}}"#,
            r#"{"contents":[],"generation_config":{"maxOutputTokens":9, "topK":1}}"#,
        ),
        (
            Dialect::Gemini,
            r#"{"contents":[],"generationConfig":{"topK":1, "maxOutputTokens" : 10}}"#,
            r#"{"contents":[],"generationConfig":{"topK":1, "maxOutputTokens" : 9}}"#,
        ),
        (Dialect::Gemini, r#"{"model":"models/m","content":{}}"#, r#"{"model":"models/new","content":{}}"#),
        (Dialect::BedrockConverse, r#"{"messages":[]}"#, r#"{"inferenceConfig":{"maxTokens":9},"messages":[]}"#),
    ];
    for (dialect, body, expected) in cases {
        assert_eq!(limited_as(dialect, body, 9), expected);
    }
}

#[test]
fn every_model_of_a_batch_is_the_new_one_also_where_another_prompt_stands_beside_it() {
    for beside in ["", r#","contents":[]"#, r#","content":{}"#] {
        let body = |model: &str| format!(r#"{{"requests":[{{"model":"models/{model}"}},{{"model":"models/{model}"}}]{beside}}}"#);
        assert_eq!(limited_as(Dialect::Gemini, &body("m"), 9), body("new"));
    }
}

#[test]
fn a_thinking_budget_stays_below_the_limit_that_contains_it() {
    let body = |limit: u32, budget: u32| {
        format!(r#"{{"model":"new","max_tokens":{limit},"thinking":{{"type":"enabled","budget_tokens":{budget}}},"messages":[]}}"#)
    };
    let cases = [
        ((32_000, 31_999), 8_000, (8_000, 6_000)),
        ((32_000, 31_999), 1_100, (1_100, 1_024)),
        ((32_000, 4_000), 8_000, (8_000, 4_000)),
        // Too low for any thinking: the provider's refusal says so.
        ((32_000, 31_999), 1_024, (1_024, 31_999)),
    ];
    for ((limit, budget), tokens, (lowered, left)) in cases {
        assert_eq!(limited_as(Dialect::AnthropicMessages, &body(limit, budget), tokens), body(lowered, left));
    }
}

#[test]
fn usage_is_forced_in_chat_alone() {
    let body = r#"{"model":"new","stream":true,"messages":[],"input":"x","contents":[],"max_tokens":1}"#;
    for dialect in Dialect::ALL {
        let addressed = Some(Addressed { model: "m", stream: true });
        let layout = dialect.read_head(body.as_bytes(), addressed).unwrap().layout;
        let forced = dialect == Dialect::OpenAiChat;
        assert_eq!(layout.forces_usage(), forced);
        assert_eq!(layout.edits(body.as_bytes(), &FORCED).is_empty(), !forced);
    }
}

/// One member, written with the blanks given.
fn member(name: &str, value: &Value, blanks: &str) -> String {
    format!("{blanks}{}{blanks}:{blanks}{value}{blanks}", Value::from(name))
}

fn members() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let optional = proptest::sample::subsequence(
        vec![
            ("mlx:tags", json!({"a": "},{\"mlx:x\":"})),
            ("mlx:trace", json!(true)),
            ("mlx:end_user", json!("e\"")),
            ("mlx:cache", json!({"skip": false})),
            ("stream", json!(true)),
            ("stream_options", json!({"include_obfuscation": false, "include_usage": false})),
            ("max_tokens", json!(999)),
            ("max_completion_tokens", Value::Null),
            ("temperature", json!(0.5)),
            ("unknown", json!({"mlx:tags": {"x": ["\u{e9}\\"]}})),
        ],
        0..=10,
    );
    optional
        .prop_map(|mut members| {
            members.push(("model", json!("@cheap")));
            members.push(("messages", json!([{"role": "user", "content": "\"model\":\"x\" \u{1f980}"}])));
            members
        })
        .prop_shuffle()
}

proptest! {
    /// The edited body means what it should, and each member that was not edited stands there byte for byte.
    #[test]
    fn rewriting_changes_only_what_was_asked(
        members in members(), blanks in "[ \n\t]{0,2}", force_usage in any::<bool>(), limit in proptest::option::of(1_u32..2000),
    ) {
        let texts: Vec<String> = members.iter().map(|(name, value)| member(name, value, &blanks)).collect();
        let body = format!("{blanks}{{{}}}{blanks}", texts.join(","));
        let output_limit = limit.map(|tokens| OutputLimit { tokens, field: OutputField::MaxTokens });
        let rewrite = Rewrite { model: Some("gpt-4o"), force_usage, output_limit, dimensions: None };
        let result = rewritten(&body, &rewrite);

        let mut expected: serde_json::Map<String, Value> =
            members.iter().filter(|(name, _)| !name.starts_with("mlx:")).map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        expected.insert("model".into(), json!("gpt-4o"));
        if force_usage && expected.contains_key("stream") {
            let options = expected.entry("stream_options").or_insert_with(|| json!({}));
            options["include_usage"] = json!(true);
        }
        if let Some(tokens) = limit {
            let given = expected.get("max_tokens").and_then(Value::as_u64).unwrap_or(u64::MAX);
            expected.insert("max_tokens".into(), json!(given.min(u64::from(tokens))));
        }
        prop_assert_eq!(&serde_json::from_str::<Value>(&result).unwrap(), &Value::Object(expected));
        for (text, (name, _)) in texts.iter().zip(&members) {
            if matches!(*name, "messages" | "temperature" | "unknown" | "stream") {
                prop_assert!(result.contains(text.trim()), "{} in {}", text, result);
            }
        }
        prop_assert!(read(result.as_bytes()).is_ok());
    }

    /// R-45 in every dialect: with nothing asked, only our own members go, each with one comma.
    #[test]
    fn only_our_members_are_taken_out_of_any_dialect(
        names in proptest::sample::subsequence(vec!["mlx:trace", "tools", "metadata", "x", "mlx:end_user", "system", "mlx:cache"], 0..=7)
            .prop_shuffle(),
        blanks in "[ \n\t]{0,2}", place in 0_usize..8, dialect in proptest::sample::select(Dialect::ALL.to_vec()),
    ) {
        let value = |name: &str| match name {
            "mlx:trace" => json!(true),
            "mlx:end_user" => json!("e"),
            "tools" => json!([{"type": "function", "name": "\u{e9},}"}]),
            _ => json!({}),
        };
        let mut texts: Vec<String> = names.iter().map(|name| member(name, &value(name), &blanks)).collect();
        let prompt = if dialect == Dialect::Gemini { "contents" } else { "messages" };
        let prompt = if matches!(dialect, Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings) { "input" } else { prompt };
        texts.insert(place.min(texts.len()), member(prompt, &json!([]), &blanks));
        let body = format!("{{{}}}", texts.join(","));
        let addressed = Some(Addressed { model: "m", stream: false });
        let layout = dialect.read_head(body.as_bytes(), addressed).unwrap().layout;
        let result = layout.upstream_body(&Bytes::from(body.clone()), &Rewrite::default());
        let expected: Vec<&str> = texts.iter().filter(|text| !text.contains("mlx:")).map(|text| text.trim()).collect();
        let kept: String = String::from_utf8(result.to_vec()).unwrap();
        prop_assert!(serde_json::from_str::<Value>(&kept).is_ok(), "{}", kept);
        prop_assert!(!kept.contains("mlx:"));
        let squeezed = |text: &str| text.replace([' ', '\n', '\t'], "");
        prop_assert_eq!(squeezed(&kept), squeezed(&format!("{{{}}}", expected.join(","))));
        prop_assert!(expected.iter().all(|text| kept.contains(text)));
    }
}
