//! OpenAI's `POST /v1/responses`.

use super::{EVENTS, named, piece};

/// Events of a stream that are no text: four before it and four behind.
const AROUND: usize = 8;
const ITEM: &str = r#""item_id":"msg_68f0c2","output_index":0,"content_index":0"#;

pub(super) fn request(model: &str, streamed: bool, texts: &[String]) -> String {
    let stream = if streamed { r#""stream":true,"# } else { "" };
    let (system, rest) = texts.split_first().map_or(("", texts), |(system, rest)| (system.as_str(), rest));
    let turns: Vec<String> = rest.iter().map(|text| format!(r#"{{"role":"user","content":"{text}"}}"#)).collect();
    format!(
        r#"{{"model":"{model}",{stream}"max_output_tokens":256,"temperature":0.7,"instructions":"{system}","input":[{}]}}"#,
        turns.join(",")
    )
}

pub(super) fn answer(text: &str) -> String {
    response("completed", &item("completed", &part(text)), true)
}

/// Created, in progress, item, part, fifteen pieces of text, the ends of text, part and item, completed.
pub(super) fn events() -> Vec<String> {
    let (begun, empty) = (response("in_progress", "", false), part(""));
    let pieces = EVENTS - AROUND;
    let text: String = (0..pieces).map(piece).collect();
    let (whole, done) = (part(&text), item("completed", &part(&text)));
    let mut events = vec![
        ("response.created", format!(r#""response":{begun}"#)),
        ("response.in_progress", format!(r#""response":{begun}"#)),
        ("response.output_item.added", format!(r#""output_index":0,"item":{}"#, item("in_progress", ""))),
        ("response.content_part.added", format!(r#"{ITEM},"part":{empty}"#)),
    ];
    let delta = |number| ("response.output_text.delta", format!(r#"{ITEM},"delta":"{}","logprobs":[]"#, piece(number)));
    events.extend((0..pieces).map(delta));
    events.extend([
        ("response.output_text.done", format!(r#"{ITEM},"text":"{text}","logprobs":[]"#)),
        ("response.content_part.done", format!(r#"{ITEM},"part":{whole}"#)),
        ("response.output_item.done", format!(r#""output_index":0,"item":{done}"#)),
        ("response.completed", format!(r#""response":{}"#, response("completed", &done, true))),
    ]);
    let numbered = |(number, (name, members)): (usize, (&str, String))| named(name, &format!(r#","sequence_number":{number},{members}"#));
    events.into_iter().enumerate().map(numbered).collect()
}

fn response(status: &str, output: &str, used: bool) -> String {
    let usage = if used {
        r#"{"input_tokens":210,"input_tokens_details":{"cached_tokens":0},"output_tokens":96,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":306}"#
    } else {
        "null"
    };
    format!(
        r#"{{"id":"resp_68f0c2","object":"response","created_at":1795000000,"status":"{status}","error":null,"incomplete_details":null,"model":"gpt-test","output":[{output}],"parallel_tool_calls":true,"temperature":0.7,"tool_choice":"auto","tools":[],"usage":{usage}}}"#
    )
}

fn item(status: &str, content: &str) -> String {
    format!(r#"{{"id":"msg_68f0c2","type":"message","status":"{status}","role":"assistant","content":[{content}]}}"#)
}

fn part(text: &str) -> String {
    format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#)
}
