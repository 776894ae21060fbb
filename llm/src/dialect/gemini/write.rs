//! Writing responses of our own, whole and streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    dialect::{add, to_json},
    response::{Completion, Finish},
    stream::sse,
    usage::Usage,
};

pub(in crate::dialect) fn write_completion(completion: &Completion<'_>) -> Bytes {
    to_json(&response(completion, completion.content, true))
}

/// A chunk for each piece; the last one says why it ended, and the usage.
pub(in crate::dialect) fn write_completion_events(completion: &Completion<'_>, pieces: &[&str]) -> Vec<Bytes> {
    let (last, before) = pieces.split_last().unwrap_or((&"", &[]));
    let chunk = |piece: &str, ends: bool| sse::write_data(&to_json(&response(completion, piece, ends)));
    before.iter().map(|piece| chunk(piece, false)).chain([chunk(last, true)]).collect()
}

fn response(completion: &Completion<'_>, text: &str, ends: bool) -> Value {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if ends {
        add(&mut candidate, "finishReason", reason(completion.finish));
    }
    let mut response = json!({"candidates": [candidate], "modelVersion": completion.model, "responseId": completion.id});
    if ends {
        add(&mut response, "usageMetadata", usage(&completion.usage));
    }
    response
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

/// What was thought stands beside the candidates; absent counts are left out.
fn usage(usage: &Usage) -> Value {
    let candidates = usage.output_tokens.map(|output| output.saturating_sub(usage.reasoning_tokens.unwrap_or(0)));
    let total = usage.total_tokens.or_else(|| Some(usage.input_tokens?.saturating_add(usage.output_tokens?)));
    let counts = [
        ("promptTokenCount", usage.input_tokens),
        ("cachedContentTokenCount", usage.cached_input_tokens),
        ("candidatesTokenCount", candidates),
        ("thoughtsTokenCount", usage.reasoning_tokens),
        ("totalTokenCount", total),
    ];
    counts.into_iter().filter_map(|(name, count)| Some((name.to_owned(), json!(count?)))).collect::<serde_json::Map<_, _>>().into()
}
