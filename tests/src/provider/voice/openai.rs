//! OpenAI's chat completions and embeddings.

use serde_json::{Value, json};

use super::{Body, CONSUMED, VECTOR, VECTOR_BASE64, event, pieces};
use crate::provider::script::{Asked, Said};

const ID: &str = "chatcmpl-scripted";

pub(super) fn chat(asked: &Asked, said: &Said) -> Body {
    if asked.stream {
        return stream(asked, said);
    }
    let (message, finish) = match said {
        Said::Calls(calls) => {
            let calls: Vec<Value> =
                calls.iter().enumerate().map(|(number, (name, arguments))| call(number, name, &arguments.to_string())).collect();
            (json!({"role": "assistant", "content": null, "tool_calls": calls}), "tool_calls")
        }
        Said::Text(text) | Said::Unfinished(text) | Said::Error(_, text) => {
            (json!({"role": "assistant", "content": text, "refusal": null}), "stop")
        }
    };
    Body::Whole(json!({
        "id": ID, "object": "chat.completion", "created": 1_790_000_000, "model": asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}], "usage": usage(),
    }))
}

fn call(number: usize, name: &str, arguments: &str) -> Value {
    json!({"id": format!("call_{number}"), "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn usage() -> Value {
    json!({"prompt_tokens": CONSUMED.0, "completion_tokens": CONSUMED.1, "total_tokens": CONSUMED.0 + CONSUMED.1})
}

fn stream(asked: &Asked, said: &Said) -> Body {
    let chunk = |choices: Value, usage: Value| {
        event(
            &json!({"id": ID, "object": "chat.completion.chunk", "created": 1_790_000_000, "model": asked.model, "choices": choices, "usage": usage}),
        )
    };
    let delta = |delta: Value, finish: Value| chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null);
    let mut events = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
    let finish = match said {
        Said::Calls(calls) => {
            events.extend(interleaved(calls).into_iter().map(|call| delta(json!({"tool_calls": [call]}), Value::Null)));
            "tool_calls"
        }
        Said::Text(text) | Said::Unfinished(text) | Said::Error(_, text) => {
            events.extend(pieces(text).iter().map(|piece| delta(json!({"content": piece}), Value::Null)));
            "stop"
        }
    };
    if matches!(said, Said::Unfinished(_)) {
        return Body::Unfinished(events);
    }
    events.push(delta(json!({}), json!(finish)));
    if asked.body["stream_options"]["include_usage"] == true {
        events.push(chunk(json!([]), usage()));
    }
    events.push("data: [DONE]\n\n".to_owned());
    Body::Events(events)
}

/// The heads of all calls, then a piece of each one's arguments in turn: what parallel calls may look like at worst.
fn interleaved(calls: &[(String, Value)]) -> Vec<Value> {
    let mut deltas = Vec::new();
    let mut arguments = Vec::new();
    for (index, (name, value)) in calls.iter().enumerate() {
        let mut head = call(index, name, "");
        head["index"] = json!(index);
        deltas.push(head);
        arguments.push(pieces(&value.to_string()));
    }
    for turn in 0..arguments.iter().map(Vec::len).max().unwrap_or(0) {
        let of_turn = arguments.iter().enumerate().filter_map(|(index, pieces)| Some((index, pieces.get(turn)?)));
        deltas.extend(of_turn.map(|(index, piece)| json!({"index": index, "function": {"arguments": piece}})));
    }
    deltas
}

pub(super) fn embeddings(asked: &Asked) -> Value {
    let count = asked.body["input"].as_array().map_or(1, Vec::len);
    let vector = if asked.body["encoding_format"] == "base64" { json!(VECTOR_BASE64) } else { json!(VECTOR) };
    let rows: Vec<Value> = (0..count).map(|index| json!({"object": "embedding", "index": index, "embedding": vector})).collect();
    json!({"object": "list", "data": rows, "model": asked.model, "usage": {"prompt_tokens": CONSUMED.0, "total_tokens": CONSUMED.0}})
}
