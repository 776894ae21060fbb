//! Errors as Google's clients expect them: the HTTP status as a number and the canonical name of its class.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    dialect::to_json,
    error::{BudgetDetail, ErrorReply},
    stream::sse,
};

#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    /// Google has neither this nor what follows; clients pass over it, and it names our class of error.
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetDetail<'a>>,
}

pub(in crate::dialect) fn write_error(error: &ErrorReply<'_>) -> Bytes {
    // The number is the status here, and the exact name and the member have no place.
    let ErrorReply { status: code, message, kind, code: _, param: _, budget } = *error;
    to_json(&Body { error: Detail { code, message, status: status(code), kind, budget } })
}

pub(in crate::dialect) fn write_error_event(error: &ErrorReply<'_>) -> Bytes {
    sse::write_data(&write_error(error))
}

/// The canonical name. A budget that blocks is no exhausted quota: clients try those again.
fn status(code: u16) -> &'static str {
    match code {
        401 => "UNAUTHENTICATED",
        402 | 409 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        408 | 504 => "DEADLINE_EXCEEDED",
        502 | 503 => "UNAVAILABLE",
        400..500 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}
