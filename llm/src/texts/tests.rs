//! Which texts are visited, and that what is replaced in them is replaced in the body and nowhere else.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::splice::Edits;

/// All texts of `body`, sorted: its members are in no order.
fn texts(body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(body.to_string().as_bytes(), &mut |text| found.push(text.as_str().to_owned())).unwrap();
    found.sort();
    found
}

/// `body` with `wanted` replaced by `[X]` in every text.
fn replaced(body: &str, wanted: &str) -> String {
    let mut edits = Edits::new(body.len());
    visit(body.as_bytes(), &mut |text| {
        for (start, part) in text.as_str().match_indices(wanted) {
            edits.replace(text.place(&(start..start + part.len())), text.written("[X]"));
        }
    })
    .unwrap();
    String::from_utf8(edits.apply(&Bytes::from(body.to_owned())).to_vec()).unwrap()
}

#[test]
fn what_people_and_programs_wrote_is_visited_in_every_dialect() {
    let chat = json!({"model": "m", "user": "u", "messages": [{"role": "system", "content": "a"}, {"role": "user", "name": "n",
        "content": [{"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "https://c/d"}}]},
        {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"e\":\"g\"}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "h"}], "mlx:tags": {"team": "t"}});
    assert_eq!(texts(&chat), ["a", "b", "e", "f", "g", "h", "https://c/d", "n", "u"]);
    let responses = json!({"model": "m", "instructions": "a", "input": [{"type": "message", "role": "user", "content":
        [{"type": "input_text", "text": "b"}]}, {"type": "function_call_output", "call_id": "c", "output": "d"},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "secret"}], "text": {"format": {"type": "text"}}});
    assert_eq!(texts(&responses), ["a", "b", "d"]);
    assert_eq!(texts(&json!({"model": "m", "input": "a"})), ["a"]);
    let anthropic = json!({"model": "m", "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}], "messages": [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"id": "b", "n": 12, "deep": {"type": ["c"]}}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "d"}]}]});
    assert_eq!(texts(&anthropic), ["12", "a", "b", "c", "d", "deep", "f", "id", "n", "type"]);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "a"}, {"functionCall": {"name": "f", "args": {"k": "b"}},
        "thoughtSignature": "s"}, {"functionResponse": {"name": "f", "response": {"out": "c"}}}]}],
        "systemInstruction": {"parts": [{"text": "d"}]}, "generationConfig": {"responseSchema": {"description": "x"}}});
    assert_eq!(texts(&gemini), ["a", "b", "c", "d", "f", "f", "k", "out"]);
}

#[test]
fn descriptions_of_tools_are_left_alone() {
    let body = json!({"model": "m", "messages": [], "tools": [{"type": "function", "function": {"name": "f", "description": "d"}}]});
    assert_eq!(texts(&body), Vec::<String>::new());
}

#[test]
fn pictures_are_passed_over_and_short_texts_in_their_place_are_not() {
    let picture = "A".repeat(PICTURE + 1);
    let part = |url: String| json!({"model": "m", "messages": [{"content": [{"type": "image_url", "image_url": {"url": url}}]}]});
    assert_eq!(texts(&part(format!("data:image/png;base64,{picture}"))), Vec::<String>::new());
    assert_eq!(texts(&part("https://a/?token=b".to_owned())), ["https://a/?token=b"]);
    let document = json!({"messages": [{"content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data":
        format!("{picture} and words")}}]}]});
    assert_eq!(texts(&document), [format!("{picture} and words")]);
}

#[test]
fn what_is_escaped_is_found_and_replaced_where_it_is_written() {
    let body = r#"{"messages":[{"content":"a \u0040 b\n\ud83d\ude00 x@y"}]}"#;
    assert_eq!(replaced(body, "@"), r#"{"messages":[{"content":"a [X] b\n\ud83d\ude00 x[X]y"}]}"#);
    assert_eq!(replaced(body, "\u{1f600} x"), r#"{"messages":[{"content":"a \u0040 b\n[X]@y"}]}"#);
}

#[test]
fn what_is_escaped_twice_is_found_in_arguments_and_results() {
    let body = r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"to\":\"a\\u0040b\",\"n\":4111}"}}]}]}"#;
    assert_eq!(replaced(body, "a@b"), r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"to\":\"[X]\",\"n\":4111}"}}]}]}"#);
    let numbers = replaced(body, "411");
    assert_eq!(numbers, r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"to\":\"a\\u0040b\",\"n\":\"[X]\"}"}}]}]}"#);
    let arguments = serde_json::from_str::<Value>(&numbers).unwrap()["messages"][0]["tool_calls"][0]["function"]["arguments"].clone();
    assert!(serde_json::from_str::<Value>(arguments.as_str().unwrap()).is_ok(), "{arguments}");
}

#[test]
fn a_number_of_a_call_is_replaced_as_a_whole() {
    let body = r#"{"messages":[{"content":[{"type":"tool_use","input":{"card": 4111 }}]}]}"#;
    assert_eq!(replaced(body, "11"), r#"{"messages":[{"content":[{"type":"tool_use","input":{"card": "[X]" }}]}]}"#);
}

#[test]
fn half_of_a_pair_hides_nothing() {
    assert_eq!(replaced(r#"{"input":"\ud83d x \udc00"}"#, "x"), r#"{"input":"\ud83d [X] \udc00"}"#);
}

#[test]
fn what_is_no_json_is_an_error() {
    for body in ["", "{", "{\"a\":}", "{}x", "{\"input\":\"\\q\"}"] {
        assert!(visit(body.as_bytes(), &mut |_| {}).is_err(), "{body}");
    }
    assert!(visit(b"{\"input\":\"\xff\"}", &mut |_| {}).is_err());
}

/// `text` in JSON, each character escaped or not as `how` has it.
fn escaped(text: &str, how: &[bool]) -> String {
    let mut written = String::new();
    for (character, escape) in text.chars().zip(how.iter().cycle()) {
        if *escape || matches!(character, '"' | '\\') || character.is_control() {
            for unit in character.encode_utf16(&mut [0; 2]) {
                written.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            written.push(character);
        }
    }
    written
}

proptest! {
    #[test]
    fn replacing_in_the_body_is_replacing_in_the_text(
        before in ".{0,20}", after in ".{0,20}", how in proptest::collection::vec(any::<bool>(), 1..9),
    ) {
        let text = format!("k{before}needle{after}");
        let body = format!(r#"{{"model":"needle","input":["{}"]}}"#, escaped(&text, &how));
        let read: Value = serde_json::from_str(&replaced(&body, "needle")).unwrap();
        prop_assert_eq!(&read["input"][0], &json!(text.replace("needle", "[X]")));
        prop_assert_eq!(&read["model"], "needle");
    }

    #[test]
    fn whatever_comes_is_walked_without_a_panic_and_only_within_the_body(body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let length = body.len();
        let walked = visit(&body, &mut |text| {
            let place = text.place(&(0..text.as_str().len()));
            assert!(place.start <= place.end && place.end <= length);
        });
        if serde_json::from_slice::<Box<serde_json::value::RawValue>>(&body).is_ok() {
            prop_assert_eq!(walked, Ok(()));
        }
    }
}
