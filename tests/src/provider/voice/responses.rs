//! OpenAI's responses.

use serde_json::{Value, json};

use super::{Body, CONSUMED, pieces, typed};
use crate::provider::script::{Asked, Said};

const ID: &str = "resp_scripted";

pub(super) fn respond(asked: &Asked, said: &Said) -> Body {
    let items = items(said);
    if asked.stream {
        return stream(asked, said, &items);
    }
    Body::Whole(response(asked, "completed", &items, &usage()))
}

fn items(said: &Said) -> Vec<Value> {
    match said {
        Said::Calls(calls) => {
            let item = |(number, (name, arguments)): (usize, &(String, Value))| {
                json!({"id": format!("fc_{number}"), "type": "function_call", "status": "completed", "call_id": format!("call_{number}"),
                    "name": name, "arguments": arguments.to_string()})
            };
            calls.iter().enumerate().map(item).collect()
        }
        Said::Text(text) | Said::Unfinished(text) | Said::Error(_, text) => {
            let content = json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
            vec![json!({"id": "msg_0", "type": "message", "role": "assistant", "status": "completed", "content": content})]
        }
    }
}

fn response(asked: &Asked, status: &str, output: &[Value], usage: &Value) -> Value {
    json!({
        "id": ID, "object": "response", "created_at": 1_790_000_000, "status": status, "model": asked.model, "output": output, "usage": usage,
        "error": null, "incomplete_details": null, "instructions": null, "metadata": {}, "parallel_tool_calls": true, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "text": {"format": {"type": "text"}},
    })
}

fn usage() -> Value {
    json!({
        "input_tokens": CONSUMED.0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": CONSUMED.1,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": CONSUMED.0 + CONSUMED.1,
    })
}

fn stream(asked: &Asked, said: &Said, items: &[Value]) -> Body {
    let begun = response(asked, "in_progress", &[], &Value::Null);
    let mut events =
        vec![json!({"type": "response.created", "response": begun}), json!({"type": "response.in_progress", "response": begun})];
    for (index, item) in items.iter().enumerate() {
        if item["type"] == "function_call" {
            call_events(index, item, &mut events);
        } else {
            text_events(index, item, matches!(said, Said::Unfinished(_)), &mut events);
        }
    }
    if !matches!(said, Said::Unfinished(_)) {
        events.push(json!({"type": "response.completed", "response": response(asked, "completed", items, &usage())}));
    }
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        typed(&event)
    });
    let events = numbered.collect();
    if matches!(said, Said::Unfinished(_)) { Body::Unfinished(events) } else { Body::Events(events) }
}

fn call_events(index: usize, item: &Value, events: &mut Vec<Value>) {
    let at = |kind: &str| json!({"type": kind, "output_index": index, "item_id": item["id"]});
    let mut added = at("response.output_item.added");
    added["item"] = item.clone();
    added["item"]["arguments"] = json!("");
    added["item"]["status"] = json!("in_progress");
    events.push(added);
    for piece in pieces(item["arguments"].as_str().unwrap_or_default()) {
        let mut delta = at("response.function_call_arguments.delta");
        delta["delta"] = json!(piece);
        events.push(delta);
    }
    let mut done = at("response.function_call_arguments.done");
    done["arguments"] = item["arguments"].clone();
    done["name"] = item["name"].clone();
    let mut whole = at("response.output_item.done");
    whole["item"] = item.clone();
    events.extend([done, whole]);
}

fn text_events(index: usize, item: &Value, unfinished: bool, events: &mut Vec<Value>) {
    let part = &item["content"][0];
    let at = |kind: &str| json!({"type": kind, "output_index": index, "content_index": 0, "item_id": item["id"]});
    let empty = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
    let message = json!({"id": item["id"], "type": "message", "role": "assistant", "status": "in_progress", "content": []});
    events.push(json!({"type": "response.output_item.added", "output_index": index, "item": message}));
    let mut added = at("response.content_part.added");
    added["part"] = empty;
    events.push(added);
    for piece in pieces(part["text"].as_str().unwrap_or_default()) {
        let mut delta = at("response.output_text.delta");
        delta["delta"] = json!(piece);
        delta["logprobs"] = json!([]);
        events.push(delta);
    }
    if unfinished {
        return;
    }
    let mut text = at("response.output_text.done");
    text["text"] = part["text"].clone();
    text["logprobs"] = json!([]);
    let mut whole = at("response.content_part.done");
    whole["part"] = part.clone();
    events.extend([text, whole, json!({"type": "response.output_item.done", "output_index": index, "item": item})]);
}
