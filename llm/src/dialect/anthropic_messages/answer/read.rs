//! Reading a whole answer.

use super::super::block::{Others, read_content};
use super::{consumption::Consumption, finish::read_finish};
use crate::convert::{Answer, Choice, FinishReason, Members, ReadAnswerError};

/// Reads an answer. Members of blocks that have no place in the middle (citations) are left out.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, ReadAnswerError> {
    let mut members = Members::read("", body)?;
    let content = members.take("content").ok_or_else(|| members.wrong("content", "an array of blocks"))?;
    let parts = read_content("content", content, &mut Others::new())?;
    let usage = match members.object("usage")? {
        Some(report) => {
            let mut consumption = Consumption::default();
            consumption.read(report)?;
            Some(consumption.usage())
        }
        None => None,
    };
    let finish = members.text("stop_reason")?.as_deref().map_or(FinishReason::Other, read_finish);
    Ok(Answer {
        id: members.text("id")?.unwrap_or_default(),
        created: None,
        model: members.text("model")?.unwrap_or_default(),
        choices: vec![Choice { parts, finish, stop_sequence: members.text("stop_sequence")?, logprobs: None }],
        usage,
    })
}
