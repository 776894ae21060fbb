//! The usage report: its input is what was neither read from nor written to the cache, and what was written is told apart by how long
//! it is kept.

use crate::{
    json::Value,
    usage::{
        ReadUsageError, Usage,
        report::{Report, count, each_member, find, read_members},
    },
};

pub(in crate::dialect) fn read_usage(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    let stated = find(reply, "usage")?.map_or(Ok(None), |report| from_value(&report))?;
    Ok(stated.map(|stated| Report::parts(stated, true).usage()))
}

/// The figures as stated: the input is without the cache.
pub(super) fn from_value(value: &Value<'_>) -> Result<Option<Usage>, ReadUsageError> {
    let mut five_minutes = None;
    let stated = read_members(value, |usage, key, value| {
        match key {
            b"input_tokens" => usage.input_tokens = count("input_tokens", value)?,
            b"output_tokens" => usage.output_tokens = count("output_tokens", value)?,
            b"cache_read_input_tokens" => usage.cached_input_tokens = count("cache_read_input_tokens", value)?,
            b"cache_creation_input_tokens" => usage.cache_write_tokens = count("cache_creation_input_tokens", value)?,
            b"cache_creation" => each_member(&value, |key, value| {
                match key {
                    b"ephemeral_5m_input_tokens" => five_minutes = count("ephemeral_5m_input_tokens", value)?,
                    b"ephemeral_1h_input_tokens" => usage.cache_write_1h_tokens = count("ephemeral_1h_input_tokens", value)?,
                    _ => {}
                }
                Ok(())
            })?,
            b"output_tokens_details" => each_member(&value, |key, value| {
                if key == b"thinking_tokens" {
                    usage.reasoning_tokens = count("thinking_tokens", value)?;
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(stated.map(|usage| {
        // Servers that speak Anthropic's dialect may give the parts and not their sum.
        let parts = five_minutes.or(usage.cache_write_1h_tokens).map(|_| {
            let hour = usage.cache_write_1h_tokens.unwrap_or(0);
            five_minutes.unwrap_or(0).saturating_add(hour)
        });
        Usage { cache_write_tokens: usage.cache_write_tokens.or(parts), ..usage }
    }))
}
