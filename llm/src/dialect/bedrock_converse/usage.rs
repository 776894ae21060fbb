//! The usage report: its input is what was neither read from nor written to the cache, and so is not what its total says it is with them.
//! Beside it the one number by which Titan says what it embedded.

use crate::{
    json::{Cursor, SyntaxError, Value},
    stream::EventReading,
    usage::{
        ReadUsageError, Usage,
        report::{Report, count, find, read_members},
    },
};

/// Input tokens, at the top of an answer.
const TITANS_COUNT: &str = "inputTextTokenCount";

pub(in crate::dialect) fn read_usage(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    let stated = find(reply, "usage")?.map_or(Ok(None), |report| from_value(&report))?;
    if let Some(stated) = stated {
        return Ok(Some(Report::parts(stated, true).usage()));
    }
    // Titan says of what it embedded this one number and no more.
    let embedded = find(reply, TITANS_COUNT)?.map_or(Ok(None), |value| count(TITANS_COUNT, value))?;
    Ok(embedded.map(Usage::of_input))
}

/// The total is left out: with a cache, servers differ in whether it contains what was read and written.
fn from_value(value: &Value<'_>) -> Result<Option<Usage>, ReadUsageError> {
    read_members(value, |usage, key, value| {
        match key {
            b"inputTokens" => usage.input_tokens = count("inputTokens", value)?,
            b"outputTokens" => usage.output_tokens = count("outputTokens", value)?,
            b"cacheReadInputTokens" => usage.cached_input_tokens = count("cacheReadInputTokens", value)?,
            b"cacheWriteInputTokens" => usage.cache_write_tokens = count("cacheWriteInputTokens", value)?,
            _ => {}
        }
        Ok(())
    })
}

/// Reads the payload of one event, taken out of its frame: a piece (`delta`), the end (`stopReason`), the report, which is the last, or an
/// exception, which is all that has a `message`.
pub(in crate::dialect) fn read_event(data: &[u8]) -> EventReading {
    EventReading::of(data, read)
}

fn read(data: &[u8], reading: &mut EventReading) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::new(data);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        match &*key.key_bytes() {
            b"delta" => reading.count_text(&mut cursor, |name| matches!(name, b"signature" | b"redactedContent"))?,
            b"stopReason" => reading.done |= !cursor.value()?.is_null(),
            b"message" => reading.failed |= !cursor.value()?.is_null(),
            b"usage" => reading.report(from_value(&cursor.value()?), |stated| Report::parts(stated, true)),
            _ => drop(cursor.value()?),
        }
    }
    cursor.end()
}
