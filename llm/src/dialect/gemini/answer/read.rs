//! Reading a whole reply.

use super::{
    super::content::{CallIds, Piece, PieceReader},
    Candidate, Response, read_finish, to_openai,
};
use crate::convert::{Answer, Choice, FinishReason, Part, ReadAnswerError};

/// Reads an answer. A prompt that was blocked is an answer that declines; a reply without any answer is one that ended for a reason we
/// have no word for.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, ReadAnswerError> {
    let Response { id, model, candidates, usage, blocked } = Response::read(body)?;
    let mut choices = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        choices.push(read_choice(candidate, &id)?);
    }
    if choices.is_empty() {
        let finish = if blocked.is_some() { FinishReason::Refusal } else { FinishReason::Other };
        let parts = blocked.map(|text| Part::Refusal { text }).into_iter().collect();
        choices.push(Choice { parts, finish, stop_sequence: None, logprobs: None });
    }
    Ok(Answer { id, created: None, model, choices, usage })
}

fn read_choice<'a>(candidate: Candidate<'a>, id: &str) -> Result<Choice<'a>, ReadAnswerError> {
    let mut reader = PieceReader { calls: CallIds::of_answer(id, 0), others: Vec::new() };
    let mut parts = Vec::new();
    if let Some(mut content) = candidate.content {
        for piece in reader.read_parts(&mut content)? {
            add(piece, &mut parts);
        }
    }
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    Ok(Choice {
        parts,
        finish: candidate.finish.map_or(FinishReason::Other, |name| read_finish(&name, called)),
        stop_sequence: None,
        logprobs: candidate.logprobs.and_then(to_openai),
    })
}

/// Adds a piece the way a stream adds up: texts that follow each other are one, thoughts until they are signed, and nothing is nothing.
fn add<'a>(piece: Piece<'a>, parts: &mut Vec<Part<'a>>) {
    match (piece, parts.last_mut()) {
        (Piece::Text(more), _) if more.is_empty() => {}
        (Piece::Thought(more, None), _) if more.is_empty() => {}
        (Piece::Text(more), Some(Part::Text { text, .. })) => text.to_mut().push_str(&more),
        (Piece::Thought(more, sign), Some(Part::Thinking { text, signature: signature @ None })) => {
            text.to_mut().push_str(&more);
            *signature = sign;
        }
        (piece, _) => parts.push(piece.into_part()),
    }
}
