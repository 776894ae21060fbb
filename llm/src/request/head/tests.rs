//! Requests that are read, and requests that are refused by name.

use super::*;
use crate::json::SyntaxError;

fn read(body: &[u8]) -> Result<Head<'_>, ReadRequestError> {
    Dialect::OpenAiChat.read_head(body, None)
}

const MESSAGES: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

fn refusal(body: &str) -> ReadRequestError {
    read(body.as_bytes()).expect_err(body)
}

fn with(member: &str) -> String {
    format!(r#"{{"model":"m",{MESSAGES},{member}}}"#)
}

#[test]
fn everything_that_decides_something_is_read() {
    let body = r#"{"model":"@cheap","stream":true,"stream_options":{"include_usage":true},"max_tokens":10,"max_completion_tokens":20,
        "n":2,"user":"u","metadata":{"trace_id":"t","conversation_id":"c","user_id":"x","other":[1]},"tools":[{"type":"function"}],
        "messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:xyz"}}]}],
        "mlx:tags":{"team":"support","k":"a=b,c"},"mlx:end_user":"e","mlx:cache":{"skip":true},"mlx:trace":true}"#;
    let head = read(body.as_bytes()).unwrap();
    assert_eq!((&*head.model, head.stream, head.include_usage, head.choices), ("@cheap", true, true, 2));
    assert_eq!((head.output_limit, head.provider_state, head.provider_tool.as_deref()), (Some(20), None, None));
    assert_eq!(head.user.as_deref(), Some("u"));
    assert_eq!(head.metadata.trace_id.as_deref(), Some("t"));
    assert_eq!(head.metadata.conversation_id.as_deref(), Some("c"));
    assert_eq!(head.metadata.user_id.as_deref(), Some("x"));
    assert!(head.has_tools && head.has_images());
    let tags: Vec<_> = head.extensions.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(tags, [("team", "support"), ("k", "a=b,c")]);
    assert_eq!(head.extensions.end_user.as_deref(), Some("e"));
    assert!(head.extensions.skip_cache && head.extensions.trace);
}

#[test]
fn optional_members_may_be_null() {
    let body =
        with(r#""stream":null,"stream_options":null,"max_tokens":null,"n":null,"user":null,"metadata":null,"tools":null,"mlx:tags":null"#);
    let head = read(body.as_bytes()).unwrap();
    assert_eq!((head.stream, head.output_limit, head.choices, head.has_tools), (false, None, 1, false));
}

#[test]
fn duplicate_members_are_refused_by_name_even_when_one_is_escaped() {
    for member in [r#""model":"other""#, r#""mod\u0065l":"other""#, MESSAGES, r#""temperature":1,"temperature":2"#] {
        let error = refusal(&with(member));
        assert!(matches!(error, ReadRequestError::Duplicate { .. }), "{member}: {error}");
    }
    assert_eq!(refusal(&with(r#""mlx:tags":{},"mlx:tags":{}"#)).field(), Some("mlx:tags"));
    assert_eq!(refusal(&with(r#""mlx:tags":{"a":"1","a":"2"}"#)).field(), Some("mlx:tags.a"));
    assert_eq!(refusal(&with(r#""stream_options":{},"stream_options":{}"#)).field(), Some("stream_options"));
    let twice = r#""stream_options":{"include_usage":true,"include_usage":false}"#;
    assert_eq!(refusal(&with(twice)).field(), Some("stream_options.include_usage"));
    assert_eq!(refusal(&with(r#""metadata":{"user_id":"a","user_id":"b"}"#)).field(), Some("metadata.user_id"));
}

#[test]
fn wrong_types_are_refused_with_the_field_and_what_it_must_be() {
    let cases = [
        (r#""stream":"yes""#, "`stream` must be a boolean"),
        (r#""stream_options":[]"#, "`stream_options` must be an object"),
        (r#""stream_options":{"include_usage":1}"#, "`stream_options.include_usage` must be a boolean"),
        (r#""max_tokens":-1"#, "`max_tokens` must be a whole number from 0 to 4294967295"),
        (r#""max_tokens":4294967296"#, "`max_tokens` must be a whole number from 0 to 4294967295"),
        (r#""max_completion_tokens":1.5"#, "`max_completion_tokens` must be a whole number from 0 to 4294967295"),
        (r#""max_tokens":"10""#, "`max_tokens` must be a whole number from 0 to 4294967295"),
        (r#""n":0"#, "`n` must be a whole number from 1 to 4294967295"),
        (r#""user":7"#, "`user` must be a string or null"),
        (r#""metadata":"x""#, "`metadata` must be an object"),
        (r#""metadata":{"user_id":7}"#, "`metadata.user_id` must be a string or null"),
        (r#""mlx:tags":["a"]"#, "`mlx:tags` must be an object"),
        (r#""mlx:tags":{"team":1}"#, "`mlx:tags.team` must be a string"),
        (r#""mlx:cache":true"#, "`mlx:cache` must be an object"),
        (r#""mlx:trace":"true""#, "`mlx:trace` must be a boolean"),
        (r#""mlx:end_user":"\ud800""#, "`mlx:end_user` must be a string or null"),
    ];
    for (member, message) in cases {
        assert_eq!(refusal(&with(member)).to_string(), message);
    }
    assert_eq!(refusal(&format!("{{\"model\":null,{MESSAGES}}}")).to_string(), "`model` must be a string");
    assert_eq!(refusal(r#"{"model":"m","messages":"hi"}"#).to_string(), "`messages` must be an array");
}

#[test]
fn what_must_be_there_is_asked_for() {
    assert_eq!(refusal(r#"{"model":"m"}"#).to_string(), "`messages` is required and must be an array");
    assert_eq!(refusal(&format!("{{{MESSAGES}}}")).field(), Some("model"));
}

#[test]
fn extensions_that_can_not_be_honoured_are_refused() {
    assert_eq!(refusal(&with(r#""mlx:tag":{}"#)).field(), Some("mlx:tag"));
    assert_eq!(refusal(&with(r#""mlx:cache":{"ttl":1}"#)).field(), Some("mlx:cache.ttl"));
}

#[test]
fn what_is_not_one_json_object_in_utf8_is_refused() {
    assert_eq!(read(b"{\"model\":\"\xff\"}"), Err(ReadRequestError::NotUtf8 { at: 10 }));
    assert_eq!(refusal("[]"), ReadRequestError::NotAnObject);
    assert_eq!(refusal(""), ReadRequestError::Syntax(SyntaxError::End { at: 0 }));
    let trailing = format!("{{\"model\":\"m\",{MESSAGES}}} {{}}");
    assert_eq!(refusal(&trailing), ReadRequestError::Syntax(SyntaxError::Trailing { at: trailing.len() - 2 }));
    let deep = with(&format!("\"x\":{}", "[".repeat(1000)));
    assert!(matches!(refusal(&deep), ReadRequestError::Syntax(SyntaxError::Depth { .. })));
    let deep = format!(r#"{{"model":"m","messages":[{{"content":[{{"x":{}"#, "[".repeat(1000));
    assert!(matches!(refusal(&deep), ReadRequestError::Syntax(SyntaxError::Depth { .. })));
}

#[test]
fn a_flood_of_members_is_refused() {
    let members: Vec<String> = (0..300).map(|number| format!("\"m{number}\":1")).collect();
    assert_eq!(refusal(&with(&members.join(","))), ReadRequestError::TooManyMembers { limit: 256 });
}

#[test]
fn pictures_are_seen_however_they_are_written() {
    let parts = [
        (r#"{"type":"image_url","image_url":{"url":"x"}}"#, true),
        (r#"{"typ\u0065":"image\u005furl"}"#, true),
        (r#"{"image_url":"x"}"#, true),
        (r#"{"type":"text","text":"image_url \"type\":\"image_url\""}"#, false),
        (r#""image_url""#, false),
    ];
    for (part, is_image) in parts {
        let body = format!(r#"{{"model":"m","messages":[1,{{"content":[{part}],"role":"user"}}]}}"#);
        assert_eq!(read(body.as_bytes()).unwrap().has_images(), is_image, "{part}");
    }
}

#[test]
fn names_in_messages_are_cut_short() {
    let error = refusal(&with(&format!("\"mlx:{}\":1", "x".repeat(10_000))));
    assert!(error.to_string().len() < 300);
}

fn read_as(dialect: Dialect, body: &str) -> Head<'_> {
    dialect.read_head(body.as_bytes(), Some(Addressed { model: "from-the-path", stream: true })).expect(body)
}

#[test]
fn what_the_path_says_goes_before_the_body() {
    let body = r#"{"model":"models/other","contents":[]}"#;
    let head = read_as(Dialect::Gemini, body);
    assert_eq!((&*head.model, head.stream), ("from-the-path", true));
    let error = Dialect::Gemini.read_head(br#"{"contents":[]}"#, None).unwrap_err();
    assert_eq!(error.field(), Some("model"));
}

#[test]
fn pictures_and_files_are_seen_in_every_dialect() {
    let anthropic = |part: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
    let responses = |item: &str| format!(r#"{{"model":"m","input":[{item}]}}"#);
    let gemini = |part: &str| format!(r#"{{"contents":[{{"parts":[{part}]}}]}}"#);
    let cases = [
        (Dialect::AnthropicMessages, anthropic(r#"{"type":"image","source":{"type":"url","url":"x"}}"#), 1, 0),
        (Dialect::AnthropicMessages, anthropic(r#"{"type":"tool_result","content":[{"type":"image"},{"type":"image"}]}"#), 2, 0),
        (Dialect::AnthropicMessages, anthropic(r#"{"type":"document","source":{}}"#), 0, 1),
        (Dialect::AnthropicMessages, anthropic(r#"{"type":"text","text":"image"},{"type":"tool_use","input":{"image":1}}"#), 0, 0),
        (Dialect::OpenAiResponses, responses(r#"{"role":"user","content":[{"type":"input_image"},{"type":"input_file"}]}"#), 1, 1),
        (Dialect::OpenAiResponses, responses(r#"{"type":"function_call_output","output":[{"type":"input_image"}]}"#), 1, 0),
        (Dialect::OpenAiResponses, responses(r#"{"type":"image_generation_call","result":"AAAA"}"#), 1, 0),
        (Dialect::AnthropicMessages, anthropic(r#"{"type":"document","source":{"type":"base64","media_type":"Image/png"}}"#), 1, 1),
        (Dialect::AnthropicMessages, anthropic(r#"{"type":"document","source":{"type":"content","content":[{"type":"image"}]}}"#), 1, 1),
        (Dialect::OpenAiChat, anthropic(r#"{"type":"file","file":{"file_data":"data:image/png;base64,iVBO"}}"#), 1, 1),
        (Dialect::OpenAiChat, anthropic(r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE"}}"#), 0, 1),
        (Dialect::OpenAiResponses, responses(r#"{"content":[{"type":"input_file","file_data":"data:image/png;base64,iVBO"}]}"#), 1, 1),
        (Dialect::Gemini, gemini(r#"{"inlineData":{"mimeType":"IMAGE/png","data":"x"}}"#), 1, 0),
        (Dialect::Gemini, gemini(r#"{"file_data":{"mime_type":"video/mp4","file_uri":"x"}}"#), 0, 1),
        (Dialect::Gemini, gemini(r#"{"fileData":{"fileUri":"x"}}"#), 1, 1),
        (Dialect::Gemini, gemini(r#"{"functionResponse":{"parts":[{"inlineData":{"mimeType":"image/png"}}]}}"#), 1, 0),
    ];
    for (dialect, body, images, files) in cases {
        let sizes = read_as(dialect, &body).sizes;
        assert_eq!((sizes.images, sizes.files), (images, files), "{body}");
    }
}

#[test]
fn text_can_not_hide_in_a_part_that_calls_itself_a_picture() {
    let long = "x".repeat(10_000);
    let parts = [
        format!(r#"{{"type":"image","text":"{long}"}}"#),
        format!(r#"{{"type":"image_url","content":"{long}"}}"#),
        format!(r#"{{"type":"image","document":"{long}"}}"#),
    ];
    for part in parts {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
        for dialect in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
            let sizes = read_as(dialect, &body).sizes;
            assert!(sizes.images == 1 && sizes.message_bytes - sizes.image_bytes > 10_000, "{part:.40}");
        }
    }
}

#[test]
fn what_the_provider_adds_to_the_prompt_is_told() {
    let state = |dialect, member: &str| {
        let body = format!(r#"{{"model":"m","messages":[],"input":[],"contents":[],{member}}}"#);
        read_as(dialect, &body).provider_state
    };
    assert_eq!(state(Dialect::OpenAiResponses, r#""previous_response_id":"r""#), Some("previous_response_id"));
    assert_eq!(state(Dialect::OpenAiResponses, r#""conversation":{"id":"c"}"#), Some("conversation"));
    assert_eq!(state(Dialect::OpenAiResponses, r#""previous_response_id":null"#), None);
    assert_eq!(state(Dialect::Gemini, r#""cached_content":"c""#), Some("cachedContent"));
    assert_eq!(state(Dialect::AnthropicMessages, r#""container":"c""#), Some("container"));
    let body = r#"{"model":"m","input":[{"type":"item_reference","id":"i"}]}"#;
    assert_eq!(read_as(Dialect::OpenAiResponses, body).provider_state, Some("item_reference"));

    let hosted = |dialect, tools: &str| {
        let body = format!(r#"{{"model":"m","messages":[],"input":[],"contents":[],"tools":{tools}}}"#);
        let head = read_as(dialect, &body);
        (head.has_tools, head.sizes.hosted_tools)
    };
    assert_eq!(hosted(Dialect::AnthropicMessages, r#"[{"name":"a"},{"type":"custom"},{"type":"bash_20250124"}]"#), (true, 1));
    assert_eq!(hosted(Dialect::OpenAiResponses, r#"[{"type":"function"},{"type":"namespace"},{"type":"web_search"}]"#), (true, 1));
    assert_eq!(hosted(Dialect::Gemini, r#"[{"functionDeclarations":[]},{"googleSearch":{}}]"#), (true, 1));
    assert_eq!(hosted(Dialect::Gemini, "[]"), (false, 0));
}

#[test]
fn the_estimate_counts_what_anthropic_tells_its_models_about_tools() {
    let plain = r#"{"model":"m","messages":[{"role":"user","content":"hello there, how are you"}]}"#;
    let with_tools = plain.replace("\"messages\"", "\"tools\":[{\"name\":\"a\"}],\"messages\"");
    let bound = |body: &str| read_as(Dialect::AnthropicMessages, body).estimate().bound;
    assert_eq!(bound(&with_tools) - bound(plain), tokens::ANTHROPIC_PREAMBLE + 2 * "[{\"name\":\"a\"}]".len() as u64);
}

#[test]
fn an_embedding_has_no_template_and_no_output() {
    let body = r#"{"model":"m","input":["a","b"]}"#;
    let head = read_as(Dialect::OpenAiEmbeddings, body);
    assert!(head.embeds && head.sizes.messages == 0);
    assert_eq!(head.estimate().bound, "[\"a\",\"b\"]".len() as u64 + tokens::FIXED);
}

#[test]
fn what_leaves_something_behind_at_the_provider_is_not_repeatable() {
    let chat = |members: &str| read(with(members).as_bytes()).unwrap().repeatable;
    assert!(chat(r#""store":false"#) && chat(r#""store":null"#) && chat(r#""tools":[{"type":"function"}]"#));
    assert!(!chat(r#""store":true"#) && !chat(r#""store":"yes""#) && !chat(r#""web_search_options":{}"#));
    let responses = |members: &str| read_as(Dialect::OpenAiResponses, &format!(r#"{{"model":"m","input":"a"{members}}}"#)).repeatable;
    assert!(responses(r#","store":false,"background":false,"previous_response_id":null"#));
    assert!(!responses("") && !responses(r#","store":null"#), "responses are kept unless they are not to be");
    for more in
        [r#""background":true"#, r#""previous_response_id":"r""#, r#""conversation":"c""#, r#""tools":[{"type":"code_interpreter"}]"#]
    {
        assert!(!responses(&format!(r#","store":false,{more}"#)), "{more}");
    }
    assert!(read_as(Dialect::Gemini, r#"{"model":"m","contents":[]}"#).repeatable);
    assert!(!read_as(Dialect::Gemini, r#"{"model":"m","contents":[],"tools":[{"codeExecution":{}}]}"#).repeatable);
}

#[test]
fn tools_that_the_provider_runs_are_told_from_those_it_only_describes() {
    let run = |dialect, tools: &str| {
        let body = match dialect {
            Dialect::Gemini => format!(r#"{{"model":"m","contents":[],"tools":{tools}}}"#),
            Dialect::OpenAiResponses => format!(r#"{{"model":"m","input":"a","tools":{tools}}}"#),
            _ => format!(r#"{{"model":"m","messages":[],"tools":{tools}}}"#),
        };
        read_as(dialect, &body).provider_tool.map(std::borrow::Cow::into_owned)
    };
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(run(Dialect::OpenAiResponses, r#"[{"type":"function","name":"f"},{"type":"local_shell"}]"#), None);
    assert_eq!(run(Dialect::OpenAiResponses, r#"[{"type":"local_shell"},{"type":"web\u005fsearch"}]"#), named("web_search"));
    assert_eq!(run(Dialect::OpenAiResponses, r#"[{"type":"of tomorrow"}]"#), named("of tomorrow"));
    assert_eq!(run(Dialect::AnthropicMessages, r#"[{"name":"f"},{"type":"bash_20250124","name":"bash"}]"#), None);
    assert_eq!(run(Dialect::AnthropicMessages, r#"[{"type":"web_fetch_20250910","name":"f"}]"#), named("web_fetch_20250910"));
    assert_eq!(run(Dialect::Gemini, r#"[{"functionDeclarations":[]},{"computerUse":{}}]"#), None);
    assert_eq!(run(Dialect::Gemini, r#"[{"functionDeclarations":[],"googleSearch":{}}]"#), named("googleSearch"));
    assert_eq!(run(Dialect::Gemini, r#"[{"googleSearch":{},"computerUse":{}}]"#), named("googleSearch"));
    assert_eq!(run(Dialect::Gemini, r#"[{"computerUse":{},"googleSearch":{}}]"#), named("googleSearch"));
    let servers = r#"{"model":"m","messages":[],"mcp_servers":[{"url":"https://x"}]}"#;
    assert_eq!(read_as(Dialect::AnthropicMessages, servers).provider_tool.as_deref(), Some("mcp_servers"));
    let search = r#"{"model":"m","messages":[],"web_search_options":{}}"#;
    assert_eq!(read_as(Dialect::OpenAiChat, search).provider_tool.as_deref(), Some("web_search_options"));
}
