//! Reading a whole answer.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::REDACTED;
use crate::{
    convert::{Answer, Choice, FinishReason, Members, Part, ReadAnswerError, Signature, ToolCall},
    dialect::{
        Dialect,
        anthropic_messages::answer::{consumption::Consumption, finish::read_finish},
    },
    request::ReadRequestError,
    usage::Usage,
};

/// Reads an answer. It names neither itself nor its model.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer<'_>, ReadAnswerError> {
    let mut members = Members::read("", body)?;
    let mut output = members.object("output")?.ok_or_else(|| members.wrong("output", "an object"))?;
    let mut message = output.object("message")?.ok_or_else(|| output.wrong("message", "an object"))?;
    let blocks = message.array("content")?.unwrap_or_default();
    let parts = blocks.into_iter().map(read_block).collect::<Result<_, _>>()?;
    let finish = members.text("stopReason")?.as_deref().map_or(FinishReason::Other, read_reason);
    let usage = members.object("usage")?.map(read_usage).transpose()?;
    let stop_sequence = read_stop_sequence(&mut members)?;
    Ok(Answer {
        id: "".into(),
        created: None,
        model: "".into(),
        choices: vec![Choice { parts, finish, stop_sequence, logprobs: None }],
        usage,
    })
}

fn read_block(json: &RawValue) -> Result<Part<'_>, ReadRequestError> {
    let mut block = Members::read("output.message.content", json.get().as_bytes())?;
    if let Some(text) = block.text("text")? {
        return Ok(Part::Text { text, cache: None });
    }
    if let Some(mut call) = block.object("toolUse")? {
        let arguments = call.take("input").map_or("{}", RawValue::get).into();
        let (id, name) = (call.required_text("toolUseId")?, call.required_text("name")?);
        return Ok(Part::ToolCall(ToolCall { id, name, arguments, signature: None, cache: None }));
    }
    if let Some(mut reasoning) = block.object("reasoningContent")? {
        if let Some(mut thought) = reasoning.object("reasoningText")? {
            let signature = thought.text("signature")?.filter(|signature| !signature.is_empty()).map(signature);
            return Ok(Part::Thinking { text: thought.required_text("text")?, signature });
        }
        if let Some(data) = reasoning.text("redactedContent")? {
            return Ok(Part::Thinking { text: "".into(), signature: Some(redacted(&data)) });
        }
    }
    if let Some(mut cited) = block.object("citationsContent")? {
        return Ok(Part::Text { text: cited_text(&mut cited)?.into(), cache: None });
    }
    Ok(Part::Opaque { dialect: Dialect::BedrockConverse, json: Cow::Borrowed(json) })
}

/// Text that cites comes in pieces; the citations have no place in the middle.
fn cited_text(cited: &mut Members<'_>) -> Result<String, ReadRequestError> {
    let mut whole = String::new();
    for piece in cited.array("content")?.unwrap_or_default() {
        let mut piece = Members::read("output.message.content.citationsContent.content", piece.get().as_bytes())?;
        whole.push_str(&piece.text("text")?.unwrap_or_default());
    }
    Ok(whole)
}

pub(super) fn signature(value: Cow<'_, str>) -> Signature<'_> {
    Signature { origin: Dialect::BedrockConverse, value }
}

pub(super) fn redacted(data: &str) -> Signature<'static> {
    signature(format!("{REDACTED}{data}").into())
}

/// Reads `stopReason`: Anthropic's words, and a few more.
pub(super) fn read_reason(word: &str) -> FinishReason {
    match word {
        "guardrail_intervened" | "content_filtered" => FinishReason::Refusal,
        "malformed_tool_use" | "malformed_model_output" => FinishReason::MalformedCall,
        known => read_finish(known),
    }
}

/// Input excludes the cache, as Anthropic's does. Whether the total does has not always been the same; where it contradicts the sum
/// it is left out rather than taken for a mismatch.
pub(super) fn read_usage(mut report: Members<'_>) -> Result<Usage, ReadRequestError> {
    let consumption = Consumption {
        uncached: report.count("inputTokens")?,
        cache_read: report.count("cacheReadInputTokens")?,
        cache_write: report.count("cacheWriteInputTokens")?,
        output: report.count("outputTokens")?,
        thinking: None,
    };
    let usage = consumption.usage();
    let sum = usage.input_tokens.zip(usage.output_tokens).map(|(input, output)| input.saturating_add(output));
    let total = report.count("totalTokens")?.map(u64::from);
    Ok(Usage { total_tokens: total.filter(|total| sum.is_none_or(|sum| sum == *total)), ..usage })
}

/// The stop text, which Claude says where it was asked for.
pub(super) fn read_stop_sequence<'a>(members: &mut Members<'a>) -> Result<Option<Cow<'a, str>>, ReadRequestError> {
    members.object("additionalModelResponseFields")?.map_or(Ok(None), |mut fields| fields.text("stop_sequence"))
}
