//! Names of what was left out: each is a field of the request that was sent, and a field has one name whatever the target.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::convert::{Ask, request};

mod samples;

#[test]
fn each_field_is_named_once_and_a_flood_is_counted() {
    let mut dropped = Dropped::of(Dialect::OpenAiChat);
    for _ in 0..3 {
        dropped.note(Feature::Seed);
    }
    dropped.note_member("logit_bias");
    assert_eq!(dropped.header(), "logit_bias,seed");
    for number in 0..100 {
        dropped.note_member(&format!("f{number}"));
    }
    assert!(dropped.header().ends_with(",+70"), "{}", dropped.header());
}

#[test]
fn every_feature_has_a_name_for_every_caller() {
    for feature in Feature::ALL {
        for dialect in Dialect::ALL {
            assert_ne!(feature.name_in(dialect), "", "{feature:?} in {}", dialect.name());
        }
    }
}

#[test]
fn a_member_of_chat_that_a_server_refuses_is_named_as_the_caller_wrote_it() {
    let named = |dialect, member| {
        let mut dropped = Dropped::of(dialect);
        dropped.note_chat_member(member);
        dropped.header()
    };
    for (member, expected) in [
        ("user", ["user", "user", "metadata.user_id", "user"]),
        ("seed", ["seed", "seed", "seed", "generationConfig.seed"]),
        ("top_logprobs", ["top_logprobs", "top_logprobs", "top_logprobs", "generationConfig.logprobs"]),
        ("response_format", ["response_format", "text.format", "output_config.format", "generationConfig.responseSchema"]),
        ("verbosity", ["verbosity", "text.verbosity", "text.verbosity", "text.verbosity"]),
    ] {
        let found = samples::CALLERS.map(|dialect| named(dialect, member));
        assert_eq!(found, expected, "{member}");
    }
}

#[test]
fn a_part_that_only_gemini_knows_is_named_by_its_member() {
    let part = |json: &str| serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
    for (dialect, json, expected) in [
        (Dialect::Gemini, r#"{"executableCode":{"code":"1"}}"#, "contents.parts.executableCode"),
        (Dialect::AnthropicMessages, r#"{"type":"server_tool_use"}"#, "server_tool_use"),
        (Dialect::OpenAiChat, "7", "part"),
    ] {
        let mut dropped = Dropped::of(dialect);
        dropped.note_part(&part(json));
        assert_eq!(dropped.header(), expected, "{json}");
    }
}

/// Providers of every dialect, with models that take more and that take less.
const TARGETS: [(Dialect, &str); 9] = [
    (Dialect::OpenAiChat, "gpt-5"),
    (Dialect::OpenAiResponses, "gpt-5"),
    (Dialect::AnthropicMessages, "claude-sonnet-4-5"),
    (Dialect::AnthropicMessages, "claude-3-5-sonnet-20241022"),
    (Dialect::Gemini, "gemini-3-flash"),
    (Dialect::Gemini, "gemini-2.5-pro"),
    (Dialect::BedrockConverse, "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    (Dialect::BedrockConverse, "anthropic.claude-3-5-sonnet-20241022-v2:0"),
    (Dialect::BedrockConverse, "amazon.nova-pro-v1:0"),
];

/// What every target together leaves out of a request.
fn named_by_all(from: Dialect, body: &Value) -> BTreeSet<String> {
    let others = TARGETS.into_iter().filter(|(to, _)| *to != from);
    let named = others.flat_map(|(to, model)| {
        let ask = Ask { model, output_limit: None, stream: Some(false) };
        let converted = request(from, body.to_string().as_bytes(), to, &ask).unwrap_or_else(|error| panic!("{error}: {body}"));
        converted.dropped.header().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    });
    named.collect()
}

/// Whether a dotted name leads to something in the request, from wherever it starts; a part may be named by its type.
fn stands_in(value: &Value, path: &[&str]) -> bool {
    let inside = match value {
        Value::Array(elements) => elements.iter().any(|element| stands_in(element, path)),
        Value::Object(members) => members.values().any(|member| stands_in(member, path)),
        _ => false,
    };
    inside || leads_on(value, path)
}

fn leads_on(value: &Value, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match value {
        Value::Array(elements) => elements.iter().any(|element| leads_on(element, path)),
        Value::Object(members) => {
            members.get(*first).is_some_and(|member| leads_on(member, rest))
                || (members.get("type").is_some_and(|kind| kind == first) && leads_on(value, rest))
        }
        _ => false,
    }
}

/// Contract 2.3: the header names fields of the caller's own request.
#[test]
fn what_a_target_lacks_is_named_by_a_field_of_the_callers_request() {
    for dialect in samples::CALLERS {
        assert_eq!(named_by_all(dialect, &samples::body(dialect, &json!({}))), BTreeSet::new(), "{}", dialect.name());
        for (feature, fields) in samples::of(dialect) {
            let body = samples::body(dialect, &fields);
            let named = named_by_all(dialect, &body);
            let expected = samples::names(dialect, feature, &body);
            assert!(named.contains(&expected[0]), "{feature:?} in {}: {named:?} without `{}`", dialect.name(), expected[0]);
            let others: Vec<&String> = named.iter().filter(|name| !expected.contains(name)).collect();
            assert!(others.is_empty(), "{feature:?} in {} has other names too: {others:?}", dialect.name());
            for name in named.iter().filter(|name| !name.starts_with("include.")) {
                let path: Vec<&str> = name.split('.').collect();
                assert!(stands_in(&body, &path), "`{name}` is no field of {body}");
            }
        }
    }
}

/// A feature that a dialect gains a field for wants a sample here, or it would be named untried.
#[test]
fn every_feature_is_tried_in_every_dialect_that_has_a_field_for_it() {
    for dialect in samples::CALLERS {
        let tried: Vec<Feature> = samples::of(dialect).into_iter().map(|(feature, _)| feature).collect();
        for feature in Feature::ALL.iter().filter(|feature| feature.field_in(dialect).is_some()) {
            let expected = !samples::UNTRIED.contains(&(dialect, *feature));
            assert_eq!(tried.contains(feature), expected, "{feature:?} in {}", dialect.name());
        }
    }
}
