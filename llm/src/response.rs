//! Replies of our own: the typed completion and the embeddings that the simulated provider makes, and additions to replies that pass
//! through.
//!
//! Leaves out: how a dialect writes it; that is the dialect's.

mod embedding;
mod model;

pub use embedding::{EmbeddingRequest, Embeddings};
pub(crate) use model::read_model;

use bytes::{Bytes, BytesMut};

use crate::{
    dialect::Dialect,
    json::{Cursor, SyntaxError},
    splice::Edits,
    usage::{ReadUsageError, Usage},
};

/// One completed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion<'a> {
    /// Id of the reply.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answered.
    pub model: &'a str,
    /// The text.
    pub content: &'a str,
    /// Why it ended.
    pub finish: Finish,
    /// What it consumed.
    pub usage: Usage,
}

/// Why an answer of our own ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// All was said.
    Stop,
    /// The limit of the output was reached.
    Length,
}

/// Adds a member to the end of a buffered JSON object, with all other bytes as they are. `value` must be JSON.
///
/// `None` if `body` is not an object by its first and last byte, which an error page of a proxy in between may be.
#[must_use]
pub fn add_member(body: &Bytes, name: &str, value: &[u8]) -> Option<Bytes> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let inside = body.trim_ascii_end().strip_suffix(b"}")?;
    let at = inside.len();
    let empty = inside.trim_ascii_end().last() == Some(&b'{');
    let mut member = BytesMut::with_capacity(value.len().saturating_add(name.len()).saturating_add(4));
    if !empty {
        member.extend_from_slice(b",");
    }
    member.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    member.extend_from_slice(b":");
    member.extend_from_slice(value);
    let mut edits = Edits::new(body.len());
    edits.insert(at, &member[..]);
    Some(edits.apply(body))
}

/// Whether `body`, a whole reply with a status of success, can be an answer at all: a JSON object, or with Gemini an array of them. `usage` is
/// what was read in it, and whoever read that has looked at all of the body, or at its end: nothing is read a second time here.
#[must_use]
pub fn is_answer(dialect: Dialect, body: &[u8], usage: &Result<Option<Usage>, ReadUsageError>) -> bool {
    let (begun, ended) = (body.trim_ascii_start().first(), body.trim_ascii_end().last());
    let framed = match (begun, ended) {
        (Some(b'{'), Some(b'}')) => true,
        (Some(b'['), Some(b']')) => dialect == Dialect::Gemini,
        _ => false,
    };
    framed && !matches!(usage, Err(ReadUsageError::Syntax(_)))
}

/// Whether `body`, a whole answer with a status of success, is all that the model had to say. Only responses can be something else: on their
/// way still, or failed.
#[must_use]
pub fn is_finished(dialect: Dialect, body: &[u8]) -> bool {
    dialect != Dialect::OpenAiResponses || has_ended(body).unwrap_or(false)
}

fn has_ended(body: &[u8]) -> Result<bool, SyntaxError> {
    let mut cursor = Cursor::new(body);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        if key.is_text("status") {
            return Ok(value.is_text("completed") || value.is_text("incomplete"));
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_is_under_way_or_has_failed_is_not_finished() {
        let of = |body: &str| is_finished(Dialect::OpenAiResponses, body.as_bytes());
        assert!(of(r#"{"id":"r","status":"completed"}"#) && of(r#"{"status":"incomplete","output":[]}"#));
        for body in [
            r#"{"status":"in_progress"}"#,
            r#"{"status":"failed"}"#,
            r#"{"status":"queued"}"#,
            r#"{"output":[{"status":"completed"}]}"#,
            "no JSON",
        ] {
            assert!(!of(body), "{body}");
        }
        assert!(is_finished(Dialect::OpenAiChat, br#"{"choices":[]}"#));
    }

    #[test]
    fn only_an_object_can_be_an_answer() {
        let of = |dialect: Dialect, body: &str| is_answer(dialect, body.as_bytes(), &dialect.read_usage(body.as_bytes()));
        for dialect in Dialect::ALL {
            for body in ["", " ", "<html>x</html>", "null", "7", "\"{}\"", r#"{"id":"x","choices":[{"ind"#, r#"{"a":}"#, "{}{}", "not {}"] {
                assert!(!of(dialect, body), "{dialect:?}: {body}");
            }
            for body in ["{}", "\n{\"a\": [1, {}]} \r\n", r#"{"usage":7}"#, r#"{"error":{"message":"m"}}"#] {
                assert!(of(dialect, body), "{dialect:?}: {body}");
            }
            assert_eq!(of(dialect, r#"[{"candidates":[]}]"#), dialect == Dialect::Gemini, "{dialect:?}");
        }
    }

    #[test]
    fn a_member_is_added_behind_the_last_one() {
        let body = Bytes::from_static(b"{ \"a\": {} }\n");
        assert_eq!(add_member(&body, "mlx:trace", b"[1]").unwrap(), "{ \"a\": {} ,\"mlx:trace\":[1]}\n");
        assert_eq!(add_member(&Bytes::from_static(b"{ }"), "x\"", b"1").unwrap(), "{ \"x\\\"\":1}");
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        for body in ["", "[1]", "<html>}", "{", "null"] {
            assert_eq!(add_member(&Bytes::from_static(body.as_bytes()), "a", b"1"), None, "{body}");
        }
    }
}
