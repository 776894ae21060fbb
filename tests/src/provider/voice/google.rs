//! Gemini's `generateContent`, whole and streamed. A call is never cut: each comes in an event of its own.

use serde_json::{Value, json};

use super::{Body, CONSUMED, event, pieces};
use crate::provider::script::{Asked, Said};

pub(super) fn generate(asked: &Asked, said: &Said) -> Body {
    let parts: Vec<Value> = match said {
        Said::Calls(calls) => calls.iter().map(|(name, arguments)| json!({"functionCall": {"name": name, "args": arguments}})).collect(),
        Said::Text(text) | Said::Unfinished(text) | Said::Error(_, text) if asked.stream => {
            pieces(text).iter().map(|piece| json!({"text": piece})).collect()
        }
        Said::Text(text) | Said::Unfinished(text) | Said::Error(_, text) => vec![json!({"text": text})],
    };
    if !asked.stream {
        return Body::Whole(content(asked, &parts, true));
    }
    let unfinished = matches!(said, Said::Unfinished(_));
    let last = parts.len().saturating_sub(1);
    let events =
        parts.iter().enumerate().map(|(number, part)| event(&content(asked, std::slice::from_ref(part), number == last && !unfinished)));
    let events = events.collect();
    if unfinished { Body::Unfinished(events) } else { Body::Events(events) }
}

fn content(asked: &Asked, parts: &[Value], last: bool) -> Value {
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
    let mut usage = json!({"promptTokenCount": CONSUMED.0, "totalTokenCount": CONSUMED.0});
    if last {
        candidate["finishReason"] = json!("STOP");
        usage["candidatesTokenCount"] = json!(CONSUMED.1);
        usage["totalTokenCount"] = json!(CONSUMED.0 + CONSUMED.1);
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": asked.model, "responseId": "resp-scripted"})
}
