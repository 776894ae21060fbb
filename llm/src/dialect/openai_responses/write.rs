//! Writing responses of our own, whole and streamed.
//!
//! A stream says everything three times, as OpenAI's does: in pieces, in the events that end a part and an item, and in the response that
//! ends it. Clients rely on each.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    dialect::{add, to_json, write_typed_event},
    response::{Completion, Finish},
    usage::Usage,
};

pub(in crate::dialect) fn write_completion(completion: &Completion<'_>) -> Bytes {
    to_json(&finished(completion))
}

pub(in crate::dialect) fn write_completion_events(completion: &Completion<'_>, pieces: &[&str]) -> Vec<Bytes> {
    let item_id = item_id(completion);
    let begun = response(completion, "in_progress", &json!([]), &Value::Null);
    let place = |mut event: Value| {
        add(&mut event, "item_id", item_id.as_str());
        add(&mut event, "output_index", 0);
        add(&mut event, "content_index", 0);
        event
    };
    let empty = json!({"id": item_id, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": empty}),
        place(json!({"type": "response.content_part.added", "part": part("")})),
    ];
    events.extend(pieces.iter().map(|piece| place(json!({"type": "response.output_text.delta", "delta": piece, "logprobs": []}))));
    let end = match completion.finish {
        Finish::Stop => "response.completed",
        Finish::Length => "response.incomplete",
    };
    events.extend([
        place(json!({"type": "response.output_text.done", "text": completion.content, "logprobs": []})),
        place(json!({"type": "response.content_part.done", "part": part(completion.content)})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item(completion)}),
        json!({"type": end, "response": finished(completion)}),
    ]);
    (0_u64..).zip(events).map(|(number, event)| write_event(number, event)).collect()
}

fn write_event(number: u64, mut event: Value) -> Bytes {
    add(&mut event, "sequence_number", number);
    write_typed_event(&event)
}

fn item_id(completion: &Completion<'_>) -> String {
    format!("msg_{}", completion.id.strip_prefix("resp_").unwrap_or(completion.id))
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn status(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "completed",
        Finish::Length => "incomplete",
    }
}

fn item(completion: &Completion<'_>) -> Value {
    json!({
        "id": item_id(completion), "type": "message", "status": status(completion.finish), "role": "assistant",
        "content": [part(completion.content)],
    })
}

fn finished(completion: &Completion<'_>) -> Value {
    let output = json!([item(completion)]);
    response(completion, status(completion.finish), &output, &usage(&completion.usage))
}

/// All members that the reference says are always there; SDKs do not ask before they read them.
fn response(completion: &Completion<'_>, status: &str, output: &Value, usage: &Value) -> Value {
    let details = if status == "incomplete" { json!({"reason": "max_output_tokens"}) } else { Value::Null };
    json!({
        "id": completion.id, "object": "response", "created_at": completion.created, "status": status, "model": completion.model,
        "output": output, "usage": usage, "error": null, "incomplete_details": details, "instructions": null, "metadata": {},
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": {"effort": null, "summary": null}, "store": false,
        "temperature": 1, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1, "truncation": "disabled",
    })
}

/// The counts of which the reference says that they are always there are 0 where they are not known.
fn usage(usage: &Usage) -> Value {
    let (input, output) = (usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0));
    json!({
        "input_tokens": input, "input_tokens_details": {"cached_tokens": usage.cached_input_tokens.unwrap_or(0)},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens.unwrap_or(0)},
        "total_tokens": usage.total_tokens.unwrap_or(input.saturating_add(output)),
    })
}
