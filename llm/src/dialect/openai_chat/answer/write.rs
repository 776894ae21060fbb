//! Writing an answer.

use std::borrow::Cow;

use super::super::{conversation::SIGNATURE_PATH, write::UsageBody};
use crate::{
    convert::{
        Answer, Choice, FinishReason, Part, Signature, Stamp, ToolCall,
        writing::{self, Array, Object},
    },
    dialect::Dialect,
};

/// Writes a whole completion.
///
/// Thoughts go into `reasoning_content`, as the many reasoning servers have it. Where one is signed, all stand in
/// `reasoning_details` besides, from where they are read again when the caller sends the message back.
pub(crate) fn write_answer(answer: &Answer<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member("id", &*chat_id(stamp.id)).member("object", "chat.completion").member("created", stamp.created);
        body.member("model", stamp.model).array("choices", |choices| {
            for (index, choice) in answer.choices.iter().enumerate() {
                choices.object(|item| write_choice(index, choice, item));
            }
        });
        body.optional("usage", answer.usage.as_ref().map(UsageBody::with_total));
    });
    out
}

/// Clients tell a completion by its prefix.
pub(in crate::dialect::openai_chat) fn chat_id(id: &str) -> Cow<'_, str> {
    if id.starts_with("chatcmpl-") { Cow::Borrowed(id) } else { Cow::Owned(format!("chatcmpl-{id}")) }
}

fn write_choice(index: usize, choice: &Choice<'_>, item: &mut Object<'_>) {
    let refused = choice.parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    item.member("index", index).object("message", |message| write_message(&choice.parts, message));
    item.member("logprobs", choice.logprobs.as_ref()).member("finish_reason", finish_name(choice.finish, refused));
    item.optional("stop_reason", choice.stop_sequence.as_deref());
}

fn write_message(parts: &[Part<'_>], message: &mut Object<'_>) {
    message.member("role", "assistant");
    let content = joined(parts, |part| if let Part::Text { text, .. } = part { Some(text) } else { None });
    let refusal = joined(parts, |part| if let Part::Refusal { text } = part { Some(text) } else { None });
    message.member("content", content.as_deref()).member("refusal", refusal.as_deref());
    let thoughts = joined(parts, |part| if let Part::Thinking { text, .. } = part { Some(text) } else { None });
    message.optional("reasoning_content", thoughts.as_deref().filter(|text| !text.is_empty()));
    if parts.iter().any(|part| matches!(part, Part::Thinking { signature: Some(_), .. })) {
        message.array("reasoning_details", |details| {
            let thoughts =
                parts.iter().filter_map(|part| if let Part::Thinking { text, signature } = part { Some((text, signature)) } else { None });
            for (index, (text, signature)) in thoughts.enumerate() {
                write_thought(index, text, signature.as_ref(), details);
            }
        });
    }
    let calls: Vec<&ToolCall<'_>> =
        parts.iter().filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None }).collect();
    if !calls.is_empty() {
        message.array("tool_calls", |list| calls.iter().for_each(|call| write_call(call, list)));
    }
}

/// The texts of these parts in one; `None` where there are none.
fn joined<'p>(parts: &'p [Part<'_>], text: impl Fn(&'p Part<'_>) -> Option<&'p Cow<'p, str>>) -> Option<Cow<'p, str>> {
    let mut texts = parts.iter().filter_map(text);
    let first = Cow::Borrowed(&**texts.next()?);
    Some(texts.fold(first, |all, text| all + &**text))
}

/// Writes a thought into `reasoning_details`: in words, or encrypted where only the signature is given.
pub(in crate::dialect::openai_chat) fn write_thought(index: usize, text: &str, signature: Option<&Signature<'_>>, details: &mut Array<'_>) {
    let signature = signature.map(|signature| signature.written_in(Dialect::OpenAiChat));
    details.object(|detail| {
        if text.is_empty() {
            detail.member("type", "reasoning.encrypted").optional("data", signature);
        } else {
            detail.member("type", "reasoning.text").member("text", text).optional("signature", signature);
        }
        detail.member("index", index);
    });
}

fn write_call(call: &ToolCall<'_>, list: &mut Array<'_>) {
    // Clients parse the arguments whenever there is a call, and nothing is no JSON.
    let arguments = if call.arguments.is_empty() { "{}" } else { &*call.arguments };
    list.object(|item| {
        item.member("id", &*call.id).member("type", "function").object("function", |function| {
            function.member("name", &*call.name).member("arguments", arguments);
        });
        if let Some(signature) = &call.signature {
            let [outer, inner, name] = SIGNATURE_PATH;
            item.object(outer, |extra| {
                extra.object(inner, |google| {
                    google.member(name, &*signature.written_in(Dialect::OpenAiChat));
                });
            });
        }
    });
}

/// The word for why an answer ended. A model that refused in words has stopped; what there is no word for must not look like that.
pub(in crate::dialect::openai_chat) fn finish_name(finish: FinishReason, refused: bool) -> &'static str {
    match finish {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::Pause => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Refusal if refused => "stop",
        FinishReason::Refusal | FinishReason::MalformedCall | FinishReason::Other => "content_filter",
    }
}
