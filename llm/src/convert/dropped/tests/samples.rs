//! For each dialect and feature the members of a request that ask for it, and nothing else that any target lacks.

use serde_json::{Value, json};

use crate::{convert::Feature, dialect::Dialect};

/// Whose words callers use in conversations.
pub(super) const CALLERS: [Dialect; 4] = [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages, Dialect::Gemini];

const CHAT: Dialect = Dialect::OpenAiChat;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::AnthropicMessages;
const GEMINI: Dialect = Dialect::Gemini;

/// What no request of a conversation shows: a header's words, the length of vectors, calls and results in places where no reader leaves any, what
/// only servers of chat refuse, and what no target of another dialect lacks.
pub(super) const UNTRIED: [(Dialect, Feature); 15] = [
    (MESSAGES, Feature::Betas),
    (CHAT, Feature::Dimensions),
    (GEMINI, Feature::Dimensions),
    (CHAT, Feature::ToolCall),
    (RESPONSES, Feature::ToolCall),
    (MESSAGES, Feature::ToolCall),
    (GEMINI, Feature::ToolCall),
    (CHAT, Feature::ToolResult),
    (RESPONSES, Feature::ToolResult),
    (MESSAGES, Feature::ToolResult),
    (GEMINI, Feature::ToolResult),
    (CHAT, Feature::TopLogprobs),
    (RESPONSES, Feature::TopLogprobs),
    (GEMINI, Feature::TopLogprobs),
    (GEMINI, Feature::FileName),
];

const PDF: &str = "data:application/pdf;base64,JVBERi0=";
const ZIP: &str = "data:application/zip;base64,UEsDBA==";
const PNG: &str = "data:image/png;base64,iVBORw0KGgo=";
const TIFF: &str = "data:image/tiff;base64,SUkqAA==";

/// The least request of a dialect with these members.
pub(super) fn body(dialect: Dialect, members: &Value) -> Value {
    let mut body = match dialect {
        Dialect::OpenAiResponses => json!({"model": "m", "input": "a"}),
        Dialect::AnthropicMessages => json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "a"}]}),
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}),
        _ => json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}),
    };
    for (name, value) in members.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// The name of a feature in such a request, and then those of what goes along with it for some targets.
pub(super) fn names(dialect: Dialect, feature: Feature, body: &Value) -> Vec<String> {
    let other = |place: &str| body.pointer(place).is_some();
    let name = match feature {
        Feature::EndUser if other("/safety_identifier") => "safety_identifier",
        Feature::SchemaFormat if other("/output_format") => "output_format",
        Feature::SchemaFormat if other("/generationConfig/responseJsonSchema") => "generationConfig.responseJsonSchema",
        Feature::Logprobs if other("/include") => "include.message.output_text.logprobs",
        _ => feature.name_in(dialect),
    };
    let along = (feature == Feature::SchemaDescription).then(|| Feature::SchemaFormat.name_in(dialect));
    [name].into_iter().chain(along).map(str::to_owned).collect()
}

/// The samples of a dialect.
pub(super) fn of(dialect: Dialect) -> Vec<(Feature, Value)> {
    match dialect {
        Dialect::OpenAiResponses => [responses_settings(), responses_content(), responses_history()].concat(),
        Dialect::AnthropicMessages => [messages_settings(), messages_content(), messages_history()].concat(),
        Dialect::Gemini => [gemini_settings(), gemini_content(), gemini_history()].concat(),
        _ => [chat_settings(), chat_content(), chat_history()].concat(),
    }
}

fn chat_settings() -> Vec<(Feature, Value)> {
    let schema = |more: Value| {
        let mut inner = json!({"name": "x", "schema": {"type": "object"}});
        inner.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"response_format": {"type": "json_schema", "json_schema": inner}})
    };
    vec![
        (Feature::Choices, json!({"n": 2})),
        (Feature::Effort, json!({"reasoning_effort": "high"})),
        (Feature::EndUser, json!({"user": "u"})),
        (Feature::EndUser, json!({"safety_identifier": "u"})),
        (Feature::FrequencyPenalty, json!({"frequency_penalty": 0.5})),
        (Feature::JsonFormat, json!({"response_format": {"type": "json_object"}})),
        (Feature::Logprobs, json!({"logprobs": true})),
        (Feature::ParallelToolCalls, json!({"parallel_tool_calls": false})),
        (Feature::PresencePenalty, json!({"presence_penalty": 0.5})),
        (Feature::SchemaDescription, schema(json!({"description": "d"}))),
        (Feature::SchemaFormat, schema(json!({}))),
        (Feature::Seed, json!({"seed": 7})),
        (Feature::Stop, json!({"stop": "END"})),
        (Feature::Temperature, json!({"temperature": 1.7})),
        (Feature::ToolChoice, json!({"tool_choice": "required"})),
        (
            Feature::ToolStrict,
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}}]}),
        ),
        (Feature::TopK, json!({"top_k": 5})),
        (Feature::TopP, json!({"temperature": 0.5, "top_p": 0.5})),
    ]
}

fn chat_content() -> Vec<(Feature, Value)> {
    let said = |part: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, part]}]});
    let file = |file: Value| said(json!({"type": "file", "file": file}));
    let image = |image: Value| said(json!({"type": "image_url", "image_url": image}));
    vec![
        (Feature::CacheMark, said(json!({"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}))),
        (Feature::FileName, file(json!({"filename": "a.pdf", "file_data": PDF}))),
        (Feature::ImageDetail, image(json!({"url": PNG, "detail": "low"}))),
        (Feature::InlineFile, file(json!({"file_data": ZIP}))),
        (Feature::InlineImage, image(json!({"url": TIFF}))),
        (Feature::InlineSound, said(json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}))),
        (Feature::LinkedFile, file(json!({"file_data": "https://example.com/a.pdf"}))),
        (Feature::LinkedImage, image(json!({"url": "https://example.com/a.png"}))),
        (
            Feature::SystemContent,
            json!({"messages": [{"role": "system", "content": [{"type": "text", "text": "s"}, {"type": "image_url", "image_url": {"url": PNG}}]},
                {"role": "user", "content": "a"}]}),
        ),
        (Feature::TurnName, json!({"messages": [{"role": "user", "name": "Ann", "content": "a"}]})),
        (Feature::UploadedFile, file(json!({"file_id": "file-1"}))),
    ]
}

fn chat_history() -> Vec<(Feature, Value)> {
    let history = |more: Value| {
        let mut turn = json!({"role": "assistant", "content": "b"});
        turn.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"messages": [{"role": "user", "content": "a"}, turn, {"role": "user", "content": "c"}]})
    };
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "S=="}}});
    vec![
        (
            Feature::CallSignature,
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "b"}]}),
        ),
        (Feature::Thought, history(json!({"reasoning_content": "hm"}))),
        (Feature::ThoughtSignature, history(json!({"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "S=="}]}))),
    ]
}

fn responses_settings() -> Vec<(Feature, Value)> {
    let schema = |more: Value| {
        let mut format = json!({"type": "json_schema", "name": "x", "schema": {"type": "object"}});
        format.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"text": {"format": format}})
    };
    vec![
        (Feature::Effort, json!({"reasoning": {"effort": "high"}})),
        (Feature::EndUser, json!({"user": "u"})),
        (Feature::EndUser, json!({"safety_identifier": "u"})),
        (Feature::JsonFormat, json!({"text": {"format": {"type": "json_object"}}})),
        (Feature::Logprobs, json!({"top_logprobs": 2})),
        (Feature::Logprobs, json!({"include": ["message.output_text.logprobs"]})),
        (Feature::ParallelToolCalls, json!({"parallel_tool_calls": false})),
        (Feature::SchemaDescription, schema(json!({"description": "d"}))),
        (Feature::SchemaFormat, schema(json!({}))),
        (Feature::Temperature, json!({"temperature": 1.7})),
        (Feature::Thinking, json!({"reasoning": {"summary": "auto"}})),
        (Feature::ToolChoice, json!({"tool_choice": "required"})),
        (Feature::ToolStrict, json!({"tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true}]})),
        (Feature::TopP, json!({"temperature": 0.5, "top_p": 0.5})),
    ]
}

fn responses_content() -> Vec<(Feature, Value)> {
    let said = |part: Value| json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}, part]}]});
    vec![
        (Feature::FileName, said(json!({"type": "input_file", "filename": "a.pdf", "file_data": PDF}))),
        (Feature::ImageDetail, said(json!({"type": "input_image", "image_url": PNG, "detail": "low"}))),
        (Feature::InlineFile, said(json!({"type": "input_file", "file_data": ZIP}))),
        (Feature::InlineImage, said(json!({"type": "input_image", "image_url": TIFF}))),
        (Feature::InlineSound, said(json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}))),
        (Feature::LinkedFile, said(json!({"type": "input_file", "file_url": "https://example.com/a.pdf"}))),
        (Feature::LinkedImage, said(json!({"type": "input_image", "image_url": "https://example.com/a.png"}))),
        (
            Feature::SystemContent,
            json!({"input": [{"role": "system", "content": [{"type": "input_text", "text": "s"}, {"type": "input_image", "image_url": PNG}]},
                {"role": "user", "content": "a"}]}),
        ),
        (Feature::UploadedFile, said(json!({"type": "input_file", "file_id": "file-1"}))),
        (Feature::UploadedImage, said(json!({"type": "input_image", "file_id": "file-1"}))),
    ]
}

fn responses_history() -> Vec<(Feature, Value)> {
    let history = |item: Value| {
        json!({"input": [{"role": "user", "content": "a"}, item, {"role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
            {"role": "user", "content": "c"}]})
    };
    vec![
        // As it was given to the caller: the reasoning behind a call is the call's proof.
        (
            Feature::CallSignature,
            json!({"input": [{"role": "user", "content": "a"}, {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
                {"type": "reasoning", "summary": [], "encrypted_content": "mlxcall.S=="},
                {"type": "function_call_output", "call_id": "call_1", "output": "b"}]}),
        ),
        (Feature::Thought, history(json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}))),
        (Feature::ThoughtSignature, history(json!({"type": "reasoning", "summary": [], "encrypted_content": "S=="}))),
    ]
}

fn messages_settings() -> Vec<(Feature, Value)> {
    let tool = json!({"name": "f", "input_schema": {"type": "object"}});
    let format = json!({"type": "json_schema", "schema": {"type": "object"}});
    vec![
        (Feature::Effort, json!({"output_config": {"effort": "high"}})),
        (Feature::EndUser, json!({"metadata": {"user_id": "u"}})),
        (Feature::ParallelToolCalls, json!({"tools": [tool], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}})),
        (Feature::SchemaFormat, json!({"output_config": {"format": format}})),
        (Feature::SchemaFormat, json!({"output_format": format})),
        (Feature::Stop, json!({"stop_sequences": ["END"]})),
        (Feature::Temperature, json!({"temperature": 1.7})),
        (Feature::Thinking, json!({"thinking": {"type": "enabled", "budget_tokens": 2000}})),
        (Feature::ToolChoice, json!({"tool_choice": {"type": "any"}})),
        (Feature::ToolStrict, json!({"tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": true}]})),
        (Feature::TopK, json!({"top_k": 5})),
        (Feature::TopP, json!({"temperature": 0.5, "top_p": 0.5})),
    ]
}

fn messages_content() -> Vec<(Feature, Value)> {
    let said = |block: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, block]}]});
    let of = |kind: &str, source: Value| said(json!({"type": kind, "source": source}));
    let here = |media_type: &str| json!({"type": "base64", "media_type": media_type, "data": "JVBERi0="});
    let document = json!({"type": "document", "source": here("application/pdf"), "title": "a.pdf"});
    let picture = json!({"type": "image", "source": here("image/png")});
    vec![
        (Feature::CacheMark, said(json!({"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}))),
        (Feature::FileName, said(document)),
        (Feature::InlineFile, of("document", here("application/zip"))),
        (Feature::InlineImage, of("image", here("image/tiff"))),
        (Feature::InlineSound, of("document", here("audio/wav"))),
        (Feature::LinkedFile, of("document", json!({"type": "url", "url": "https://example.com/a.pdf"}))),
        (Feature::LinkedImage, of("image", json!({"type": "url", "url": "https://example.com/a.png"}))),
        (Feature::SystemContent, json!({"system": [{"type": "text", "text": "s"}, picture]})),
        (Feature::UploadedFile, of("document", json!({"type": "file", "file_id": "file_1"}))),
        (Feature::UploadedImage, of("image", json!({"type": "file", "file_id": "file_1"}))),
    ]
}

fn messages_history() -> Vec<(Feature, Value)> {
    let history = |block: Value| {
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [block, {"type": "text", "text": "b"}]},
            {"role": "user", "content": "c"}]})
    };
    let called = |behind: Value, result: Value| {
        let call = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}});
        let said: Vec<Value> = [call, behind].into_iter().filter(|block| !block.is_null()).collect();
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": said}, {"role": "user", "content": [result]}]})
    };
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "b"});
    let failed = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "b", "is_error": true});
    vec![
        // As it was given to the caller: the thought behind a call is the call's proof.
        (Feature::CallSignature, called(json!({"type": "thinking", "thinking": "", "signature": "call.S=="}), result)),
        (Feature::Thought, history(json!({"type": "thinking", "thinking": "hm"}))),
        (Feature::ThoughtSignature, history(json!({"type": "thinking", "thinking": "hm", "signature": "S=="}))),
        (Feature::ToolResultError, called(Value::Null, failed)),
    ]
}

fn gemini_settings() -> Vec<(Feature, Value)> {
    let set = |config: Value| json!({"generationConfig": config});
    let json_of = |member: &str| {
        let mut config = json!({"responseMimeType": "application/json"});
        config[member] = json!({"type": "object"});
        json!({"generationConfig": config})
    };
    vec![
        (Feature::Choices, set(json!({"candidateCount": 2}))),
        (Feature::Effort, set(json!({"thinkingConfig": {"thinkingLevel": "HIGH"}}))),
        (Feature::FrequencyPenalty, set(json!({"frequencyPenalty": 0.5}))),
        (Feature::JsonFormat, set(json!({"responseMimeType": "application/json"}))),
        (Feature::Logprobs, set(json!({"responseLogprobs": true}))),
        (Feature::PresencePenalty, set(json!({"presencePenalty": 0.5}))),
        (Feature::SchemaFormat, json_of("responseSchema")),
        (Feature::SchemaFormat, json_of("responseJsonSchema")),
        (Feature::Seed, set(json!({"seed": 7}))),
        (Feature::Stop, set(json!({"stopSequences": ["END"]}))),
        (Feature::Temperature, set(json!({"temperature": 1.7}))),
        (Feature::Thinking, set(json!({"thinkingConfig": {"thinkingBudget": 2000}}))),
        (Feature::ToolChoice, json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}})),
        (Feature::TopK, set(json!({"topK": 5}))),
        (Feature::TopP, set(json!({"temperature": 0.5, "topP": 0.5}))),
    ]
}

fn gemini_content() -> Vec<(Feature, Value)> {
    let said = |part: Value| json!({"contents": [{"role": "user", "parts": [{"text": "a"}, part]}]});
    let here = |media_type: &str| said(json!({"inlineData": {"mimeType": media_type, "data": "JVBERi0="}}));
    let there = |media_type: &str, uri: &str| said(json!({"fileData": {"mimeType": media_type, "fileUri": uri}}));
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}});
    vec![
        (Feature::InlineFile, here("application/zip")),
        (Feature::InlineImage, here("image/tiff")),
        (Feature::InlineSound, here("audio/wav")),
        (Feature::LinkedFile, there("application/pdf", "https://example.com/a.pdf")),
        (Feature::LinkedImage, there("image/png", "https://example.com/a.png")),
        (Feature::SystemContent, json!({"systemInstruction": {"parts": [{"text": "s"}, picture]}})),
        (Feature::UploadedFile, there("application/pdf", "gs://b/a.pdf")),
        (Feature::UploadedImage, there("image/png", "gs://b/a.png")),
    ]
}

fn gemini_history() -> Vec<(Feature, Value)> {
    let history = |part: Value, reply: Value| json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [part]}, {"role": "user", "parts": [reply]}]});
    let call = || json!({"functionCall": {"name": "f", "args": {}}});
    let signed = json!({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "S=="});
    let result = |response: Value| json!({"functionResponse": {"name": "f", "response": response}});
    vec![
        (Feature::CallSignature, history(signed, result(json!({"output": "b"})))),
        (Feature::Thought, history(json!({"text": "hm", "thought": true}), json!({"text": "c"}))),
        (Feature::ThoughtSignature, history(json!({"text": "hm", "thought": true, "thoughtSignature": "S=="}), json!({"text": "c"}))),
        (Feature::ToolResultError, history(call(), result(json!({"error": "b"})))),
    ]
}
