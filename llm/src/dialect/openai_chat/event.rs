//! One event of a chat stream: a chunk of the completion, an error, or the end.

use super::usage;
use crate::{
    json::{Cursor, Kind, SyntaxError},
    stream::EventReading,
    usage::report::Report,
};

/// Reads the data of one event.
pub(crate) fn read_event(data: &[u8]) -> EventReading {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return EventReading { done: true, ..EventReading::default() };
    }
    EventReading::of(data, read_chunk)
}

fn read_chunk(data: &[u8], reading: &mut EventReading) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::new(data);
    let mut walk = cursor.begin_object()?;
    let (mut choices, mut groqs) = (0_u64, None);
    while let Some(key) = cursor.next_key(&mut walk)? {
        let kind = cursor.kind()?;
        if key.is_text("choices") && kind == Kind::Array {
            choices = choices.saturating_add(read_choices(&mut cursor, reading)?);
            continue;
        }
        let value = cursor.value()?;
        if key.is_text("usage") {
            reading.report(usage::from_value(&value), Report::whole);
        } else if key.is_text("x_groq") && kind == Kind::Object {
            groqs = Some(value);
        } else if key.is_text("error") && kind != Kind::Null {
            reading.failed = true;
        }
    }
    cursor.end()?;
    // Groq may say it there alone; where OpenAI's own member says it, that is the word.
    if let (None, Some(groqs)) = (&reading.usage, groqs) {
        reading.report(usage::from_groqs(&groqs), Report::whole);
    }
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
        let mut finished = false;
        let mut choice = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut choice)? {
            if key.is_text("delta") && cursor.kind()? == Kind::Object {
                reading.count_text(cursor, is_label)?;
                continue;
            }
            let value = cursor.value()?;
            // Some servers say "" until they know.
            finished |= key.is_text("finish_reason") && !value.is_null() && !value.is_text("");
        }
        reading.ended = Some(finished && reading.ended.unwrap_or(true));
    }
    Ok(choices)
}

/// Whatever text a delta brings is output, by whichever name: `content`, `reasoning_content`, `refusal`, arguments of tools.
fn is_label(name: &[u8]) -> bool {
    matches!(name, b"role" | b"id" | b"type")
}
