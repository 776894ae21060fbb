//! Requests, read and written.

use serde_json::{Value, json};

use super::*;
use crate::{
    convert::{
        Conversation, Dropped, Effort, Format, Image, ImageSource, Media, Part, Reasoning, Role, Signature, Tool, ToolCall, ToolChoice,
        ToolResult, Turn,
    },
    dialect::Dialect,
};

const MODEL: &str = "gemini-3-flash";

fn read(body: &str) -> Conversation<'_> {
    read_conversation(body.as_bytes()).unwrap()
}

fn write(conversation: &Conversation<'_>) -> (Value, String) {
    let mut dropped = Dropped::of(Dialect::OpenAiChat);
    let body = write_conversation(conversation, MODEL, &mut dropped);
    (serde_json::from_slice(&body).unwrap(), dropped.header())
}

fn text(text: &str) -> Part<'_> {
    Part::Text { text: text.into(), cache: None }
}

fn turn<'a>(role: Role, parts: Vec<Part<'a>>) -> Turn<'a> {
    Turn { role, name: None, parts }
}

fn call<'a>(id: &'a str, signature: Option<Signature<'a>>) -> Part<'a> {
    Part::ToolCall(ToolCall { id: id.into(), name: "get_weather".into(), arguments: "{\"city\":\"Rom\"}".into(), signature, cache: None })
}

fn own(value: &str) -> Signature<'_> {
    Signature { origin: Dialect::Gemini, value: value.into() }
}

/// A request with about everything a Gemini client sends, both spellings mixed.
const FULL: &str = r#"{
  "system_instruction": {"parts": {"text": "Be brief."}},
  "contents": [
    {"role": "user", "parts": [{"text": "What is it like?"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}},
      {"file_data": {"mime_type": "application/pdf", "file_uri": "gs://b/x.pdf"}}]},
    {"role": "model", "parts": [{"text": "Looking.", "thought": true}, {"text": "I look.", "thoughtSignature": "AAEC"},
      {"functionCall": {"name": "get_weather", "args": {"city": "Rom", "days": 1.50}}, "thoughtSignature": "CiQB+/=="},
      {"functionCall": {"name": "get_weather", "args": {"city": "Bonn"}}}]},
    {"role": "function", "parts": [{"functionResponse": {"name": "get_weather", "response": {"output": "warm"}}},
      {"functionResponse": {"name": "get_weather", "response": {"temp": 9}}}]}
  ],
  "tools": [{"functionDeclarations": [{"name": "get_weather", "description": "Weather.",
      "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}}]}, {"googleSearch": {}}],
  "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}},
  "generationConfig": {"maxOutputTokens": 500, "temperature": 0.70, "topP": 1, "top_k": 40, "stopSequences": ["END"], "seed": 7,
    "candidateCount": 2, "responseMimeType": "application/json", "responseSchema": {"type": "ARRAY", "items": {"type": "INTEGER"}},
    "responseLogprobs": true, "logprobs": 3, "presencePenalty": 0.1, "frequencyPenalty": -0.1,
    "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "low"}},
  "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
  "cachedContent": "cachedContents/abc"
}"#;

#[test]
fn a_full_request_is_read() {
    let read = read(FULL);
    assert!(matches!(read.system.as_slice(), [Part::Text { text, .. }] if text == "Be brief."));
    assert_eq!(read.turns.iter().map(|turn| turn.role).collect::<Vec<_>>(), [Role::User, Role::Assistant, Role::User]);
    assert!(matches!(&read.turns[0].parts[2], Part::Media(Media { source: ImageSource::File(uri), .. }) if uri == "gs://b/x.pdf"));
    let Part::ToolCall(call) = &read.turns[1].parts[3] else { panic!("{:?}", read.turns[1]) };
    assert_eq!((&*call.id, &*call.arguments), ("call_0_get_weather", r#"{"city": "Rom", "days": 1.50}"#));
    assert_eq!(call.signature, Some(own("CiQB+/==")));
    let results = read.turns[2].parts.iter().map(|part| match part {
        Part::ToolResult(ToolResult { call_id, parts, .. }) => match parts.as_slice() {
            [Part::Text { text, .. }] => format!("{call_id}: {text}"),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    });
    assert_eq!(results.collect::<Vec<_>>(), ["call_0_get_weather: warm", r#"call_1_get_weather: {"temp": 9}"#]);
    assert_eq!(read.tool_choice, Some(ToolChoice::Function("get_weather".into())));
    assert!(matches!(&read.format, Format::Schema(schema) if schema.schema.get() == r#"{"type":"array","items":{"type":"integer"}}"#));
    assert_eq!(read.reasoning, Reasoning { effort: Some(Effort::Low), budget_tokens: None, shown: Some(true) });
    assert_eq!((read.output_limit, read.logprobs, read.choices), (Some(500), Some(3), 2));
    let others: Vec<_> = read.others.iter().map(|(name, _)| &**name).collect();
    assert_eq!(others, ["safetySettings", "cachedContent"]);
    assert!(matches!(&read.tools[1], Tool::Opaque { name, json, .. } if name == "googleSearch" && json.get() == r#"{"googleSearch":{}}"#));
}

#[test]
fn a_full_request_is_written_with_numbers_and_signatures_as_they_came() {
    let conversation = read(FULL);
    let mut dropped = Dropped::of(Dialect::OpenAiChat);
    let body = String::from_utf8(write_conversation(&conversation, MODEL, &mut dropped)).unwrap();
    for kept in [
        r#""systemInstruction":{"parts":[{"text":"Be brief."}]}"#,
        r#"{"text":"Looking.","thought":true},{"text":"I look.","thoughtSignature":"AAEC"}"#,
        r#""args":{"city": "Rom", "days": 1.50}},"thoughtSignature":"CiQB+/=="}"#,
        r#"{"functionResponse":{"id":"call_1_get_weather","name":"get_weather","response":{"output":{"temp": 9}}}}"#,
        r#"{"fileData":{"mimeType":"application/pdf","fileUri":"gs://b/x.pdf"}}"#,
        r#""parametersJsonSchema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#,
        r#"{"googleSearch":{}}"#,
        r#"{"mode":"ANY","allowedFunctionNames":["get_weather"]}"#,
        r#""temperature":0.70,"topP":1,"topK":40,"seed":7,"presencePenalty":0.1,"frequencyPenalty":-0.1"#,
        r#""responseJsonSchema":{"type":"array","items":{"type":"integer"}},"responseLogprobs":true,"logprobs":3"#,
        r#""thinkingConfig":{"includeThoughts":true,"thinkingLevel":"LOW"}"#,
    ] {
        assert!(body.contains(kept), "{kept} is not in {body}");
    }
    assert_eq!(dropped.header(), "cachedContent,safetySettings");
}

#[test]
fn turns_of_one_side_are_one_content_and_results_stand_alone_before_words() {
    let result = |id: &'static str| {
        Part::ToolResult(ToolResult { call_id: id.into(), name: None, parts: vec![text("9 °C")], is_error: false, cache: None })
    };
    let turns = vec![
        turn(Role::User, vec![text("a")]),
        turn(Role::System, vec![text("Now in French.")]),
        turn(Role::User, vec![text("b")]),
        turn(Role::Assistant, vec![call("x", None), call("y", None)]),
        turn(Role::User, vec![result("x")]),
        turn(Role::User, vec![text("and now?"), result("y")]),
        turn(Role::User, vec![text("well?")]),
    ];
    let (body, dropped) = write(&Conversation { turns, ..Conversation::default() });
    let response = |id: &str| json!({"functionResponse": {"id": id, "name": "get_weather", "response": {"output": "9 °C"}}});
    let function = |id: &str| json!({"id": id, "name": "get_weather", "args": {"city": "Rom"}});
    let expected = json!([
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [
            {"functionCall": function("x"), "thoughtSignature": "skip_thought_signature_validator"}, {"functionCall": function("y")}]},
        {"role": "user", "parts": [response("x"), response("y")]},
        {"role": "user", "parts": [{"text": "and now?"}, {"text": "well?"}]},
    ]);
    assert_eq!(body["contents"], expected);
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "Now in French."}]}));
    assert_eq!(dropped, "");
}

#[test]
fn signatures_go_back_to_gemini_only_and_to_the_part_they_came_with() {
    let foreign = Signature { origin: Dialect::AnthropicMessages, value: "Es".into() };
    let thinking = |text: &'static str, signature| Part::Thinking { text: text.into(), signature };
    let function = json!({"id": "x", "name": "get_weather", "args": {"city": "Rom"}});
    for (parts, expected, expected_dropped) in [
        (vec![call("x", Some(own("S")))], json!([{"functionCall": function, "thoughtSignature": "S"}]), ""),
        (vec![text("42"), thinking("", Some(own("S")))], json!([{"text": "42", "thoughtSignature": "S"}]), ""),
        (vec![thinking("", Some(own("S")))], json!([{"text": "", "thoughtSignature": "S"}]), ""),
        (vec![thinking("hm", Some(own("S")))], json!([{"text": "hm", "thought": true, "thoughtSignature": "S"}]), ""),
        (vec![thinking("hm", None), text("42")], json!([{"text": "hm", "thought": true}, {"text": "42"}]), ""),
        (vec![thinking("hm", Some(foreign.clone())), text("42")], json!([{"text": "42"}]), "messages.reasoning_details"),
        (
            vec![call("x", Some(foreign.clone()))],
            json!([{"functionCall": function, "thoughtSignature": "skip_thought_signature_validator"}]),
            "messages.tool_calls.extra_content.google.thought_signature",
        ),
    ] {
        let turns = vec![turn(Role::User, vec![text("q")]), turn(Role::Assistant, parts)];
        let (body, dropped) = write(&Conversation { turns, ..Conversation::default() });
        assert_eq!((&body["contents"][1]["parts"], &*dropped), (&expected, expected_dropped));
    }
}

#[test]
fn models_before_gemini_3_get_no_stand_in_for_a_signature() {
    let conversation = Conversation { turns: vec![turn(Role::Assistant, vec![call("x", None)])], ..Conversation::default() };
    let body = write_conversation(&conversation, "gemini-2.5-pro", &mut Dropped::of(Dialect::OpenAiChat));
    assert!(!String::from_utf8(body).unwrap().contains("thoughtSignature"));
}

#[test]
fn what_gemini_has_no_place_for_is_named() {
    let image = |source| Part::Image(Image { source, detail: Some("high".into()), cache: None });
    let json = |json: &str| std::borrow::Cow::Owned(serde_json::value::RawValue::from_string(json.to_owned()).unwrap());
    let parts = vec![
        image(ImageSource::Url("https://example.com/a.webp?x=1".into())),
        image(ImageSource::File("file-123".into())),
        Part::Opaque { dialect: Dialect::OpenAiResponses, json: json(r#"{"type":"item_reference","id":"x"}"#) },
        Part::Text { text: "".into(), cache: Some(json("{}")) },
    ];
    let conversation = Conversation {
        turns: vec![turn(Role::User, parts)],
        tools: vec![Tool::Opaque { dialect: Dialect::OpenAiResponses, name: "web_search".into(), json: json("{}") }],
        tool_choice: Some(ToolChoice::Auto),
        parallel_tool_calls: Some(false),
        stop: (0..6).map(|number| number.to_string().into()).collect(),
        end_user: Some("u".into()),
        others: vec![("logit_bias".into(), json("{}"))],
        ..Conversation::default()
    };
    let (body, dropped) = write(&conversation);
    let expected =
        "cache_control,image_url.detail,input_image.file_id,item_reference,logit_bias,parallel_tool_calls,stop,tools.web_search,user";
    assert_eq!(dropped, expected);
    let expected = json!({
        "contents": [{"role": "user", "parts": [{"fileData": {"mimeType": "image/webp", "fileUri": "https://example.com/a.webp?x=1"}}]}],
        "generationConfig": {"stopSequences": ["0", "1", "2", "3", "4"]},
    });
    assert_eq!(body, expected);
}

#[test]
fn instructions_alone_become_what_the_user_says() {
    let (body, _) = write(&Conversation { system: vec![text("Say hi.")], ..Conversation::default() });
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]}));
}

#[test]
fn what_is_unknown_is_kept_by_name_and_what_is_wrong_is_refused_by_name() {
    let body = r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://y/v"},"videoMetadata":{"fps":1}},{"executableCode":{"code":"1"}}]}],
        "generationConfig":{"speechConfig":{},"thinkingConfig":{"thinkingBudget":-1}},"toolConfig":{"retrievalConfig":{}},"mlx:tags":{}}"#;
    let conversation = read(body);
    let others: Vec<_> = conversation.others.iter().map(|(name, _)| &**name).collect();
    assert_eq!(others, ["toolConfig.retrievalConfig", "generationConfig.speechConfig", "contents.parts.videoMetadata"]);
    assert!(matches!(conversation.turns[0].parts[1], Part::Opaque { dialect: Dialect::Gemini, .. }));
    assert_eq!(conversation.reasoning, Reasoning::default());
    for (body, expected) in [
        (r#"{"contents":[{"role":"system","parts":[]}]}"#, "`contents[0].role` must be `user` or `model`"),
        (r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#, "`contents[0].parts[0].functionCall.name` must be a string"),
        (
            r#"{"generationConfig":{"thinkingConfig":{"thinkingLevel":"huge"}}}"#,
            "`generationConfig.thinkingConfig.thinkingLevel` must be `MINIMAL`, `LOW`, `MEDIUM` or `HIGH`",
        ),
        (r#"{"tools":5}"#, "`tools` must be an array"),
        ("[]", "the request body must be a JSON object"),
    ] {
        assert_eq!(read_conversation(body.as_bytes()).unwrap_err().to_string(), expected);
    }
}

#[test]
fn tokens_are_counted_of_contents_alone_or_of_a_whole_request() {
    let alone = counted_part(br#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#).unwrap();
    assert_eq!(alone, None);
    let whole = br#"{"generateContentRequest":{"model":"models/x","contents":[{"parts":[{"text":"Hi"}]}],"systemInstruction":{"parts":[{"text":"S"}]}}}"#;
    let whole = read_conversation(counted_part(whole).unwrap().unwrap()).unwrap();
    assert_eq!((whole.turns.len(), whole.system.len()), (1, 1));
    let both = counted_part(br#"{"contents":[],"generate_content_request":{}}"#).unwrap_err();
    assert_eq!(both.to_string(), "`contents` must be left out where `generateContentRequest` is given");
}
