//! What the entry points promise as a whole: limits, state at the provider, what was dropped, errors.

use serde_json::Value;

use super::*;

const ASK: Ask<'_> = Ask { model: "upstream", output_limit: None, stream: None };
const STAMP: Stamp<'_> = Stamp { id: "1", created: 1, model: "fast" };

fn written(from: Dialect, body: &str, to: Dialect, ask: &Ask<'_>) -> (Value, String) {
    let converted = request(from, body.as_bytes(), to, ask).unwrap();
    (serde_json::from_slice(&converted.body).unwrap(), converted.dropped.header())
}

#[test]
fn what_the_target_has_no_place_for_is_named_in_the_callers_words() {
    let chat = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
        {"type":"video","video":{}}]}],"stop":["x"],"seed":7,"n":2,"top_k":5,"logit_bias":{"1":2},"presence_penalty":0.5,
        "tools":[{"type":"custom","custom":{"name":"c"}}],"mlx:tags":{"a":"b"}}"#;
    let (body, dropped) = written(Dialect::OpenAiChat, chat, Dialect::OpenAiResponses, &ASK);
    assert_eq!(dropped, "cache_control,logit_bias,n,presence_penalty,seed,stop,tools.custom,top_k,video");
    assert_eq!(body["tools"], Value::Null);

    let responses = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"web_search_call","id":"ws_1"},
        {"type":"message","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"b","annotations":[]}]}],
        "store":true,"truncation":"auto","client_metadata":{"a":"b"},"include":["web_search_call.action.sources","reasoning.encrypted_content"],
        "tools":[{"type":"namespace","name":"n","tools":[]},{"type":"web_search"},{"type":"function","name":"f","parameters":{}}],
        "tool_choice":"auto","reasoning":{"effort":"unheard_of","summary":"auto"}}"#;
    let (body, dropped) = written(Dialect::OpenAiResponses, responses, Dialect::OpenAiChat, &ASK);
    assert_eq!(
        dropped,
        "client_metadata,include.web_search_call.action.sources,input.phase,reasoning.effort,tools.namespace,tools.web_search,truncation,\
         web_search_call"
    );
    assert_eq!((&body["store"], &body["tools"].as_array().unwrap().len()), (&Value::Bool(true), &1));
}

#[test]
fn members_that_both_dialects_of_openai_have_are_kept() {
    let chat = r#"{"model":"m","messages":[],"metadata":{"a":"b"},"service_tier":"flex","prompt_cache_key":"k","verbosity":"low"}"#;
    let (body, dropped) = written(Dialect::OpenAiChat, chat, Dialect::OpenAiResponses, &ASK);
    assert_eq!(dropped, "");
    assert_eq!((&body["metadata"]["a"], &body["service_tier"], &body["prompt_cache_key"]), (&"b".into(), &"flex".into(), &"k".into()));
    assert_eq!((&body["text"]["verbosity"], &body["store"]), (&"low".into(), &Value::Bool(false)));
    let back = serde_json::to_string(&body).unwrap();
    let (body, dropped) = written(Dialect::OpenAiResponses, &back, Dialect::OpenAiChat, &ASK);
    assert_eq!((dropped.as_str(), &body["verbosity"], &body["metadata"]["a"]), ("", &"low".into(), &"b".into()));
}

#[test]
fn state_at_the_provider_is_refused_by_name() {
    let cases = [
        (r#""previous_response_id":"resp_1","input":"go on""#, "previous_response_id"),
        (r#""conversation":"conv_1","input":"go on""#, "conversation"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (r#""input":[{"type":"item_reference","id":"msg_1"}]"#, "input.item_reference"),
        (r#""input":[{"type":"compaction","encrypted_content":"x"}]"#, "input.compaction"),
    ];
    for (members, field) in cases {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let refused = request(Dialect::OpenAiResponses, body.as_bytes(), Dialect::OpenAiChat, &ASK).unwrap_err();
        assert_eq!(refused, ConvertError::State { field });
        assert!(refused.to_string().starts_with(&format!("`{field}` refers to")), "{refused}");
    }
}

#[test]
fn wrong_members_are_refused_by_name() {
    let cases = [
        (Dialect::OpenAiChat, r#"{"messages":[{"role":"user","content":7}]}"#, "messages[0].content"),
        (Dialect::OpenAiChat, r#"{"messages":[{"role":"robot","content":"a"}]}"#, "messages[0].role"),
        (Dialect::OpenAiChat, r#"{"model":"m"}"#, "messages"),
        (Dialect::OpenAiChat, r#"{"messages":[],"tools":[{"type":"function","function":{}}]}"#, "tools[0].function.name"),
        (Dialect::OpenAiChat, r#"{"messages":[],"stop":[1]}"#, "stop"),
        (Dialect::OpenAiResponses, r#"{"input":[{"role":"user","content":[{"type":"input_text"}]}]}"#, "input[0].content[0].text"),
        (Dialect::OpenAiResponses, r#"{"input":[{"type":"function_call","name":"f"}]}"#, "input[0].call_id"),
        (Dialect::OpenAiResponses, r#"{"input":"a","text":{"format":{"type":"json_schema"}}}"#, "text.format.schema"),
        (Dialect::OpenAiResponses, r#"{"input":"a","max_output_tokens":-1}"#, "max_output_tokens"),
    ];
    for (from, body, field) in cases {
        match request(from, body.as_bytes(), Dialect::OpenAiChat, &ASK) {
            Err(ConvertError::Request(error)) => assert_eq!(error.field(), Some(field), "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn the_limit_of_the_output_is_the_lower_one() {
    let ask = |output_limit| Ask { output_limit, ..ASK };
    for (own, asked, expected) in [("", Some(9), 9), (r#","max_tokens":5"#, Some(9), 5), (r#","max_completion_tokens":50"#, Some(9), 9)] {
        let body = format!(r#"{{"model":"m","messages":[]{own}}}"#);
        let (body, _) = written(Dialect::OpenAiChat, &body, Dialect::OpenAiResponses, &ask(asked));
        assert_eq!(body["max_output_tokens"], expected);
    }
}

#[test]
fn thoughts_go_back_only_to_who_signed_them() {
    let own = Signature { origin: Dialect::OpenAiResponses, value: "gAAA".into() };
    let foreign = Signature { origin: Dialect::AnthropicMessages, value: "Eq+/".into() };
    let item = |signature: &Signature<'_>| {
        let encrypted = signature.written_in(Dialect::OpenAiChat);
        format!(r#"{{"type":"reasoning.text","text":"I think","signature":"{encrypted}","index":0}}"#)
    };
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"assistant","content":"a","reasoning_content":"I think","reasoning_details":[{},{}]}}]}}"#,
        item(&own),
        item(&foreign)
    );
    let (body, dropped) = written(Dialect::OpenAiChat, &body, Dialect::OpenAiResponses, &ASK);
    assert_eq!(dropped, "messages.reasoning_details");
    assert_eq!(body["input"].as_array().unwrap().len(), 2);
    assert_eq!((&body["input"][0]["encrypted_content"], &body["input"][0]["type"]), (&"gAAA".into(), &"reasoning".into()));
    assert_eq!(body["include"][0], "reasoning.encrypted_content");
}

#[test]
fn a_picture_among_results_is_shown_by_the_user() {
    let body = r#"{"model":"m","input":[{"type":"function_call","call_id":"c","name":"shot","arguments":""},{"type":"function_call_output",
        "call_id":"c","output":[{"type":"input_text","text":"done"},{"type":"input_image","image_url":"data:image/png;base64,iVBO"}]}]}"#;
    let (body, dropped) = written(Dialect::OpenAiResponses, body, Dialect::OpenAiChat, &ASK);
    assert_eq!(dropped, "");
    assert_eq!(body["messages"][0]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!((&body["messages"][1]["role"], &body["messages"][1]["content"]), (&"tool".into(), &"done".into()));
    assert_eq!(body["messages"][2]["content"][0]["image_url"]["url"], "data:image/png;base64,iVBO");
}

#[test]
fn a_message_of_which_nothing_is_left_is_left_out() {
    let body = r#"{"model":"m","input":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"input_file","file_url":"https://x"}]},
        {"role":"assistant","content":[{"type":"refusal","refusal":"no, "},{"type":"refusal","refusal":"never"}]}]}"#;
    let (body, dropped) = written(Dialect::OpenAiResponses, body, Dialect::OpenAiChat, &ASK);
    assert_eq!((dropped.as_str(), body["messages"].as_array().unwrap().len()), ("input_file.file_url", 2), "{body}");
    assert_eq!(body["messages"][1]["refusal"], "no, never");
}

#[test]
fn a_stream_that_never_says_why_it_ended_has_an_end_all_the_same() {
    let stream = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    for (to, end) in
        [(Dialect::OpenAiResponses, "response.completed"), (Dialect::AnthropicMessages, "message_stop"), (Dialect::Gemini, "finishReason")]
    {
        let mut converter = StreamConverter::new(Dialect::OpenAiChat, to, &STAMP, true).unwrap();
        let mut out = Vec::new();
        converter.push(stream, &mut out);
        converter.finish(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(end), "{text}");
    }
}

#[test]
fn a_malformed_call_is_an_error_buffered_and_streamed() {
    let body = br#"{"choices":[{"message":{"content":null},"finish_reason":"malformed_function_call"}]}"#;
    assert_eq!(answer(Dialect::OpenAiChat, body, Dialect::OpenAiResponses, &STAMP), Err(ConvertError::MalformedCall));
    let stream = b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"malformed_function_call\"}]}\n\n";
    let mut converter = StreamConverter::new(Dialect::OpenAiChat, Dialect::OpenAiResponses, &STAMP, true).unwrap();
    let mut out = Vec::new();
    converter.push(stream, &mut out);
    converter.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(converter.failed() && text.contains("event: response.failed") && !text.contains("response.completed"), "{text}");
}

#[test]
fn an_error_in_a_stream_is_said_in_the_callers_dialect_and_ends_it() {
    let chat = "data: {\"error\":{\"message\":\"too many\",\"type\":\"rate_limit_error\",\"code\":null}}\n\ndata: [DONE]\n\n";
    let flat = "data: {\"type\":\"error\",\"code\":\"rate_limit_error\",\"message\":\"too many\",\"param\":null}\n\n";
    let nested =
        "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_error\",\"message\":\"too many\"}}}\n\n";
    for (from, stream) in [(Dialect::OpenAiChat, chat), (Dialect::OpenAiResponses, flat), (Dialect::OpenAiResponses, nested)] {
        for to in [Dialect::OpenAiChat, Dialect::OpenAiResponses] {
            let mut converter = StreamConverter::new(from, to, &STAMP, true).unwrap();
            let mut out = Vec::new();
            converter.push(stream.as_bytes(), &mut out);
            converter.finish(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains("too many") && text.contains("rate_limit_error") && !text.contains("[DONE]"), "{text}");
        }
    }
}

#[test]
fn errors_are_read_in_every_shape_that_servers_send() {
    let cases = [
        (r#"{"error":{"message":"no","type":"invalid_request_error","param":"model","code":"x"}}"#, Some(("invalid_request_error", "no"))),
        (r#"{"error":{"message":"no","type":null,"code":"insufficient_quota"}}"#, Some(("insufficient_quota", "no"))),
        (r#"{"object":"error","message":"no","type":"BadRequestError","code":400}"#, Some(("BadRequestError", "no"))),
        (r#"{"error":"no"}"#, Some(("api_error", "no"))),
        (r#"{"detail":"no"}"#, Some(("api_error", "no"))),
        ("<html>bad gateway</html>", None),
        (r#"{"ok":true}"#, None),
    ];
    for (body, expected) in cases {
        let found = error(Dialect::OpenAiChat, body.as_bytes());
        assert_eq!(found.as_ref().map(|(kind, message)| (&**kind, &**message)), expected, "{body}");
    }
}

#[test]
fn embeddings_are_no_conversation() {
    let pair = ConvertError::Pair { from: Dialect::OpenAiChat, to: Dialect::OpenAiEmbeddings };
    let body = br#"{"model":"m","messages":[]}"#;
    assert_eq!(request(Dialect::OpenAiChat, body, Dialect::OpenAiEmbeddings, &ASK), Err(pair.clone()));
    assert_eq!(pair.to_string(), "`openai_chat` can't be converted to `openai_embeddings`");
    assert_eq!(StreamConverter::new(Dialect::OpenAiChat, Dialect::OpenAiEmbeddings, &STAMP, true).unwrap_err(), pair);
}
