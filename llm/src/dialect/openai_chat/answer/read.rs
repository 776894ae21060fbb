//! Reading an answer.

use std::borrow::Cow;

use super::super::{conversation::read_assistant, usage};
use crate::{
    convert::{Answer, Choice, FinishReason, Members, Part, ReadAnswerError},
    json::Cursor,
    request::ReadRequestError,
};

/// Reads a whole completion.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, ReadAnswerError> {
    let mut body = Members::read("", body)?;
    let choices = body.array("choices")?.ok_or_else(|| body.wrong("choices", "an array"))?;
    let choices = choices.into_iter().enumerate().map(|(index, choice)| (format!("choices[{index}]"), choice.get().as_bytes()));
    Ok(Answer {
        choices: choices.map(|(path, choice)| read_choice(Members::read(&path, choice)?)).collect::<Result<_, _>>()?,
        id: body.text("id")?.unwrap_or_default(),
        created: body.take("created").and_then(|created| created.get().parse().ok()),
        model: body.text("model")?.unwrap_or_default(),
        // A report that can't be read is the meter's to complain of; the answer is good without.
        usage: body.take("usage").and_then(|report| usage::from_value(&Cursor::new(report.get().as_bytes()).value().ok()?).ok()?),
    })
}

fn read_choice(mut choice: Members<'_>) -> Result<Choice<'_>, ReadRequestError> {
    let mut message = choice.object("message")?.ok_or_else(|| choice.wrong("message", "an object"))?;
    let parts = read_assistant(&mut message)?;
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    let stop_sequence = read_stop_text(&mut choice);
    let name = choice.text("finish_reason")?.unwrap_or_default();
    Ok(Choice {
        finish: read_finish(&name, called, refused, stop_sequence.is_some()),
        parts,
        stop_sequence,
        logprobs: choice.take("logprobs").map(Cow::Borrowed),
    })
}

/// vLLM says in `stop_reason` which stop text it was; the ids of stop tokens, which stand there too, say nothing.
fn read_stop_text<'a>(choice: &mut Members<'a>) -> Option<Cow<'a, str>> {
    choice.take("stop_reason").and_then(crate::convert::text_of)
}

/// Why an answer ended. Servers differ in whether calls and refusals end in a word of their own, so what was said counts too.
pub(in crate::dialect::openai_chat) fn read_finish(name: &str, called: bool, refused: bool, stopped_by_text: bool) -> FinishReason {
    match name {
        "stop" | "eos" | "end_turn" if called => FinishReason::ToolCalls,
        "stop" | "eos" | "end_turn" if refused => FinishReason::Refusal,
        "stop" if stopped_by_text => FinishReason::StopSequence,
        "stop" | "eos" | "end_turn" => FinishReason::Stop,
        "length" | "model_length" | "max_tokens" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::Refusal,
        "malformed_function_call" => FinishReason::MalformedCall,
        _ => FinishReason::Other,
    }
}
