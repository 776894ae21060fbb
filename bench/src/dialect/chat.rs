//! OpenAI's `POST /v1/chat/completions`.

use super::{EVENTS, event, piece};

const USAGE: &str = r#"{"prompt_tokens":210,"completion_tokens":96,"total_tokens":306,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;

pub(super) fn request(model: &str, streamed: bool, texts: &[String]) -> String {
    let stream = if streamed { r#""stream":true,"stream_options":{"include_usage":true},"# } else { "" };
    let turns: Vec<String> = texts.iter().enumerate().map(|(number, text)| turn(number, &format!("\"{text}\""))).collect();
    format!(r#"{{"model":"{model}",{stream}"max_tokens":256,"temperature":0.7,"messages":[{}]}}"#, turns.join(","))
}

pub(super) fn request_with_pictures(model: &str, text: &str, picture: &str) -> String {
    let shown = format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}"#);
    let content = format!(r#"[{{"type":"text","text":"{text}"}},{shown},{shown}]"#);
    let turns = [turn(0, r#""You compare invoices.""#), turn(1, &content)];
    format!(r#"{{"model":"{model}","max_tokens":256,"temperature":0.7,"messages":[{}]}}"#, turns.join(","))
}

fn turn(number: usize, content: &str) -> String {
    let role = match number {
        0 => "system",
        odd if odd % 2 == 1 => "user",
        _ => "assistant",
    };
    format!(r#"{{"role":"{role}","content":{content}}}"#)
}

pub(super) fn answer(text: &str) -> String {
    let before = r#"{"id":"chatcmpl-CeV5ohuvTmlHp0Qx3nY7dW","object":"chat.completion","created":1795000000,"model":"gpt-test","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let after = r#"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":"#;
    format!(r#"{before}{text}{after}{USAGE},"service_tier":"default","system_fingerprint":"fp_4c2851f862"}}"#)
}

/// A role, twenty pieces of text, the usage, `[DONE]`.
pub(super) fn events() -> Vec<String> {
    let mut events: Vec<String> = (0..EVENTS - 2).map(text_event).collect();
    events.push(chunk(&format!(r#""choices":[],"usage":{USAGE}"#)));
    events.push(event("[DONE]"));
    events
}

fn text_event(number: usize) -> String {
    let delta = if number == 0 {
        r#""role":"assistant","content":"","refusal":null"#.to_owned()
    } else {
        format!(r#""content":"{}""#, piece(number))
    };
    let finish = if number + 3 == EVENTS { r#""stop""# } else { "null" };
    chunk(&format!(r#""choices":[{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}],"usage":null"#))
}

fn chunk(rest: &str) -> String {
    event(&format!(
        r#"{{"id":"chatcmpl-CeV5ohuvTmlHp0Qx3nY7dW","object":"chat.completion.chunk","created":1795000000,"model":"gpt-test","system_fingerprint":"fp_4c2851f862",{rest}}}"#
    ))
}
