//! Finding the report, and the names its members go by.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::report::find_from_front;
use super::*;
use crate::dialect::Dialect;

fn read_usage(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    Dialect::OpenAiChat.read_usage(reply)
}

fn input(reply: &str) -> Option<u64> {
    read_usage(reply.as_bytes()).unwrap().and_then(|usage| usage.input_tokens)
}

#[test]
fn text_that_talks_about_usage_is_not_the_report() {
    let text = r#"{\"usage\":{\"prompt_tokens\":666}}"#;
    assert_eq!(input(&format!(r#"{{"usage":{{"prompt_tokens":1}},"choices":[{{"message":{{"content":"{text}"}}}}]}}"#)), Some(1));
    assert_eq!(input(r#"{"usage":{"prompt_tokens":1},"choices":[{"usage":{"prompt_tokens":666}}]}"#), Some(1));
    assert_eq!(input(r#"{"usage":{"prompt_tokens":1},"choices":["usage",{"x":"usage"}],"y":{"usage":{"prompt_tokens":6}}}"#), Some(1));
    assert_eq!(input(r#"{"a":{"usage":{"prompt_tokens":666}}}"#), None);
    assert_eq!(input(r#"{"a\"usage":{"prompt_tokens":666}}"#), None);
    assert_eq!(input(r#"{"us\u0061ge":{"prompt_tokens":2}}"#), Some(2));
    assert_eq!(input(r#"{"usage":null}"#), None);
    assert_eq!(input("[]"), None);
}

#[test]
fn the_last_of_two_reports_counts_as_for_most_readers() {
    assert_eq!(input(r#"{"usage":{"prompt_tokens":1},"usage" : {"prompt_tokens":2} , "service_tier":"x"}"#), Some(2));
}

#[test]
fn many_false_trails_lead_to_a_full_read() {
    let trails = vec![r#"{"usage":1}"#; 50].join(",");
    assert_eq!(input(&format!(r#"{{"usage":{{"prompt_tokens":3}},"x":[{trails}]}}"#)), Some(3));
}

#[test]
fn a_reply_that_is_not_json_is_an_error_and_not_an_absence() {
    assert!(matches!(read_usage(b"<html>"), Err(ReadUsageError::Syntax(_))));
    assert!(matches!(read_usage(br#"{"usage":{"prompt_tokens":1}"#), Err(ReadUsageError::Syntax(_))));
    assert_eq!(read_usage(br#"{"usage":{"prompt_tokens":-1}}"#), Err(ReadUsageError::NotACount { field: "prompt_tokens" }));
    assert_eq!(read_usage(br#"{"usage":[]}"#), Err(ReadUsageError::NotAnObject));
}

#[test]
fn cached_tokens_are_known_by_every_name_but_openais_goes_first() {
    let cached = |members: &str| {
        read_usage(format!(r#"{{"usage":{{"prompt_tokens":9,{members}}}}}"#).as_bytes()).unwrap().unwrap().cached_input_tokens
    };
    assert_eq!(cached(r#""prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5"#), Some(4));
    assert_eq!(cached(r#""cached_tokens":4"#), Some(4));
    assert_eq!(cached(r#""cache_read_input_tokens":0"#), Some(0));
    assert_eq!(cached(r#""prompt_tokens_details":{"cached_tokens":3},"prompt_cache_hit_tokens":4"#), Some(3));
    assert_eq!(cached(r#""prompt_tokens_details":null"#), None);
}

proptest! {
    /// Searching from the end and reading from the front agree, wherever the report stands and whatever stands around it.
    #[test]
    fn both_ways_of_finding_the_report_agree(
        front in proptest::sample::subsequence(vec!["id", "choices", "model"], 0..=3),
        back in proptest::sample::subsequence(vec!["service_tier", "x_groq", "note"], 0..=3),
        text in "[\"\\\\{}:,a-z ]{0,30}", pretty in any::<bool>(),
    ) {
        let decoy = json!([{"usage": {"prompt_tokens": 7}}, "usage", text, {"a": "\"usage\":{\"prompt_tokens\":7}}"}]);
        let mut members: Vec<(String, Value)> = front.iter().map(|name| ((*name).to_owned(), decoy.clone())).collect();
        members.push(("usage".to_owned(), json!({"prompt_tokens": 5, "note": "}"})));
        members.extend(back.iter().map(|name| ((*name).to_owned(), decoy.clone())));
        let blank = if pretty { " " } else { "" };
        let inner: Vec<String> = members.iter().map(|(name, value)| format!("{blank}{}{blank}:{blank}{value}", json!(name))).collect();
        let reply = format!("{{{}{blank}}}", inner.join(","));
        let usage = read_usage(reply.as_bytes()).unwrap();
        let front = find_from_front(reply.as_bytes(), "usage").unwrap().unwrap();
        prop_assert_eq!(report::find(reply.as_bytes(), "usage").unwrap().unwrap().range(), front.range());
        prop_assert_eq!(usage.unwrap().input_tokens, Some(5));
    }
}
