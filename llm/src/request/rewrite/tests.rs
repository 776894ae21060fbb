//! R-45: what was not asked to change does not, and what was asked changes as JSON sees it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::request::{Head, ReadRequestError};

fn read(body: &[u8]) -> Result<Head<'_>, ReadRequestError> {
    Dialect::OpenAiChat.read_head(body, None)
}

fn rewritten(body: &str, rewrite: &Rewrite<'_>) -> String {
    let layout = read(body.as_bytes()).unwrap().layout;
    String::from_utf8(layout.upstream_body(&Bytes::from(body.to_owned()), rewrite).to_vec()).unwrap()
}

const FORCED: Rewrite<'_> = Rewrite { model: None, force_usage: true, output_limit: None };

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
        let rewrite = Rewrite { model: Some("gpt-4o"), force_usage, output_limit };
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
}
