//! One event of a stream: a response like the whole one, with the next piece of each candidate and the usage so far. There is no
//! terminator; a candidate that says why it ended is the end, and so is a prompt that was blocked.

use super::usage;
use crate::{
    json::{Cursor, Kind, SyntaxError},
    stream::EventReading,
    usage::report::{Report, member_of},
};

/// Reads the data of one event.
pub(in crate::dialect) fn read_event(data: &[u8]) -> EventReading {
    EventReading::of(data, read)
}

fn read(data: &[u8], reading: &mut EventReading) -> Result<(), SyntaxError> {
    let mut report = None;
    let mut cursor = Cursor::new(data);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let name = key.key_bytes();
        if *name == *b"candidates" && cursor.kind()? == Kind::Array {
            read_candidates(&mut cursor, reading)?;
            continue;
        }
        let value = cursor.value()?;
        match &*name {
            b"usageMetadata" => report = Some(value),
            b"promptFeedback" => reading.done |= member_of(&value, "blockReason")?.is_some_and(|reason| !reason.is_null()),
            b"error" => reading.failed |= !value.is_null(),
            _ => {}
        }
    }
    cursor.end()?;
    if let Some(report) = report {
        let last = reading.done;
        reading.report(usage::from_value(&report), |stated| Report { last, ..Report::whole(stated) });
    }
    Ok(())
}

fn read_candidates(cursor: &mut Cursor<'_>, reading: &mut EventReading) -> Result<(), SyntaxError> {
    let mut walk = cursor.begin_array()?;
    while cursor.next_element(&mut walk)? {
        if cursor.kind()? != Kind::Object {
            cursor.value()?;
            continue;
        }
        let mut candidate = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut candidate)? {
            match &*key.key_bytes() {
                b"content" => reading.count_text(cursor, is_label)?,
                b"finishReason" => reading.done |= !cursor.value()?.is_null(),
                _ => drop(cursor.value()?),
            }
        }
    }
    Ok(())
}

/// Inline data is a picture or a sound, whose tokens its bytes do not tell.
fn is_label(name: &[u8]) -> bool {
    matches!(name, b"role" | b"id" | b"thoughtSignature" | b"mimeType" | b"data" | b"language")
}
