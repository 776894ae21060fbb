//! Anthropic's messages.

use serde_json::{Value, json};

use super::{Body, CONSUMED, pieces, typed};
use crate::provider::script::{Asked, Said};

pub(super) fn messages(asked: &Asked, said: &Said) -> Body {
    let (content, reason) = match said {
        Said::Calls(calls) => {
            let block = |(number, (name, input)): (usize, &(String, Value))| json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": name, "input": input});
            (calls.iter().enumerate().map(block).collect(), "tool_use")
        }
        Said::Text(text) | Said::Unfinished(text) | Said::Error(_, text) => (vec![json!({"type": "text", "text": text})], "end_turn"),
    };
    if asked.stream {
        return stream(asked, said, &content, reason);
    }
    Body::Whole(message(asked, &content, &json!(reason), CONSUMED.1))
}

fn message(asked: &Asked, content: &[Value], reason: &Value, output: u64) -> Value {
    json!({
        "id": "msg_scripted", "type": "message", "role": "assistant", "model": asked.model, "content": content, "stop_reason": reason,
        "stop_sequence": null, "usage": {"input_tokens": CONSUMED.0, "output_tokens": output},
    })
}

fn stream(asked: &Asked, said: &Said, content: &[Value], reason: &str) -> Body {
    let mut events = vec![json!({"type": "message_start", "message": message(asked, &[], &Value::Null, 1)}), json!({"type": "ping"})];
    for (index, block) in content.iter().enumerate() {
        let mut empty = block.clone();
        let (member, delta, text) = if block["type"] == "tool_use" {
            empty["input"] = json!({});
            ("partial_json", "input_json_delta", block["input"].to_string())
        } else {
            empty["text"] = json!("");
            ("text", "text_delta", block["text"].as_str().unwrap_or_default().to_owned())
        };
        events.push(json!({"type": "content_block_start", "index": index, "content_block": empty}));
        let piece = |piece: &String| json!({"type": "content_block_delta", "index": index, "delta": {"type": delta, (member): piece}});
        events.extend(pieces(&text).iter().map(piece));
        if matches!(said, Said::Unfinished(_)) {
            return Body::Unfinished(events.iter().map(typed).collect());
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let stop = json!({"stop_reason": reason, "stop_sequence": null});
    events.push(json!({"type": "message_delta", "delta": stop, "usage": {"output_tokens": CONSUMED.1}}));
    events.push(json!({"type": "message_stop"}));
    Body::Events(events.iter().map(typed).collect())
}
