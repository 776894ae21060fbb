//! Requests of this dialect, read into the middle and written from it.

use serde_json::{Value, json};

use super::super::conversation::{read_conversation, write_conversation};
use crate::{
    convert::{
        Conversation, Dropped, Effort, Format, Image, ImageSource, Media, Part, Reasoning, Role, Sampling, Signature, Tool, ToolCall,
        ToolChoice, ToolResult, Turn,
    },
    dialect::Dialect,
};

const MODEL: &str = "claude-sonnet-4-5";

/// Writes, and returns the body and the names of what was left out.
fn write(conversation: &Conversation<'_>, model: &str) -> (Value, String) {
    let mut dropped = Dropped::of(Dialect::OpenAiChat);
    let body = write_conversation(conversation, model, &mut dropped);
    (serde_json::from_slice(&body).unwrap(), dropped.header())
}

fn text(text: &str) -> Part<'_> {
    Part::Text { text: text.into(), cache: None }
}

fn turn<'a>(role: Role, parts: Vec<Part<'a>>) -> Turn<'a> {
    Turn { role, name: None, parts }
}

fn call<'a>(id: &'a str, arguments: &'a str) -> Part<'a> {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), signature: None, cache: None })
}

fn result<'a>(id: &'a str, parts: Vec<Part<'a>>) -> Part<'a> {
    Part::ToolResult(ToolResult { call_id: id.into(), name: None, parts, is_error: false, cache: None })
}

fn said(turns: Vec<Turn<'_>>) -> Conversation<'_> {
    Conversation { turns, choices: 1, ..Conversation::default() }
}

fn raw(json: &str) -> Option<crate::convert::Json<'static>> {
    Some(serde_json::from_str::<Box<serde_json::value::RawValue>>(json).map(std::borrow::Cow::Owned).unwrap())
}

/// As an agent sends it, with everything that this dialect alone has.
fn agents_request() -> Value {
    let kept = json!({"type": "ephemeral", "ttl": "1h"});
    json!({
        "model": MODEL, "max_tokens": 32_000,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": kept}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look at these: 🖼"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_011"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "a.pdf",
                 "cache_control": kept},
                {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "unknown 1.10"}]},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "EqoB+/=="},
                {"type": "redacted_thinking", "data": "EmwK+/=="},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 1.10, "big": 9_007_199_254_740_993_u64}},
                {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                    {"type": "text", "text": "broken"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                ], "is_error": true},
                {"type": "tool_result", "tool_use_id": "toolu_2", "cache_control": kept},
                {"type": "text", "text": "Go on."},
            ]},
        ],
        "tools": [
            {"name": "f", "description": "F", "input_schema": {"type": "object", "properties": {"n": {"type": "number"}}}, "strict": true,
             "cache_control": kept},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 10_000},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}},
        "stop_sequences": ["END"], "metadata": {"user_id": "{\"device\":1}"}, "stream": true,
    })
}

/// R-45
#[test]
fn a_request_is_written_as_it_was_read() {
    let body = serde_json::to_vec(&agents_request()).unwrap();
    let (written, dropped) = write(&read_conversation(&body).unwrap(), MODEL);
    assert_eq!(written, agents_request());
    assert_eq!(dropped, "");
}

#[test]
fn members_without_a_place_in_the_middle_are_named() {
    let body = br#"{"model":"m","max_tokens":1,"mlx:tags":{"a":"b"},"context_management":{"edits":[]},"service_tier":null,
        "metadata":{"user_id":"u","team":"t"},"output_config":{"effort":"low","new":1},"thinking":{"type":"disabled"},
        "tools":[{"name":"f","input_schema":{},"defer_loading":true}],
        "messages":[{"role":"user","content":[{"type":"text","text":"a","citations":[]},
        {"type":"document","source":{"type":"text","media_type":"text/plain","data":"plain"},"title":"t"}]},
        {"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{},"caller":{"type":"direct"}},
        {"type":"tool_use","id":"2","name":"f","input":{},"caller":{"type":"code_execution_20250825","tool_id":"x"}}]}]}"#;
    let conversation = read_conversation(body).unwrap();
    let named: Vec<&str> = conversation.others.iter().map(|(name, _)| &**name).collect();
    let expected = [
        "text.citations",
        "document.title",
        "tool_use.caller",
        "tools.defer_loading",
        "metadata.team",
        "output_config.new",
        "output_config.effort",
        "context_management",
    ];
    assert_eq!(named, expected);
    assert_eq!(conversation.end_user.as_deref(), Some("u"));
    assert_eq!(conversation.reasoning.effort, Some(Effort::None));
    assert!(matches!(&conversation.turns[0].parts[1], Part::Text { text, .. } if text == "plain"));
    let (_, dropped) = write(&conversation, MODEL);
    assert!(expected.iter().all(|name| dropped.split(',').any(|known| known == *name)), "{dropped}");
}

#[test]
fn a_wrong_request_is_refused_by_the_name_of_the_member() {
    for (body, field) in [
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"messages":[{"role":"robot","content":"a"}]}"#, "messages[0].role"),
        (r#"{"messages":[{"role":"user","content":7}]}"#, "messages[0].content"),
        (r#"{"messages":[{"role":"user","content":[{"text":"a"}]}]}"#, "messages[0].content[0].type"),
        (r#"{"messages":[],"tool_choice":{"type":"tool"}}"#, "tool_choice.name"),
        (r#"{"messages":[],"thinking":{"type":"enabled"}}"#, "thinking.budget_tokens"),
        (r#"{"messages":[],"max_tokens":-1}"#, "max_tokens"),
        (r#"{"messages":[],"stop_sequences":[1]}"#, "stop_sequences"),
    ] {
        assert_eq!(read_conversation(body.as_bytes()).unwrap_err().field(), Some(field), "{body}");
    }
}

#[test]
fn turns_are_brought_into_the_order_that_anthropic_wants() {
    let conversation = Conversation {
        system: vec![text("one"), text(" ")],
        ..said(vec![
            turn(Role::User, vec![text("a")]),
            turn(Role::User, vec![text("b"), text("\n")]),
            turn(Role::Assistant, vec![text(""), call("call_1", "{\"x\": 1}"), call("call 2", ""), call("3", "no json")]),
            turn(Role::System, vec![text("two")]),
            turn(Role::User, vec![text("look"), result("call_1", vec![text("ok")])]),
            turn(Role::User, vec![result("call 2", vec![text("")]), result("3", Vec::new())]),
            turn(Role::Assistant, vec![text("Well \n")]),
        ])
    };
    let (written, dropped) = write(&conversation, MODEL);
    let blocks = |texts: &[&str]| texts.iter().map(|text| json!({"type": "text", "text": text})).collect::<Vec<_>>();
    assert_eq!(written["system"], json!(blocks(&["one", "two"])));
    let expected = json!([
        {"role": "user", "content": blocks(&["a", "b"])},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "mlx_call_0", "name": "f", "input": {}},
            {"type": "tool_use", "id": "3", "name": "f", "input": {"input": "no json"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": blocks(&["ok"])},
            {"type": "tool_result", "tool_use_id": "mlx_call_0"},
            {"type": "tool_result", "tool_use_id": "3"},
            {"type": "text", "text": "look"},
        ]},
        {"role": "assistant", "content": blocks(&["Well"])},
    ]);
    assert_eq!(written["messages"], expected);
    assert_eq!(dropped, "");
    assert_eq!(written["max_tokens"], 4096, "it is required, and this is what every model takes");
}

#[test]
fn tools_that_were_called_are_declared_though_they_are_gone() {
    let conversation = said(vec![turn(Role::User, vec![text("a")]), turn(Role::Assistant, vec![call("1", "{}")])]);
    let (written, _) = write(&conversation, MODEL);
    assert_eq!(written["tools"], json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]));
    assert_eq!(written["tool_choice"], json!({"type": "none"}));
}

#[test]
fn instructions_alone_are_the_first_turn() {
    let (written, _) = write(&Conversation { system: vec![text("Say hello.")], ..said(Vec::new()) }, MODEL);
    assert_eq!(written["messages"], json!([{"role": "user", "content": [{"type": "text", "text": "Say hello."}]}]));
    assert_eq!(written.get("system"), None);
}

/// R-45: never dropped silently, and no foreign signature goes to Anthropic.
#[test]
fn what_anthropic_has_no_place_for_is_left_out_and_named() {
    let foreign = Signature { origin: Dialect::Gemini, value: "x".into() };
    let thought = |signature| Part::Thinking { text: "hm".into(), signature };
    let image = |source| Part::Image(Image { source, detail: Some("low".into()), cache: None });
    let file = |media_type: &'static str| {
        let source = ImageSource::Inline { media_type: media_type.into(), data: "aGk=".into() };
        Part::Media(Media { source, name: None, cache: None })
    };
    let signed = Part::ToolCall(ToolCall {
        id: "1".into(),
        name: "f".into(),
        arguments: "{}".into(),
        signature: Some(foreign.clone()),
        cache: None,
    });
    let opaque = Part::Opaque { dialect: Dialect::OpenAiResponses, json: raw(r#"{"type":"web_search_call"}"#).unwrap() };
    let tool = Tool::Opaque { dialect: Dialect::OpenAiResponses, name: "namespace".into(), json: raw("{}").unwrap() };
    let sampling = Sampling { temperature: raw("1.7"), top_p: raw("0.5"), seed: raw("7"), ..Sampling::default() };
    let conversation = Conversation {
        tools: vec![tool],
        tool_choice: Some(ToolChoice::Required),
        sampling,
        stop: vec!["\n".into(), "END".into()],
        format: Format::Json,
        logprobs: Some(3),
        choices: 2,
        ..said(vec![
            Turn {
                role: Role::User,
                name: Some("Ann".into()),
                parts: vec![image(ImageSource::Url("gs://b/a.png".into())), file("audio/wav"), file("text/csv")],
            },
            turn(Role::Assistant, vec![thought(None), thought(Some(foreign)), opaque, signed]),
        ])
    };
    let (written, dropped) = write(&conversation, MODEL);
    let expected = "image_url,image_url.detail,input_audio,logprobs,messages.name,messages.reasoning_content,messages.reasoning_details,\
                    messages.tool_calls.extra_content.google.thought_signature,n,response_format,seed,stop,temperature,tool_choice,\
                    tools.namespace,top_p,web_search_call";
    assert_eq!(dropped, expected);
    let plain = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}});
    assert_eq!(written["messages"][0]["content"], json!([plain]));
    assert_eq!(written["messages"][1]["content"], json!([{"type": "tool_use", "id": "1", "name": "f", "input": {}}]));
    assert_eq!((&written["temperature"], &written["stop_sequences"]), (&json!(1), &json!(["END"])));
}

#[test]
fn thinking_goes_on_only_where_its_thoughts_were_kept() {
    let reasoning = Reasoning { effort: Some(Effort::Low), budget_tokens: None, shown: None };
    let own = Signature { origin: Dialect::AnthropicMessages, value: "sig".into() };
    let with = |thoughts: Vec<Part<'static>>| {
        let called = [thoughts, vec![call("1", "{}")]].into_iter().flatten().collect();
        let turns = vec![turn(Role::User, vec![text("a")]), turn(Role::Assistant, called), turn(Role::User, vec![result("1", Vec::new())])];
        Conversation { reasoning, output_limit: Some(9000), ..said(turns) }
    };
    let kept = with(vec![Part::Thinking { text: "hm".into(), signature: Some(own) }]);
    let (written, dropped) = write(&kept, MODEL);
    assert_eq!((&written["thinking"]["budget_tokens"], &*dropped), (&json!(1024), ""));
    let (written, dropped) = write(&with(Vec::new()), MODEL);
    assert_eq!((written.get("thinking"), &*dropped), (None, "reasoning_effort"));
    let (written, dropped) = write(&with(Vec::new()), "claude-opus-4-7");
    assert_eq!((&written["thinking"], &*dropped), (&json!({"type": "adaptive"}), ""));
    assert_eq!(written["output_config"], json!({"effort": "low"}));
}

#[test]
fn a_schema_of_arguments_says_that_it_is_one_of_an_object() {
    let tool = |parameters| Tool::Function { name: "f".into(), description: None, parameters, strict: Some(false), cache: None };
    let tools = vec![tool(None), tool(raw("{}")), tool(raw(r#"{"properties":{"a":{"type":"string"}}}"#))];
    let conversation = Conversation { tools, parallel_tool_calls: Some(false), ..said(vec![turn(Role::User, vec![text("a")])]) };
    let (written, _) = write(&conversation, MODEL);
    let schemas: Vec<&Value> = written["tools"].as_array().unwrap().iter().map(|tool| &tool["input_schema"]).collect();
    let typed = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    assert_eq!(schemas, [&json!({"type": "object", "properties": {}}), &json!({"type": "object"}), &typed]);
    assert_eq!(written["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
}
