//! Errors as Anthropic's clients expect them: the class by the status, from the list that its SDKs know.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    dialect::to_json,
    error::{BudgetDetail, ErrorCode, ErrorReply},
    stream::sse,
};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    /// Anthropic has neither this nor what follows; clients pass over it, and it names the exact error.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<ErrorCode<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetDetail<'a>>,
}

pub(in crate::dialect) fn write_error(error: &ErrorReply<'_>) -> Bytes {
    let ErrorReply { status: _, message, kind: _, code, param, budget } = *error;
    to_json(&Body { kind: "error", error: Detail { kind: kind(error), message, code, param, budget } })
}

pub(in crate::dialect) fn write_error_event(error: &ErrorReply<'_>) -> Bytes {
    sse::write_named("error", &write_error(error))
}

/// The class. A budget that blocks keeps its own name in every dialect.
fn kind<'a>(error: &ErrorReply<'a>) -> &'a str {
    match error.status {
        _ if error.kind == "budget_exceeded" => error.kind,
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        408 | 504 => "timeout_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}
