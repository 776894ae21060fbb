//! Errors: `{"error":{"code","message","status"}}`, in a list of one where a stream was asked for as a list.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::fields::Fields;

/// The kind and the message of an error reply; `None` where it is none. The kind is Google's status, or its number where there is none.
pub(crate) fn read_error(body: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let body: &RawValue = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice::<Vec<&RawValue>>(body).ok()?.into_iter().next()?,
        _ => serde_json::from_slice(body).ok()?,
    };
    let mut error = Fields::read("", body).ok()?.object("error").ok()??;
    let message = error.text("message").ok()??;
    let status = error.text("status").ok().flatten();
    let code = || error.number("code").ok().flatten().map(|code| Cow::Owned(code.get().to_owned()));
    Some((status.or_else(code).unwrap_or(Cow::Borrowed("UNKNOWN")), message))
}

#[derive(Serialize)]
struct FailureBody<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
}

/// Writes an error of this kind, in whichever dialect's words it is.
pub(in crate::dialect::gemini) fn write_failure(kind: &str, message: &str) -> Vec<u8> {
    let (code, status) = match kind {
        "invalid_request_error" | "INVALID_ARGUMENT" => (400, "INVALID_ARGUMENT"),
        "FAILED_PRECONDITION" => (400, "FAILED_PRECONDITION"),
        "authentication_error" | "UNAUTHENTICATED" => (401, "UNAUTHENTICATED"),
        "permission_error" | "PERMISSION_DENIED" => (403, "PERMISSION_DENIED"),
        "not_found_error" | "NOT_FOUND" => (404, "NOT_FOUND"),
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "RESOURCE_EXHAUSTED" => (429, "RESOURCE_EXHAUSTED"),
        "overloaded_error" | "UNAVAILABLE" => (503, "UNAVAILABLE"),
        "timeout_error" | "timeout" | "DEADLINE_EXCEEDED" => (504, "DEADLINE_EXCEEDED"),
        _ => (500, "INTERNAL"),
    };
    serde_json::to_vec(&FailureBody { error: ErrorBody { code, message, status } }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_by_status_alone_and_in_a_list() {
        for (body, expected) in [
            (r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#, Some("RESOURCE_EXHAUSTED: slow down")),
            (r#"[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]"#, Some("INVALID_ARGUMENT: bad")),
            (r#"{"error":{"code":500,"message":"oops"}}"#, Some("500: oops")),
            (r#"{"candidates":[]}"#, None),
            ("[]", None),
            ("<html>", None),
        ] {
            let read = read_error(body.as_bytes()).map(|(kind, message)| format!("{kind}: {message}"));
            assert_eq!(read.as_deref(), expected, "{body}");
        }
    }
}
