//! The usage report (`usageMetadata`): what was thought stands beside the candidates, what tools brought beside the prompt, the cached part inside
//! the prompt. Zeros are left out as Google's JSON does; the total tells them from what is not known.

use crate::{
    json::{Cursor, Kind, SyntaxError, Value},
    usage::{
        ReadUsageError, Usage,
        report::{count, each_member, find, read_members},
    },
};

/// Finds the report of a whole reply; of a stream that was asked for as one JSON array, that of its last element.
pub(in crate::dialect) fn read_usage(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    let start = reply.trim_ascii_start();
    let reply = if start.first() == Some(&b'[') { last_element(start)? } else { reply };
    let Some(report) = find(reply, "usageMetadata")? else { return Ok(None) };
    let usage = from_value(&report)?;
    // What is embedded has no output, which the report does not say.
    let embedded = matches!(usage, Some(Usage { output_tokens: None, total_tokens: None, .. }));
    let embedded = embedded && (find(reply, "embedding")?.is_some() || find(reply, "embeddings")?.is_some());
    Ok(usage.map(|usage| if embedded { Usage { total_tokens: usage.input_tokens, ..usage } } else { usage }))
}

/// Parts of the totals that have no place of their own in [`Usage`].
#[derive(Default)]
struct Parts {
    prompt: Option<u64>,
    tool_use: Option<u64>,
    candidates: Option<u64>,
}

pub(super) fn from_value(value: &Value<'_>) -> Result<Option<Usage>, ReadUsageError> {
    let mut parts = Parts::default();
    let stated = read_members(value, |usage, key, value| {
        match key {
            b"promptTokenCount" => parts.prompt = count("promptTokenCount", value)?,
            b"toolUsePromptTokenCount" => parts.tool_use = count("toolUsePromptTokenCount", value)?,
            b"cachedContentTokenCount" => usage.cached_input_tokens = count("cachedContentTokenCount", value)?,
            b"candidatesTokenCount" => parts.candidates = count("candidatesTokenCount", value)?,
            b"thoughtsTokenCount" => usage.reasoning_tokens = count("thoughtsTokenCount", value)?,
            b"totalTokenCount" => usage.total_tokens = count("totalTokenCount", value)?,
            b"promptTokensDetails" => usage.input_audio_tokens = audio(&value)?,
            b"candidatesTokensDetails" => usage.output_audio_tokens = audio(&value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(stated.map(|usage| parts.total(usage)))
}

impl Parts {
    fn total(&self, usage: Usage) -> Usage {
        let input_tokens = match (self.prompt, self.tool_use) {
            (None, None) => None,
            (prompt, tool_use) => Some(prompt.unwrap_or(0).saturating_add(tool_use.unwrap_or(0))),
        };
        let thoughts = usage.reasoning_tokens.unwrap_or(0);
        let output_tokens = match (self.candidates, usage.total_tokens) {
            (Some(candidates), _) => Some(candidates.saturating_add(thoughts)),
            // No candidates beside a total that the rest makes up are none.
            (None, Some(total)) if total == input_tokens.unwrap_or(0).saturating_add(thoughts) => Some(thoughts),
            (None, _) => None,
        };
        Usage { input_tokens, output_tokens, ..usage }
    }
}

/// Tokens of sound in a list by modality.
fn audio(details: &Value<'_>) -> Result<Option<u64>, ReadUsageError> {
    if details.kind() != Kind::Array {
        return Ok(None);
    }
    let mut sum = None;
    let mut cursor = Cursor::new(details.raw());
    let mut walk = cursor.begin_array()?;
    while cursor.next_element(&mut walk)? {
        let (mut is_audio, mut tokens) = (false, None);
        each_member(&cursor.value()?, |key, value| {
            match key {
                b"modality" => is_audio = value.is_text("AUDIO"),
                b"tokenCount" => tokens = count("tokenCount", value)?,
                _ => {}
            }
            Ok(())
        })?;
        if is_audio {
            sum = Some(sum.unwrap_or(0_u64).saturating_add(tokens.unwrap_or(0)));
        }
    }
    Ok(sum)
}

fn last_element(reply: &[u8]) -> Result<&[u8], SyntaxError> {
    let mut cursor = Cursor::new(reply);
    let mut walk = cursor.begin_array()?;
    let mut last = &b"{}"[..];
    while cursor.next_element(&mut walk)? {
        last = cursor.value()?.raw();
    }
    cursor.end()?;
    Ok(last)
}
