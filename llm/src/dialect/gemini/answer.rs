//! Replies: `GenerateContentResponse`, whole or as one event of a stream, and errors.

mod failure;
mod finish;
mod logprobs;
mod read;
mod response;
#[cfg(test)]
mod tests;
mod usage;
mod write;

pub(crate) use failure::read_error;
pub(super) use failure::write_failure;
pub(super) use finish::read_finish;
pub(super) use logprobs::{from_openai, to_openai};
pub(crate) use read::read_answer;
pub(super) use response::{Candidate, Response};
pub(super) use usage::UsageBody;
pub(crate) use write::write_answer;
pub(super) use write::{CandidateBody, ReplyBody};
