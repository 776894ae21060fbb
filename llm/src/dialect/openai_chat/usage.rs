//! The usage report: its members by all the names that are in use.

use crate::{
    json::Value,
    usage::{
        ReadUsageError, Usage,
        report::{count, each_member, find, read_members},
    },
};

/// Finds the usage report of a whole reply.
pub(in crate::dialect) fn read_usage(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    find(reply, "usage")?.map_or(Ok(None), |report| from_value(&report))
}

/// Reads a report; `null` is none. Members that are not known are passed over.
pub(super) fn from_value(value: &Value<'_>) -> Result<Option<Usage>, ReadUsageError> {
    let mut aliases = Aliases::default();
    let report = read_members(value, |usage, key, value| {
        match key {
            b"prompt_tokens" => usage.input_tokens = count("prompt_tokens", value)?,
            b"completion_tokens" => usage.output_tokens = count("completion_tokens", value)?,
            b"total_tokens" => usage.total_tokens = count("total_tokens", value)?,
            b"prompt_tokens_details" => read_input_details(value, usage, &mut aliases)?,
            b"completion_tokens_details" => read_output_details(value, usage)?,
            b"prompt_cache_hit_tokens" => aliases.cached = count("prompt_cache_hit_tokens", value)?.or(aliases.cached),
            b"cached_tokens" => aliases.cached = count("cached_tokens", value)?.or(aliases.cached),
            b"cache_read_input_tokens" => aliases.cached = count("cache_read_input_tokens", value)?.or(aliases.cached),
            b"cache_creation_input_tokens" => {
                aliases.written = count("cache_creation_input_tokens", value)?.or(aliases.written);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(report.map(|usage| Usage {
        cached_input_tokens: usage.cached_input_tokens.or(aliases.cached),
        cache_write_tokens: usage.cache_write_tokens.or(aliases.written),
        ..usage
    }))
}

/// Reads the report within Groq's `x_groq`.
pub(super) fn from_groqs(groqs: &Value<'_>) -> Result<Option<Usage>, ReadUsageError> {
    let mut report = None;
    each_member(groqs, |key, value| {
        if key == b"usage" {
            report = from_value(&value)?;
        }
        Ok(())
    })?;
    Ok(report)
}

/// Names that other servers use beside or in place of OpenAI's; these count only where OpenAI's own are absent.
#[derive(Default)]
struct Aliases {
    cached: Option<u64>,
    written: Option<u64>,
}

fn read_input_details(value: Value<'_>, usage: &mut Usage, aliases: &mut Aliases) -> Result<(), ReadUsageError> {
    each_member(&value, |key, value| {
        match key {
            b"cached_tokens" => usage.cached_input_tokens = count("cached_tokens", value)?,
            b"cache_write_tokens" => usage.cache_write_tokens = count("cache_write_tokens", value)?,
            b"cache_creation_tokens" => aliases.written = count("cache_creation_tokens", value)?.or(aliases.written),
            b"audio_tokens" => usage.input_audio_tokens = count("audio_tokens", value)?,
            _ => {}
        }
        Ok(())
    })
}

fn read_output_details(value: Value<'_>, usage: &mut Usage) -> Result<(), ReadUsageError> {
    each_member(&value, |key, value| {
        match key {
            b"reasoning_tokens" => usage.reasoning_tokens = count("reasoning_tokens", value)?,
            b"audio_tokens" => usage.output_audio_tokens = count("audio_tokens", value)?,
            _ => {}
        }
        Ok(())
    })
}
