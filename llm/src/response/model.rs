//! The model that answered, by the answer's own word: a server may serve `gpt-4o` with a dated snapshot of it, or with something else.

use std::borrow::Cow;

use crate::json::{Cursor, Kind};

/// The model of a reply, or of one event's data: `member` of it, or of its member `within`, as events hold whole replies. Nothing behind it
/// is read, so that the beginning of either is enough.
pub(crate) fn read_model<'a>(reply: &'a [u8], member: &str, within: &str) -> Option<Cow<'a, str>> {
    let mut cursor = Cursor::new(reply);
    let mut walk = cursor.begin_object().ok()?;
    while let Some(key) = cursor.next_key(&mut walk).ok()? {
        if key.is_text(within) && cursor.kind().ok()? == Kind::Object {
            let behind = reply.get(cursor.position()..)?;
            return read_model(behind, member, "");
        }
        let value = cursor.value().ok()?;
        if key.is_text(member) {
            return value.as_str().filter(|model| !model.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_from_the_beginning_of_a_reply() {
        for reply in [
            r#"{"id":"x","object":"chat.completion","model":"gpt-test-2026-01-01","choices":[{"message":{"content":"{\"model\":1}"}}]}"#,
            r#"{"choices":[{"model":"inside"}], "model" : "gpt-test-2026-01-01"}"#,
            r#"{"model":"gpt-test-2026-01-01","choices":[{"del"#,
            r#"{"type":"response.created","response":{"id":"resp_1","model":"gpt-test-2026-01-01","out"#,
        ] {
            assert_eq!(read_model(reply.as_bytes(), "model", "response").as_deref(), Some("gpt-test-2026-01-01"), "{reply}");
        }
    }

    #[test]
    fn a_reply_that_does_not_name_it_has_none() {
        for reply in ["", "[]", "{}", "<html>", r#"{"model":7}"#, r#"{"model":""}"#, r#"{"id":"x","mod"#] {
            assert_eq!(read_model(reply.as_bytes(), "model", "response"), None, "{reply}");
        }
    }
}
