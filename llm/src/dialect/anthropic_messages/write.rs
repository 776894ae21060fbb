//! Writing messages of our own, whole and streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    dialect::{add, to_json, write_typed_event},
    response::{Completion, Finish},
    usage::Usage,
};

pub(in crate::dialect) fn write_completion(completion: &Completion<'_>) -> Bytes {
    let content = json!([{"type": "text", "text": completion.content}]);
    to_json(&message(completion, &content, &json!(reason(completion.finish)), &usage(&completion.usage)))
}

pub(in crate::dialect) fn write_completion_events(completion: &Completion<'_>, pieces: &[&str]) -> Vec<Bytes> {
    // What went in is said at the beginning, what came out at the end.
    let input = usage(&Usage { output_tokens: Some(0), reasoning_tokens: None, ..completion.usage });
    let mut events = vec![
        json!({"type": "message_start", "message": message(completion, &json!([]), &Value::Null, &input)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
    ];
    let delta = |piece: &&str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}});
    events.extend(pieces.iter().map(delta));
    let stop = json!({"stop_reason": reason(completion.finish), "stop_sequence": null});
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": stop, "usage": usage(&completion.usage)}),
        json!({"type": "message_stop"}),
    ]);
    events.iter().map(write_typed_event).collect()
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
    }
}

fn message(completion: &Completion<'_>, content: &Value, reason: &Value, usage: &Value) -> Value {
    json!({
        "id": completion.id, "type": "message", "role": "assistant", "model": completion.model, "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": usage,
    })
}

/// The input is without the cache; absent counts are left out.
fn usage(usage: &Usage) -> Value {
    let cache = usage.cached_input_tokens.unwrap_or(0).saturating_add(usage.cache_write_tokens.unwrap_or(0));
    let input = usage.input_tokens.map(|input| input.saturating_sub(cache));
    let mut written = json!({"input_tokens": input, "output_tokens": usage.output_tokens});
    if let Some(read) = usage.cached_input_tokens {
        add(&mut written, "cache_read_input_tokens", read);
    }
    if let Some(creation) = usage.cache_write_tokens {
        add(&mut written, "cache_creation_input_tokens", creation);
        if let Some(hour) = usage.cache_write_1h_tokens {
            let minutes = creation.saturating_sub(hour);
            let parts = json!({"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour});
            add(&mut written, "cache_creation", parts);
        }
    }
    if let Some(thinking) = usage.reasoning_tokens {
        add(&mut written, "output_tokens_details", json!({"thinking_tokens": thinking}));
    }
    written
}
