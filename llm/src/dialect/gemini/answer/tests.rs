//! What whole replies say.

use super::*;
use crate::convert::{FinishReason, Part};

fn finish_of(reply: &str) -> FinishReason {
    read_answer(reply.as_bytes()).unwrap().choices[0].finish
}

#[test]
fn every_reason_to_end_is_known_for_what_it_is() {
    for (reason, expected) in [
        ("STOP", FinishReason::Stop),
        ("MAX_TOKENS", FinishReason::Length),
        ("SAFETY", FinishReason::Refusal),
        ("RECITATION", FinishReason::Refusal),
        ("PROHIBITED_CONTENT", FinishReason::Refusal),
        ("MALFORMED_FUNCTION_CALL", FinishReason::MalformedCall),
        ("LANGUAGE", FinishReason::Other),
        ("A_NEW_ONE", FinishReason::Other),
    ] {
        assert_eq!(finish_of(&format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#)), expected, "{reason}");
    }
    let called = r#"{"candidates":[{"finishReason":"STOP","content":{"parts":[{"functionCall":{"name":"f"}}]}}]}"#;
    assert_eq!(finish_of(called), FinishReason::ToolCalls);
}

#[test]
fn a_reply_without_an_end_or_an_answer_is_no_clean_end() {
    assert_eq!(finish_of(r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#), FinishReason::Other);
    assert_eq!(finish_of(r#"{"usageMetadata":{"promptTokenCount":3}}"#), FinishReason::Other);
}

#[test]
fn a_blocked_prompt_is_an_answer_that_declines_in_the_providers_words() {
    let reply = br#"{"promptFeedback":{"blockReason":"SAFETY","blockReasonMessage":"Not this."}}"#;
    let answer = read_answer(reply).unwrap();
    assert!(matches!(answer.choices[0].parts.as_slice(), [Part::Refusal { text }] if text == "Not this."));
    assert_eq!(answer.choices[0].finish, FinishReason::Refusal);
}

#[test]
fn parts_that_only_gemini_knows_go_back_as_they_came() {
    let code = r#"{"executableCode":{"language":"PYTHON","code":"print(6 * 7)"},"thoughtSignature":"Cg=="}"#;
    let reply = format!(r#"{{"candidates":[{{"content":{{"parts":[{code}]}},"finishReason":"STOP"}}]}}"#);
    let answer = read_answer(reply.as_bytes()).unwrap();
    let stamp = crate::convert::Stamp { id: "i", created: 0, model: "m" };
    assert!(String::from_utf8(write_answer(&answer, &stamp)).unwrap().contains(code));
}

#[test]
fn what_is_wrong_is_named() {
    for (reply, expected) in [
        (r#"{"candidates":[{"content":{"parts":[{"text":5}]}}]}"#, "`candidates[0].content.parts[0].text` of the answer must be a string"),
        (r#"{"candidates":"#, "the answer is not valid JSON: it ends unexpectedly at byte 14"),
    ] {
        assert_eq!(read_answer(reply.as_bytes()).unwrap_err().to_string(), expected);
    }
}
