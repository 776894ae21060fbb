//! Writing a reply.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    super::content::{ContentBody, PartBody, call_part, write_signature},
    finish::finish_name,
    from_openai,
    usage::UsageBody,
};
use crate::{
    convert::{Answer, Choice, FinishReason, Image, ImageSource, Media, Part, Stamp},
    dialect::Dialect,
};

/// A reply, whole or one event of a stream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect::gemini) struct ReplyBody<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::dialect::gemini) candidates: Vec<CandidateBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) usage_metadata: Option<UsageBody>,
    pub(in crate::dialect::gemini) model_version: &'a str,
    pub(in crate::dialect::gemini) response_id: &'a str,
}

/// One of the answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect::gemini) struct CandidateBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'static str>,
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs_result: Option<Box<RawValue>>,
}

impl<'a> CandidateBody<'a> {
    /// Something said.
    pub(in crate::dialect::gemini) fn said(index: u32, parts: Vec<PartBody<'a>>) -> Self {
        let content = Some(ContentBody { role: Some("model"), parts });
        Self { content, finish_reason: None, index, logprobs_result: None }
    }

    /// Its end. There are clients that look for a text in every event.
    pub(in crate::dialect::gemini) fn finished(index: u32, reason: FinishReason) -> Self {
        Self { finish_reason: Some(finish_name(reason)), ..Self::said(index, vec![PartBody::text("")]) }
    }

    /// Log probabilities in OpenAI's shape.
    pub(in crate::dialect::gemini) fn weighed(index: u32, logprobs: &RawValue) -> Self {
        Self { content: None, finish_reason: None, index, logprobs_result: from_openai(logprobs) }
    }
}

impl ReplyBody<'_> {
    /// As JSON.
    pub(in crate::dialect::gemini) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Writes an answer.
pub(crate) fn write_answer(answer: &Answer<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let choices = (0_u32..).zip(&answer.choices);
    let body = ReplyBody {
        candidates: choices.map(|(index, choice)| candidate(index, choice)).collect(),
        usage_metadata: answer.usage.as_ref().map(UsageBody::from),
        model_version: stamp.model,
        response_id: stamp.id,
    };
    body.to_json()
}

fn candidate<'a>(index: u32, choice: &'a Choice<'_>) -> CandidateBody<'a> {
    CandidateBody {
        finish_reason: Some(finish_name(choice.finish)),
        logprobs_result: choice.logprobs.as_ref().and_then(|logprobs| from_openai(logprobs)),
        ..CandidateBody::said(index, choice.parts.iter().filter_map(part).collect())
    }
}

/// A part as the caller sees it; what only a third dialect knows can't be shown.
fn part<'a>(part: &'a Part<'_>) -> Option<PartBody<'a>> {
    match part {
        Part::Text { text, .. } | Part::Refusal { text } => Some(PartBody::text(&**text)),
        Part::Thinking { text, signature } => Some(PartBody::thought(&**text, signature.as_ref().map(write_signature))),
        Part::ToolCall(call) => Some(call_part(call)),
        Part::Image(Image { source, .. }) | Part::Media(Media { source, .. }) => match source {
            ImageSource::Inline { media_type, data } => Some(PartBody::blob(media_type, data)),
            ImageSource::Url(_) | ImageSource::File(_) => None,
        },
        Part::Opaque { dialect: Dialect::Gemini, json } => Some(PartBody::Opaque(json)),
        Part::Opaque { .. } | Part::ToolResult(_) => None,
    }
}
