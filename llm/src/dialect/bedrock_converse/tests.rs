//! What goes to Bedrock and what comes back. A recorded stream has an event a line: its type, a blank, its payload.

use std::{fs, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DeltaReader, read_answer, read_error, write_conversation};
use crate::{
    convert::{Answer, Conversation, Delta, Dropped, FinishReason, Part, Signature, ToolChoice},
    dialect::{
        Dialect,
        anthropic_messages::{conversation::read_conversation, gathered::gather},
    },
};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// The recorded answers: name, buffered, streamed.
fn recorded() -> Vec<(String, Vec<u8>, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/bedrock_converse/conversions");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "events"))
        .map(|path| (path.display().to_string(), fs::read(path.with_extension("json")).unwrap(), fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(found.len() >= 5);
    found
}

fn read_stream(stream: &str) -> Vec<Delta<'_>> {
    let mut reader = DeltaReader::default();
    let mut deltas = Vec::new();
    for (event_type, payload) in stream.lines().filter_map(|line| line.split_once(' ')) {
        reader.read(event_type, payload.as_bytes(), &mut deltas);
    }
    let mut ended = Vec::new();
    reader.finish(&mut ended);
    deltas.extend(ended);
    deltas
}

/// R-44
#[test]
fn a_stream_gathered_is_the_buffered_answer() {
    for (name, buffered, stream) in recorded() {
        let gathered = gather(&read_stream(&stream));
        assert_eq!(format!("{gathered:?}"), format!("{:?}", read_answer(&buffered).unwrap()), "{name}");
    }
}

/// R-13, R-16
#[test]
fn usage_includes_the_cache_and_adds_up() {
    for (name, buffered, _) in recorded() {
        let usage = read_answer(&buffered).unwrap().usage.unwrap();
        assert!(usage.buckets().is_ok(), "{name}");
        if name.contains("thinking_and_tools") {
            let figures = (usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens, usage.total_tokens);
            assert_eq!(figures, (Some(1250), Some(1000), Some(200), Some(1370)));
        }
    }
    let old =
        br#"{"output":{"message":{"content":[]}},"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3,"cacheReadInputTokens":5}}"#;
    let usage = read_answer(old).unwrap().usage.unwrap();
    assert_eq!((usage.input_tokens, usage.total_tokens, usage.cache_write_tokens), (Some(6), None, None));
}

#[test]
fn reasons_to_stop_have_their_words() {
    for (word, expected) in [
        ("end_turn", FinishReason::Stop),
        ("tool_use", FinishReason::ToolCalls),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("stop_sequence", FinishReason::StopSequence),
        ("guardrail_intervened", FinishReason::Refusal),
        ("content_filtered", FinishReason::Refusal),
        ("malformed_tool_use", FinishReason::MalformedCall),
        ("malformed_model_output", FinishReason::MalformedCall),
        ("something_new", FinishReason::Other),
    ] {
        let body = format!(r#"{{"output":{{"message":{{"content":[{{"video":{{}}}}]}}}},"stopReason":"{word}"}}"#);
        let Answer { choices, .. } = read_answer(body.as_bytes()).unwrap();
        assert_eq!(choices[0].finish, expected, "{word}");
        assert!(matches!(&choices[0].parts[..], [Part::Opaque { dialect: Dialect::BedrockConverse, .. }]));
    }
}

/// R-15
#[test]
fn an_exception_is_an_error_and_the_last_thing_said() {
    let stream = "messageStart {\"role\":\"assistant\"}\ncontentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"a\"}}\n\
        modelStreamErrorException {\"message\":\"broke\",\"originalStatusCode\":424}\nmessageStop {\"stopReason\":\"end_turn\"}\n";
    let read = format!("{:?}", read_stream(stream));
    let last = r#"End { choice: 0, block: 0 }, Error { kind: "modelStreamErrorException", message: "broke" }]"#;
    assert!(read.ends_with(last), "{read}");
    for broken in ["messageStop {", "contentBlockDelta {}", "contentBlockStop []"] {
        assert!(matches!(&read_stream(broken)[..], [Delta::Error { .. }]), "{broken}");
    }
}

#[test]
fn class_and_message_of_an_error_are_read() {
    for (body, expected) in [
        (r#"{"message":"m"}"#, Some(("api_error", "m"))),
        (r#"{"__type":"com.amazon.coral#ThrottlingException","Message":"m"}"#, Some(("ThrottlingException", "m"))),
        ("<html>", None),
        ("{}", None),
    ] {
        assert_eq!(read_error(body.as_bytes()), expected.map(|(kind, message)| (kind.into(), message.into())), "{body}");
    }
}

fn write(conversation: &Conversation<'_>, model: &str) -> (Value, String) {
    let mut dropped = Dropped::of(Dialect::AnthropicMessages);
    let body = write_conversation(conversation, model, &mut dropped);
    (serde_json::from_slice(&body).unwrap(), dropped.header())
}

/// An agent's request, as Anthropic's dialect has it.
const REQUEST: &[u8] =
    br#"{"model":"m","max_tokens":4000,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}}],
    "thinking":{"type":"enabled","budget_tokens":2000},"stop_sequences":["END"],"top_k":5,
    "output_config":{"format":{"type":"json_schema","schema":{"type": "object"}}},
    "tools":[{"name":"f","description":"F","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],
    "tool_choice":{"type":"auto"},
    "messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":" "},
    {"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/"}},
    {"type":"image","source":{"type":"url","url":"https://example.com/a.png"}},
    {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},"title":"My_file: 1.pdf"},
    {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]},
    {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"not Bedrock's"},{"type":"text","text":"Well."}]},
    {"role":"user","content":"b"},{"role":"user","content":"c"}]}"#;

#[test]
fn a_request_is_written_with_the_members_of_converse() {
    let (written, dropped) = write(&read_conversation(REQUEST).unwrap(), CLAUDE);
    let expected = json!({
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [
                {"text": "a"},
                {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}},
                {"document": {"format": "pdf", "name": "My file 1 pdf", "source": {"bytes": "JVBERi0="}}},
                {"document": {"format": "pdf", "name": "document 2", "source": {"bytes": "JVBERi0="}}},
            ]},
            {"role": "assistant", "content": [{"text": "Well."}]},
            {"role": "user", "content": [{"text": "b"}, {"text": "c"}]},
        ],
        "inferenceConfig": {"maxTokens": 4000, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "f", "description": "F", "inputSchema": {"json": {"type": "object"}}}},
                {"cachePoint": {"type": "default"}},
            ],
            "toolChoice": {"auto": {}},
        },
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{\"type\": \"object\"}"}}}},
    });
    assert_eq!(written, expected);
    assert_eq!(dropped, "image,thinking.signature,top_k");
}

#[test]
fn a_model_that_is_no_claude_gets_nothing_of_claudes() {
    let (written, dropped) = write(&read_conversation(REQUEST).unwrap(), "amazon.nova-pro-v1:0");
    assert_eq!(written.get("additionalModelRequestFields"), None);
    assert_eq!(dropped, "image,thinking,thinking.signature,top_k");
}

#[test]
fn results_come_first_and_their_tools_are_declared() {
    let body = br#"{"messages":[{"role":"user","content":"a"},
        {"role":"assistant","content":[{"type":"tool_use","id":"a.1","name":"f","input":{"x":1}},{"type":"tool_use","id":"2","name":"g","input":{}}]},
        {"role":"user","content":[{"type":"text","text":"so"},{"type":"tool_result","tool_use_id":"a.1","content":"bad","is_error":true},
        {"type":"tool_result","tool_use_id":"2"}]}]}"#;
    let mut conversation = read_conversation(body).unwrap();
    conversation.tool_choice = Some(ToolChoice::None);
    let (written, dropped) = write(&conversation, CLAUDE);
    let results = json!([
        {"toolResult": {"toolUseId": "mlx_call_0", "content": [{"text": "bad"}], "status": "error"}},
        {"toolResult": {"toolUseId": "2", "content": []}},
        {"text": "so"},
    ]);
    assert_eq!(written["messages"][2]["content"], results);
    assert_eq!(written["messages"][1]["content"][0], json!({"toolUse": {"toolUseId": "mlx_call_0", "name": "f", "input": {"x": 1}}}));
    assert_eq!(written["toolConfig"]["tools"].as_array().unwrap().len(), 2);
    assert_eq!(dropped, "tool_choice");
}

/// R-45: what Bedrock signed goes back to Bedrock byte for byte, through a caller who speaks Anthropic's dialect.
#[test]
fn thoughts_go_back_as_they_came() {
    use crate::{convert::Stamp, dialect::anthropic_messages::answer::write_answer};
    let (_, buffered, _) = recorded().into_iter().find(|(name, ..)| name.contains("thinking_and_tools")).unwrap();
    let shown = write_answer(&read_answer(&buffered).unwrap(), &Stamp { id: "1", created: 0, model: "m" });
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let body = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": shown["content"]}]}).to_string();
    let conversation = read_conversation(body.as_bytes()).unwrap();
    let own = |part: &Part<'_>| matches!(part, Part::Thinking { signature: Some(Signature { origin: Dialect::BedrockConverse, .. }), .. });
    assert_eq!(conversation.turns[1].parts.iter().filter(|part| own(part)).count(), 2);
    let (written, dropped) = write(&conversation, CLAUDE);
    let sent: Value = serde_json::from_slice(&buffered).unwrap();
    assert_eq!(written["messages"][1]["content"], sent["output"]["message"]["content"]);
    assert_eq!(dropped, "");
}

proptest! {
    /// Whatever a provider sends, reading ends, and at most one error is said.
    #[test]
    fn broken_streams_are_read_without_a_panic(place in any::<usize>(), sign in any::<char>()) {
        for (_, _, stream) in recorded() {
            let mut signs: Vec<char> = stream.chars().collect();
            let at = place % signs.len();
            signs[at] = sign;
            let broken: String = signs.into_iter().collect();
            let errors = read_stream(&broken).iter().filter(|delta| matches!(delta, Delta::Error { .. })).count();
            prop_assert!(errors <= 1);
        }
    }
}
