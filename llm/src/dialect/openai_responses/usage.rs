//! The usage report: OpenAI's members by their newer names.

use crate::{
    json::Value,
    usage::{
        ReadUsageError, Usage,
        report::{count, each_member, find, read_members},
    },
};

pub(in crate::dialect) fn read_usage(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    find(reply, "usage")?.map_or(Ok(None), |report| from_value(&report))
}

pub(super) fn from_value(value: &Value<'_>) -> Result<Option<Usage>, ReadUsageError> {
    read_members(value, |usage, key, value| {
        match key {
            b"input_tokens" => usage.input_tokens = count("input_tokens", value)?,
            b"output_tokens" => usage.output_tokens = count("output_tokens", value)?,
            b"total_tokens" => usage.total_tokens = count("total_tokens", value)?,
            b"input_tokens_details" => each_member(&value, |key, value| {
                match key {
                    b"cached_tokens" => usage.cached_input_tokens = count("cached_tokens", value)?,
                    b"cache_write_tokens" => usage.cache_write_tokens = count("cache_write_tokens", value)?,
                    b"audio_tokens" => usage.input_audio_tokens = count("audio_tokens", value)?,
                    _ => {}
                }
                Ok(())
            })?,
            b"output_tokens_details" => each_member(&value, |key, value| {
                match key {
                    b"reasoning_tokens" => usage.reasoning_tokens = count("reasoning_tokens", value)?,
                    b"audio_tokens" => usage.output_audio_tokens = count("audio_tokens", value)?,
                    _ => {}
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })
}
