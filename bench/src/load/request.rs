//! The bytes of a request, made once for a run: what an SDK would send, with nothing that differs between requests.

use super::Shape;

/// Body lengths the figures are quoted for.
const SHORT_BODY: usize = 1_024;
const LONG_BODY: usize = 32_600;
const LONG_MESSAGES: usize = 22;

const TEXT: &str = "Please look at the invoice of last month and tell me which of the lines changed against the one before, and why. ";

/// A whole request, head and body.
pub(crate) struct RequestText(Vec<u8>);

impl RequestText {
    pub(crate) fn new(shape: Shape, key: &str, model: &str) -> Self {
        let body = body(shape, model);
        Self::post("/v1/chat/completions", key, &body)
    }

    /// A POST of any JSON document.
    pub(crate) fn post(path: &str, key: &str, body: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\nuser-agent: modelux-bench/1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self([head.as_bytes(), body.as_bytes()].concat())
    }

    pub(crate) fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: modelux-bench/1\r\n\r\n").into_bytes())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn body(shape: Shape, model: &str) -> String {
    let (length, messages) = match shape {
        Shape::Short | Shape::Stream => (SHORT_BODY, 2),
        Shape::Long => (LONG_BODY, LONG_MESSAGES),
    };
    let stream = if shape == Shape::Stream { r#""stream":true,"stream_options":{"include_usage":true},"# } else { "" };
    let before = format!(r#"{{"model":"{model}",{stream}"max_tokens":256,"temperature":0.7,"messages":["#);
    let room = length.saturating_sub(before.len() + 2) / messages;
    let turns: Vec<String> = (0..messages).map(|number| turn(number, room)).collect();
    format!("{before}{}]}}", turns.join(","))
}

/// One message of `room` bytes, the comma behind it included.
fn turn(number: usize, room: usize) -> String {
    let role = match number {
        0 => "system",
        odd if odd % 2 == 1 => "user",
        _ => "assistant",
    };
    let frame = format!(r#"{{"role":"{role}","content":""}}"#).len() + 1;
    let content: String = TEXT.chars().cycle().take(room.saturating_sub(frame)).collect();
    format!(r#"{{"role":"{role}","content":"{content}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_length_the_figures_are_quoted_for() {
        for (shape, length) in [(Shape::Short, SHORT_BODY), (Shape::Long, LONG_BODY), (Shape::Stream, SHORT_BODY)] {
            let body = body(shape, "openai/gpt-test");
            assert!(length - body.len() < 32, "{shape:?}: {}", body.len());
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
    }
}
