//! One event of a chat stream: a chunk of the completion, an error, or the end.

use super::usage;
use crate::{
    json::{Cursor, Kind, SyntaxError},
    stream::EventReading,
};

/// Reads the data of one event. Data that is not JSON is only counted: it is the caller's and passes on.
pub(crate) fn read_event(data: &[u8]) -> EventReading {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return EventReading { done: true, ..EventReading::default() };
    }
    let mut reading = EventReading::default();
    if read_chunk(data, &mut reading).is_err() {
        return EventReading { malformed: true, ..EventReading::default() };
    }
    reading
}

fn read_chunk(data: &[u8], reading: &mut EventReading) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::new(data);
    let mut walk = cursor.begin_object()?;
    let mut choices = 0_u64;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let kind = cursor.kind()?;
        if key.is_text("choices") && kind == Kind::Array {
            choices = choices.saturating_add(read_choices(&mut cursor, reading)?);
            continue;
        }
        let value = cursor.value()?;
        if key.is_text("usage") {
            reading.usage = usage::from_value(&value).transpose();
        } else if key.is_text("error") && kind != Kind::Null {
            reading.failed = true;
        }
    }
    cursor.end()?;
    reading.usage_only = reading.usage.is_some() && choices == 0 && !reading.failed;
    Ok(())
}

fn read_choices(cursor: &mut Cursor<'_>, reading: &mut EventReading) -> Result<u64, SyntaxError> {
    let mut choices = 0_u64;
    let mut walk = cursor.begin_array()?;
    while cursor.next_element(&mut walk)? {
        choices = choices.saturating_add(1);
        if cursor.kind()? != Kind::Object {
            cursor.value()?;
            continue;
        }
        let mut choice = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut choice)? {
            if key.is_text("delta") && cursor.kind()? == Kind::Object {
                read_delta(cursor, reading)?;
            } else {
                cursor.value()?;
            }
        }
    }
    Ok(choices)
}

/// Whatever text a delta brings is output, by whichever name: `content`, `reasoning_content`, `refusal`, arguments of tools.
fn read_delta(cursor: &mut Cursor<'_>, reading: &mut EventReading) -> Result<(), SyntaxError> {
    let bytes = text_bytes(cursor, NESTED_TEXT)?;
    reading.output_bytes = reading.output_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    reading.output_pieces = reading.output_pieces.saturating_add(u64::from(bytes > 0));
    Ok(())
}

/// How deep text stands in a delta: `tool_calls[].function.arguments` is the deepest known.
const NESTED_TEXT: u32 = 5;

/// Bytes of the strings in a value, but for those that are labels and not generated.
fn text_bytes(cursor: &mut Cursor<'_>, levels: u32) -> Result<usize, SyntaxError> {
    let mut bytes = 0_usize;
    match cursor.kind()? {
        Kind::Object if levels > 0 => {
            let mut walk = cursor.begin_object()?;
            while let Some(key) = cursor.next_key(&mut walk)? {
                let inside = text_bytes(cursor, levels.saturating_sub(1))?;
                let is_label = matches!(&*key.key_bytes(), b"role" | b"id" | b"type");
                bytes = bytes.saturating_add(if is_label { 0 } else { inside });
            }
        }
        Kind::Array if levels > 0 => {
            let mut walk = cursor.begin_array()?;
            while cursor.next_element(&mut walk)? {
                bytes = bytes.saturating_add(text_bytes(cursor, levels.saturating_sub(1))?);
            }
        }
        Kind::Object | Kind::Array => bytes = cursor.value()?.raw().len(),
        _ => bytes = cursor.value()?.inner().unwrap_or_default().len(),
    }
    Ok(bytes)
}
