//! Anthropic's `POST /v1/messages`.

use super::{EVENTS, named, piece};

/// Events of a stream that are no text: three before it and three behind.
const AROUND: usize = 6;
const USAGE: &str = r#""input_tokens":210,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"service_tier":"standard""#;

pub(super) fn request(model: &str, streamed: bool, texts: &[String]) -> String {
    let stream = if streamed { r#""stream":true,"# } else { "" };
    let (system, rest) = texts.split_first().map_or(("", texts), |(system, rest)| (system.as_str(), rest));
    let turns: Vec<String> = rest.iter().map(|text| format!(r#"{{"role":"user","content":"{text}"}}"#)).collect();
    format!(r#"{{"model":"{model}",{stream}"max_tokens":256,"temperature":0.7,"system":"{system}","messages":[{}]}}"#, turns.join(","))
}

pub(super) fn answer(text: &str) -> String {
    let before = r#"{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-test","content":[{"type":"text","text":""#;
    format!(r#"{before}{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{{USAGE},"output_tokens":96}}}}"#)
}

/// Beginning, block, ping, seventeen pieces of text, the block's end, reason and usage, end.
pub(super) fn events() -> Vec<String> {
    let message = format!(
        r#","message":{{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-test","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{{USAGE},"output_tokens":1}}}}"#
    );
    let mut events = vec![
        named("message_start", &message),
        named("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#),
        named("ping", ""),
    ];
    let delta = |number| format!(r#","index":0,"delta":{{"type":"text_delta","text":"{}"}}"#, piece(number));
    events.extend((0..EVENTS - AROUND).map(|number| named("content_block_delta", &delta(number))));
    events.push(named("content_block_stop", r#","index":0"#));
    events.push(named("message_delta", r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":96}"#));
    events.push(named("message_stop", ""));
    events
}
