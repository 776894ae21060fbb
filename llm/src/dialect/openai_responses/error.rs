//! An error in a stream of a response. (One of its own looks like chat's.)
//!
//! Two events, for two kinds of clients: `error`, which OpenAI's SDKs raise, with the members at its top as OpenAI documents them and in an
//! `error` as they are read; and `response.failed`, which coding agents wait for. Neither is the normal terminator.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    dialect::to_json,
    error::{ErrorCode, ErrorReply},
    stream::sse,
};

#[derive(Serialize)]
struct ErrorEvent<'a> {
    #[serde(rename = "type")]
    event: &'static str,
    sequence_number: u64,
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    error: &'a ErrorReply<'a>,
}

#[derive(Serialize)]
struct FailedEvent<'a> {
    #[serde(rename = "type")]
    event: &'static str,
    sequence_number: u64,
    response: FailedResponse<'a>,
}

#[derive(Serialize)]
struct FailedResponse<'a> {
    object: &'static str,
    status: &'static str,
    error: Failure<'a>,
    output: [(); 0],
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
}

/// `sequence` is the number of the first of the two.
pub(in crate::dialect) fn write_error_event(error: &ErrorReply<'_>, sequence: u64) -> Bytes {
    let message = error.message;
    // In events a code is a name.
    let code = match error.code {
        Some(ErrorCode::Name(name)) => name,
        Some(ErrorCode::Number(_)) | None => error.kind,
    };
    let raised = ErrorEvent { event: "error", sequence_number: sequence, code, message, param: error.param, error };
    let response = FailedResponse { object: "response", status: "failed", error: Failure { code, message }, output: [] };
    let failed = FailedEvent { event: "response.failed", sequence_number: sequence.saturating_add(1), response };
    let events = [sse::write_named(raised.event, &to_json(&raised)), sse::write_named(failed.event, &to_json(&failed))];
    Bytes::from(events.concat())
}
