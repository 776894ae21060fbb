//! Vertex AI: Gemini's models and Anthropic's, each in its own dialect, below a project and its location.
//!
//! Leaves out: embeddings, whose dialect there is another one, and the models of other publishers.

use bytes::{BufMut as _, BytesMut};
use llm::dialect::Dialect;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::vendor::{Call, write_segment};

/// What `anthropic_version` has to say.
pub(super) const ANTHROPIC_VERSION: &str = "vertex-2023-10-16";

/// The dialect of `model`.
pub(super) fn spoken(model: &str) -> Dialect {
    if model.starts_with("claude") { Dialect::AnthropicMessages } else { Dialect::Gemini }
}

/// Writes the path below the location.
pub(super) fn write_path(dialect: Dialect, model: &str, call: Call, wire: &mut BytesMut) {
    let claude = dialect == Dialect::AnthropicMessages;
    wire.put_slice(if claude { b"/publishers/anthropic/models/" } else { b"/publishers/google/models/" });
    write_segment(model, wire);
    wire.put_slice(match (claude, call) {
        (true, Call::Streamed) => b":streamRawPredict",
        (true, _) => b":rawPredict",
        (false, Call::Streamed) => b":streamGenerateContent?alt=sse",
        (false, _) => b":generateContent",
    });
}

/// A refusal of Google's.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "error")]
    _refused: Status,
}

/// Nobody else's says a status.
#[derive(Deserialize)]
struct Status {
    #[serde(rename = "status")]
    _said: IgnoredAny,
}

/// Whether Google refuses, and not the publisher of the model.
pub(crate) fn refuses_itself(body: &[u8]) -> bool {
    // Where a stream was asked for it may come as a list of one.
    serde_json::from_slice::<Refusal>(body).is_ok() || serde_json::from_slice::<[Refusal; 1]>(body).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_whose_model_is_asked_for_what() {
        let path = |model: &str, call: Call| {
            let mut wire = BytesMut::new();
            write_path(spoken(model), model, call, &mut wire);
            String::from_utf8(wire.to_vec()).expect("text")
        };
        assert_eq!(path("gemini-3", Call::Whole), "/publishers/google/models/gemini-3:generateContent");
        assert_eq!(path("gemini-3", Call::Streamed), "/publishers/google/models/gemini-3:streamGenerateContent?alt=sse");
        assert_eq!(path("claude-x@1", Call::Whole), "/publishers/anthropic/models/claude-x%401:rawPredict");
        assert_eq!(path("claude-x@1", Call::Streamed), "/publishers/anthropic/models/claude-x%401:streamRawPredict");
    }

    #[test]
    fn googles_refusals_are_told_from_anthropics() {
        let googles = r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#;
        assert!(refuses_itself(googles.as_bytes()) && refuses_itself(format!("[{googles}]").as_bytes()));
        assert!(!refuses_itself(br#"{"type":"error","error":{"type":"permission_error","message":"no"}}"#));
    }
}
