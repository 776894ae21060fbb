//! Writing a whole answer.

use std::borrow::Cow;

use serde::Serialize;

use super::super::{
    OF_CALL,
    block::{BlockBody, InputBody},
    failure::{API_ERROR, ErrorBody},
    to_json,
};
use super::{
    consumption::ConsumptionBody,
    finish::{MALFORMED_CALL, finish_word},
};
use crate::{
    convert::{Answer, Choice, Part, Signature, Stamp},
    dialect::Dialect,
};

/// Writes an answer: the first, where there are several, for this dialect has one. One that ends in a malformed call is written as the
/// error that it is; the worker sends it with the status of a provider's failure.
pub(crate) fn write_answer(answer: &Answer<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let none = Choice { parts: Vec::new(), finish: crate::convert::FinishReason::Other, stop_sequence: None, logprobs: None };
    let choice = answer.choices.first().unwrap_or(&none);
    let called = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let Some(stop_reason) = finish_word(choice.finish, called) else {
        return to_json(&ErrorBody::new(API_ERROR, MALFORMED_CALL));
    };
    to_json(&AnswerBody {
        id: &message_id(stamp.id),
        r#type: "message",
        role: "assistant",
        model: stamp.model,
        content: choice.parts.iter().flat_map(blocks).collect(),
        stop_reason,
        stop_sequence: choice.stop_sequence.as_deref(),
        usage: (&answer.usage.unwrap_or_default()).into(),
    })
}

/// The id as this dialect's ids look.
pub(in crate::dialect::anthropic_messages) fn message_id(id: &str) -> Cow<'_, str> {
    if id.starts_with("msg_") { Cow::Borrowed(id) } else { Cow::Owned(format!("msg_{id}")) }
}

/// The blocks of a part: one, none for an empty text, two for a call that is signed.
fn blocks<'a>(part: &'a Part<'_>) -> impl Iterator<Item = BlockBody<'a>> {
    let text = |text: &'a str| (!text.is_empty()).then_some(BlockBody::Text { text, cache_control: None });
    let (block, signature) = match part {
        Part::Text { text: said, .. } | Part::Refusal { text: said } => (text(said), None),
        Part::Thinking { text, signature: Some(signature) } => (Some(BlockBody::thought(text, signature)), None),
        Part::Thinking { text, signature: None } if text.is_empty() => (None, None),
        Part::Thinking { text, signature: None } => (Some(BlockBody::Thinking { thinking: text, signature: Cow::Borrowed("") }), None),
        Part::ToolCall(call) => {
            let block = BlockBody::ToolUse {
                id: Cow::Borrowed(&call.id),
                name: &call.name,
                input: InputBody::of(&call.arguments),
                cache_control: None,
            };
            (Some(block), call.signature.as_ref())
        }
        Part::Opaque { dialect: Dialect::AnthropicMessages, json } => (Some(BlockBody::Opaque(json)), None),
        Part::Opaque { .. } | Part::Image(_) | Part::Media(_) | Part::ToolResult(_) => (None, None),
    };
    let signed = signature.map(|signature| BlockBody::Thinking { thinking: "", signature: signature_of_call(signature).into() });
    block.into_iter().chain(signed)
}

/// How the signature of a call stands in a thinking block.
pub(in crate::dialect::anthropic_messages) fn signature_of_call(signature: &Signature<'_>) -> String {
    format!("{OF_CALL}{}", signature.written_in(Dialect::AnthropicMessages))
}

#[derive(Serialize)]
struct AnswerBody<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<BlockBody<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    usage: ConsumptionBody,
}
