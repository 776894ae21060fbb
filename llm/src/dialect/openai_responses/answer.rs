//! Buffered answers to and from the typed form in the middle.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    item::Items,
    output::{self, CALL_SIGNATURE, Envelope, Status},
    report::Report,
};
use crate::{
    convert::{
        Answer, Choice, FinishReason, Json, Members, Part, ReadAnswerError, Stamp,
        writing::{self, Object},
    },
    dialect::Dialect,
};

/// Reads a whole response.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, ReadAnswerError> {
    let mut body = Members::read("", body)?;
    let mut items = Items::default();
    let output = body.array("output")?.ok_or_else(|| body.wrong("output", "an array"))?;
    output.into_iter().enumerate().try_for_each(|(index, item)| items.read(&format!("output[{index}]"), item))?;
    let parts: Vec<Part<'_>> = items.conversation.turns.into_iter().flat_map(|turn| turn.parts).collect();
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    let status = body.text("status")?.unwrap_or(Cow::Borrowed("completed"));
    let details = body.object("incomplete_details")?;
    let reason = details.map(|mut details| details.text("reason")).transpose()?.flatten();
    Ok(Answer {
        choices: vec![Choice {
            finish: read_finish(&status, reason.as_deref(), called, refused),
            parts,
            stop_sequence: None,
            logprobs: (!items.logprobs.is_empty()).then(|| content_of(&items.logprobs)).flatten(),
        }],
        id: body.text("id")?.unwrap_or_default(),
        // Some servers write it with a fraction.
        created: body.take("created_at").and_then(|created| created.get().split('.').next()?.parse().ok()),
        model: body.text("model")?.unwrap_or_default(),
        // A report that can't be read is the meter's to complain of; the answer is good without.
        usage: body.take("usage").and_then(|report| serde_json::from_str::<Report>(report.get()).ok()).map(|report| report.usage()),
    })
}

/// Why an answer ended.
pub(super) fn read_finish(status: &str, reason: Option<&str>, called: bool, refused: bool) -> FinishReason {
    match (status, reason) {
        ("completed", _) if called => FinishReason::ToolCalls,
        ("completed", _) if refused => FinishReason::Refusal,
        ("completed", _) => FinishReason::Stop,
        ("incomplete", Some("max_output_tokens")) => FinishReason::Length,
        ("incomplete", Some("content_filter")) => FinishReason::Refusal,
        _ => FinishReason::Other,
    }
}

/// Log probabilities as chat has them: `{"content":[…]}`.
pub(super) fn content_of<'a>(tokens: &[&RawValue]) -> Option<Json<'a>> {
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member("content", tokens);
    });
    Some(Cow::Owned(RawValue::from_string(String::from_utf8(out).ok()?).ok()?))
}

/// Writes a whole response. There is one choice in this dialect; it is the first.
pub(crate) fn write_answer(answer: &Answer<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let envelope = Envelope::new(stamp);
    let choice = answer.choices.first();
    let parts = choice.map(|choice| &*choice.parts).unwrap_or_default();
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    let status = choice.map_or(Status::Completed, |choice| Status::of(choice.finish, refused));
    let mut logprobs = choice.and_then(|choice| choice.logprobs.as_ref());
    let mut items: Vec<Vec<u8>> = Vec::with_capacity(parts.len());
    for part in parts {
        write_part(part, &envelope, status, &mut logprobs, &mut items);
    }
    let mut out = Vec::new();
    writing::object(&mut out, |body| envelope.write(status, &items, answer.usage.as_ref(), body));
    out
}

/// Writes a part as an item, and the signature of a call as one of its own. The first text takes all log probabilities.
fn write_part(part: &Part<'_>, envelope: &Envelope, status: Status<'_>, logprobs: &mut Option<&Json<'_>>, items: &mut Vec<Vec<u8>>) {
    let index = items.len();
    match part {
        Part::Text { text, .. } => {
            let logprobs: Vec<Json<'_>> = logprobs.take().cloned().into_iter().collect();
            let part = written(|part| output::write_text_part(text, &logprobs, part));
            items.push(written(|item| output::write_message(&envelope.item_id("msg", index), status, Some(&part), item)));
        }
        Part::Refusal { text } => {
            let part = written(|part| output::write_refusal_part(text, part));
            items.push(written(|item| output::write_message(&envelope.item_id("msg", index), status, Some(&part), item)));
        }
        Part::Thinking { text, signature } => {
            let encrypted = signature.as_ref().map(|signature| signature.written_in(Dialect::OpenAiResponses));
            items.push(written(|item| output::write_reasoning(Some(&envelope.item_id("rs", index)), text, encrypted.as_deref(), item)));
        }
        Part::ToolCall(call) => {
            let arguments = if call.arguments.is_empty() { "{}" } else { &*call.arguments };
            let id = envelope.item_id("fc", index);
            items.push(written(|item| output::write_call(&id, status, &call.id, &call.name, arguments, item)));
            if let Some(signature) = &call.signature {
                let encrypted = format!("{CALL_SIGNATURE}{}", signature.written_in(Dialect::OpenAiResponses));
                let id = envelope.item_id("rs", items.len());
                items.push(written(|item| output::write_reasoning(Some(&id), "", Some(&encrypted), item)));
            }
        }
        Part::Opaque { dialect: Dialect::OpenAiResponses, json } => items.push(json.get().as_bytes().to_vec()),
        // What a model says in none of these forms (a picture, another dialect's own) has no item here.
        Part::Opaque { .. } | Part::Image(_) | Part::Media(_) | Part::ToolResult(_) => {}
    }
}

fn written(write: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    writing::object(&mut out, write);
    out
}
