//! What an answer says was consumed, by whichever of the names that operations use: those of texts (`prompt_tokens`) and those of pictures and
//! sound (`input_tokens`, with what is pictures or sound of them).
//!
//! A report in another unit (seconds of sound) is none here.

use crate::json::{Cursor, Kind, SyntaxError, Value};
use crate::stream::EventReading;
use crate::usage::{
    ReadUsageError, Usage,
    report::{Report, count, each_member, find, read_members},
};

/// Finds the report of a whole answer; `None` where it has none that counts tokens.
///
/// # Errors
/// When the report or the answer can't be read.
pub fn read(reply: &[u8]) -> Result<Option<Usage>, ReadUsageError> {
    find(reply, "usage")?.map_or(Ok(None), |report| of(&report))
}

fn of(report: &Value<'_>) -> Result<Option<Usage>, ReadUsageError> {
    let usage = read_members(report, |usage, key, value| {
        match key {
            b"prompt_tokens" | b"input_tokens" => usage.input_tokens = count("input_tokens", value)?,
            b"completion_tokens" | b"output_tokens" => usage.output_tokens = count("output_tokens", value)?,
            b"total_tokens" => usage.total_tokens = count("total_tokens", value)?,
            b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" => read_input_details(&value, usage)?,
            b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details" => read_output_details(&value, usage)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(usage.filter(Usage::is_complete))
}

fn read_input_details(details: &Value<'_>, usage: &mut Usage) -> Result<(), ReadUsageError> {
    each_member(details, |key, value| {
        match key {
            b"cached_tokens" => usage.cached_input_tokens = count("cached_tokens", value)?,
            b"audio_tokens" => usage.input_audio_tokens = count("audio_tokens", value)?,
            b"image_tokens" => usage.input_image_tokens = count("image_tokens", value)?,
            _ => {}
        }
        Ok(())
    })
}

fn read_output_details(details: &Value<'_>, usage: &mut Usage) -> Result<(), ReadUsageError> {
    each_member(details, |key, value| {
        match key {
            b"reasoning_tokens" => usage.reasoning_tokens = count("reasoning_tokens", value)?,
            b"audio_tokens" => usage.output_audio_tokens = count("audio_tokens", value)?,
            b"image_tokens" => usage.output_image_tokens = count("image_tokens", value)?,
            _ => {}
        }
        Ok(())
    })
}

/// Reads one event of an operation's stream.
pub(crate) fn read_event(data: &[u8]) -> EventReading {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return EventReading { done: true, ..EventReading::default() };
    }
    EventReading::of(data, read_members_of_event)
}

fn read_members_of_event(data: &[u8], reading: &mut EventReading) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::new(data);
    let (mut walk, mut choices) = (cursor.begin_object()?, None);
    while let Some(key) = cursor.next_key(&mut walk)? {
        let kind = cursor.kind()?;
        if key.is_text("choices") && kind == Kind::Array {
            choices = Some(read_choices(&mut cursor, reading)?);
            continue;
        }
        let value = cursor.value()?;
        if key.is_text("usage") {
            reading.report(of(&value), Report::whole);
        } else if key.is_text("error") && kind != Kind::Null {
            reading.failed = true;
        }
    }
    cursor.end()?;
    reading.usage_only = reading.usage.is_some() && choices == Some(0) && !reading.failed;
    Ok(())
}

/// Counts the texts that are generated; how many choices there are.
fn read_choices(cursor: &mut Cursor<'_>, reading: &mut EventReading) -> Result<u64, SyntaxError> {
    let (mut walk, mut choices) = (cursor.begin_array()?, 0_u64);
    while cursor.next_element(&mut walk)? {
        choices = choices.saturating_add(1);
        if cursor.kind()? != Kind::Object {
            cursor.value()?;
            continue;
        }
        let mut choice = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut choice)? {
            if key.is_text("text") {
                reading.count_text(cursor, |_| false)?;
            } else {
                cursor.value()?;
            }
        }
    }
    Ok(choices)
}
