//! Counting the tokens of a request before it is sent: `POST /v1/messages/count_tokens`.
//!
//! The request is a conversation without what only concerns the answer; [`super::conversation::read_conversation`] reads it.

use serde::Serialize;

use super::to_json;
use crate::convert::{Members, ReadAnswerError};

pub(crate) use super::conversation::write_count_request;

/// Reads how many tokens a request has.
pub(crate) fn read_count(body: &[u8]) -> Result<u32, ReadAnswerError> {
    let mut members = Members::read("", body)?;
    let tokens = members.count("input_tokens")?;
    Ok(tokens.ok_or_else(|| members.wrong("input_tokens", "a whole number"))?)
}

/// Writes how many tokens a request has.
pub(crate) fn write_count(tokens: u32) -> Vec<u8> {
    to_json(&CountBody { input_tokens: tokens })
}

#[derive(Serialize)]
struct CountBody {
    input_tokens: u32,
}
