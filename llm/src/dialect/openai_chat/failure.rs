//! Reading an error of a server, for saying it in another dialect.

use std::borrow::Cow;

use crate::convert::{Members, text_of};

/// The kind and the message of an error reply; `None` where it is none in a known shape.
///
/// Known are OpenAI's `{"error":{"message","type","code"}}`, the same flat (older vLLM), `{"error":"…"}` (Ollama), and
/// `{"detail":"…"}` (what `FastAPI` says before the server gets to speak).
pub(crate) fn read_error(body: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let mut body = Members::read("", body).ok()?;
    if let Some(error) = body.take("error") {
        if let Some(message) = text_of(error) {
            return Some(("api_error".into(), message));
        }
        return read_members(Members::read("error", error.get().as_bytes()).ok()?);
    }
    if let Some(message) = body.take("detail").and_then(text_of) {
        return Some(("api_error".into(), message));
    }
    read_members(body)
}

fn read_members(mut error: Members<'_>) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let message = error.take("message").and_then(text_of)?;
    let kind = ["type", "code"].into_iter().find_map(|name| error.take(name).and_then(text_of));
    Some((kind.unwrap_or("api_error".into()), message))
}
