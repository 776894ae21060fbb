//! Errors towards the caller, in the caller's dialect: a typed form here, written by [`crate::dialect::Dialect`].
//!
//! Leaves out: which error it is and what it says. That is the worker's respond stage; it also sees to it that nothing internal is
//! in the message.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{Cursor, Kind};

/// An error as all dialects can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ErrorReply<'a> {
    /// The HTTP status it goes out with, or would in a response of its own. Dialects name their classes by it.
    #[serde(skip)]
    pub status: u16,
    /// What happened and what to do, for a person.
    pub message: &'a str,
    /// The class of error, such as `invalid_request_error` or `budget_exceeded`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The exact error; written as `null` if there is none.
    pub code: Option<ErrorCode<'a>>,
    /// The member of the request that is to blame; written as `null` if it is none.
    pub param: Option<&'a str>,
    /// The budget that blocks (contract 2.4); left out if it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetDetail<'a>>,
}

/// The exact error: OpenAI's codes are names, our 402 is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ErrorCode<'a> {
    /// A name.
    Name(&'a str),
    /// A number.
    Number(u16),
}

/// The budget that blocks. Amounts are decimal numerals in USD and are written as JSON numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BudgetDetail<'a> {
    /// Name of the budget.
    pub name: &'a str,
    /// Settled and reserved.
    #[serde(serialize_with = "write_numeral")]
    pub spend_usd: &'a str,
    /// The cap.
    #[serde(serialize_with = "write_numeral")]
    pub cap_usd: &'a str,
    /// `daily`, `weekly`, …
    pub period: &'a str,
    /// When the period ends, RFC 3339.
    pub period_resets_at: &'a str,
}

/// The status that an error of this kind has as a response of its own: the kinds of OpenAI, Anthropic, Google and Amazon (capitalised in
/// answers, not in streams), or a status in digits. What is not known is the provider's fault.
#[must_use]
pub fn status_of(kind: &str) -> u16 {
    if let Some(status) = kind.parse().ok().filter(|status| (400..600).contains(status)) {
        return status;
    }
    match kind {
        "invalid_request_error" | "invalid_request" | "invalid_prompt" | "BadRequestError" | "INVALID_ARGUMENT" | "FAILED_PRECONDITION" => {
            400
        }
        "validationException" | "ValidationException" => 400,
        "authentication_error" | "invalid_api_key" | "UNAUTHENTICATED" => 401,
        "billing_error" => 402,
        "permission_error" | "PERMISSION_DENIED" | "accessDeniedException" | "AccessDeniedException" => 403,
        "not_found_error" | "NOT_FOUND" | "resourceNotFoundException" | "ResourceNotFoundException" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "requests" | "tokens" | "RESOURCE_EXHAUSTED" => 429,
        "throttlingException" | "ThrottlingException" => 429,
        "UNAVAILABLE" | "serviceUnavailableException" | "ServiceUnavailableException" | "modelNotReadyException" => 503,
        "timeout_error" | "timeout" | "DEADLINE_EXCEEDED" | "modelTimeoutException" | "ModelTimeoutException" => 504,
        "overloaded_error" | "overloaded" => 529,
        _ => 500,
    }
}

/// A decimal numeral goes out digit by digit as it is, never through a float; what is no numeral goes out as text.
fn write_numeral<S: Serializer>(numeral: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut cursor = Cursor::new(numeral.as_bytes());
    let is_number = cursor.value().is_ok_and(|value| value.kind() == Kind::Number) && cursor.end().is_ok();
    match RawValue::from_string(numeral.to_owned()) {
        Ok(raw) if is_number => raw.serialize(serializer),
        _ => serializer.serialize_str(numeral),
    }
}
