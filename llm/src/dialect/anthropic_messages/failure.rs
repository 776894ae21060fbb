//! Errors: reading a provider's, and the class that this dialect's clients know.

use std::borrow::Cow;

use serde::Serialize;

use crate::convert::Members;

/// The class of an error that has no other.
pub(super) const API_ERROR: &str = "api_error";

/// Class and message of an error body, or of an error in a stream. `None` if it is none.
pub(crate) fn read_error(body: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let mut error = Members::read("", body).ok()?.object("error").ok()??;
    let message = error.text("message").ok()??;
    let kind = error.text("type").ok()?.unwrap_or(Cow::Borrowed(API_ERROR));
    Some((kind, message))
}

/// An error, as body or event.
#[derive(Serialize)]
pub(super) struct ErrorBody<'a> {
    r#type: &'static str,
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    r#type: &'a str,
    message: &'a str,
}

impl<'a> ErrorBody<'a> {
    /// Of this class, translated where it is another dialect's.
    pub(super) fn new(kind: &'a str, message: &'a str) -> Self {
        Self { r#type: "error", error: ErrorDetail { r#type: class(kind), message } }
    }
}

/// The class for a kind of error of whatever dialect. Clients decide by it whether to try again, so a class that they don't know
/// becomes [`API_ERROR`]. Table: those of this dialect, then OpenAI's, Google's and Amazon's (capitalised in answers, not in streams).
fn class(kind: &str) -> &str {
    match kind {
        "invalid_request_error"
        | "authentication_error"
        | "permission_error"
        | "not_found_error"
        | "request_too_large"
        | "rate_limit_error"
        | "timeout_error"
        | "api_error"
        | "overloaded_error"
        | "billing_error"
        | "budget_exceeded"
        | "policy_denied" => kind,
        "invalid_request"
        | "invalid_prompt"
        | "INVALID_ARGUMENT"
        | "FAILED_PRECONDITION"
        | "validationException"
        | "ValidationException" => "invalid_request_error",
        "UNAUTHENTICATED" | "invalid_api_key" => "authentication_error",
        "PERMISSION_DENIED" | "accessDeniedException" | "AccessDeniedException" => "permission_error",
        "NOT_FOUND" | "resourceNotFoundException" | "ResourceNotFoundException" => "not_found_error",
        "rate_limit_exceeded" | "requests" | "tokens" | "RESOURCE_EXHAUSTED" | "throttlingException" | "ThrottlingException" => {
            "rate_limit_error"
        }
        "DEADLINE_EXCEEDED" | "modelTimeoutException" | "ModelTimeoutException" | "timeout" => "timeout_error",
        "UNAVAILABLE"
        | "serviceUnavailableException"
        | "ServiceUnavailableException"
        | "modelNotReadyException"
        | "ModelNotReadyException"
        | "overloaded" => "overloaded_error",
        _ => API_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_and_message_are_read() {
        let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
        assert_eq!(read_error(body), Some(("overloaded_error".into(), "Overloaded".into())));
        assert_eq!(read_error(br#"{"error":{"message":"m"}}"#), Some((API_ERROR.into(), "m".into())));
        for none in ["", "[]", "<html>", r#"{"error":"text"}"#, r#"{"type":"message"}"#] {
            assert_eq!(read_error(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn foreign_classes_become_ones_that_clients_act_on() {
        for (kind, expected) in [
            ("overloaded_error", "overloaded_error"),
            ("rate_limit_exceeded", "rate_limit_error"),
            ("throttlingException", "rate_limit_error"),
            ("ValidationException", "invalid_request_error"),
            ("UNAVAILABLE", "overloaded_error"),
            ("server_error", "api_error"),
            ("", "api_error"),
        ] {
            assert_eq!(class(kind), expected, "{kind}");
        }
    }
}
