//! The usage report: its members by all the names that are in use, and finding it in a buffered reply.

use memchr::memmem;

use crate::{
    json::{Cursor, Kind, Value},
    usage::{ReadUsageError, Usage},
};

/// How many places that look like the report are tried from the end before the whole reply is read.
const TRIES: usize = 4;

/// Finds the usage report of a whole reply.
///
/// The report stands near the end, so it is searched from there. What is found is believed only if it is a member of the
/// top-level object: a key in place (`,` or `{` before it, `:` behind), and behind its value nothing but further members,
/// one closing brace and the end. A quote inside a string is escaped, so text that talks about `"usage"` fails that.
/// Where it can't be found this way, the reply is read from the front.
pub fn read_usage(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    let needle = b"\"usage\"";
    let mut end = reply.len();
    for _ in 0..TRIES {
        let Some(at) = memmem::rfind(reply.get(..end).unwrap_or_default(), needle) else { break };
        if let Some(value) = top_level_value(reply, at, needle.len()) {
            return from_value(&value);
        }
        end = at;
    }
    read_from_front(reply)
}

/// The value of the key at `at`, if that is a key of the top-level object.
fn top_level_value(reply: &[u8], at: usize, key_length: usize) -> Option<Value<'_>> {
    let before = reply.get(..at)?.trim_ascii_end();
    if !matches!(before.last(), Some(b',' | b'{')) {
        return None;
    }
    let behind_key = at.checked_add(key_length)?;
    let gap = reply.get(behind_key..)?;
    let colon = gap.iter().position(|byte| !byte.is_ascii_whitespace())?;
    if gap.get(colon) != Some(&b':') {
        return None;
    }
    let (mut cursor, _) = Cursor::behind_member(reply, behind_key.checked_add(colon)?.checked_add(1)?);
    let value = cursor.value().ok()?;
    let (mut tail, mut walk) = Cursor::behind_member(reply, value.end());
    while tail.next_key(&mut walk).ok()?.is_some() {
        tail.value().ok()?;
    }
    tail.end().ok()?;
    Some(value)
}

fn read_from_front(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    let mut cursor = Cursor::new(reply);
    let mut found = None;
    if cursor.kind()? != Kind::Object {
        cursor.value()?;
    } else {
        let mut walk = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut walk)? {
            let value = cursor.value()?;
            if key.is_text("usage") {
                found = Some(value);
            }
        }
    }
    cursor.end()?;
    found.map_or(Ok(None), |value| from_value(&value))
}

/// Reads a report; `null` is none. Members that are not known are passed over.
pub(super) fn from_value(value: &Value<'_>) -> Result<Option<Usage>, ReadUsageError> {
    match value.kind() {
        Kind::Null => return Ok(None),
        Kind::Object => {}
        _ => return Err(ReadUsageError::NotAnObject),
    }
    let mut usage = Usage::default();
    let mut aliases = Aliases::default();
    each_member(value, |key, value| {
        match key {
            b"prompt_tokens" => usage.input_tokens = count("prompt_tokens", value)?,
            b"completion_tokens" => usage.output_tokens = count("completion_tokens", value)?,
            b"total_tokens" => usage.total_tokens = count("total_tokens", value)?,
            b"prompt_tokens_details" => read_input_details(value, &mut usage, &mut aliases)?,
            b"completion_tokens_details" => read_output_details(value, &mut usage)?,
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
    usage.cached_input_tokens = usage.cached_input_tokens.or(aliases.cached);
    usage.cache_write_tokens = usage.cache_write_tokens.or(aliases.written);
    Ok(Some(usage))
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

/// Reads the members of an object; what is no object has none.
fn each_member<'a>(object: &Value<'a>, mut read: impl FnMut(&[u8], Value<'a>) -> Result<(), ReadUsageError>) -> Result<(), ReadUsageError> {
    if object.kind() != Kind::Object {
        return Ok(());
    }
    let mut cursor = Cursor::new(object.raw());
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        read(&key.key_bytes(), cursor.value()?)?;
    }
    Ok(())
}

fn count(field: &'static str, value: Value<'_>) -> Result<Option<u64>, ReadUsageError> {
    if value.is_null() {
        return Ok(None);
    }
    // Ledgers keep counts as signed 64-bit integers.
    let count = value.as_u64().filter(|count| i64::try_from(*count).is_ok());
    count.map(Some).ok_or(ReadUsageError::NotACount { field })
}

#[cfg(test)]
mod tests;
