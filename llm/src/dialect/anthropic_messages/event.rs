//! One event of a message's stream. Usage comes in two parts: with `message_start` what went in, with `message_delta` what came out, counted
//! up from the beginning; the latter may say the former again.

use super::usage;
use crate::{
    json::{Cursor, SyntaxError},
    stream::EventReading,
    usage::report::{Report, member_of},
};

/// Reads the data of one event.
pub(in crate::dialect) fn read_event(data: &[u8]) -> EventReading {
    EventReading::of(data, read)
}

fn read(data: &[u8], reading: &mut EventReading) -> Result<(), SyntaxError> {
    let (mut kind, mut message, mut report, mut output) = (None, None, None, None);
    let mut cursor = Cursor::new(data);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        match &*key.key_bytes() {
            b"type" => kind = Some(value),
            b"message" => message = Some(value),
            b"usage" => report = Some(value),
            b"delta" | b"content_block" => output = Some(value),
            _ => {}
        }
    }
    cursor.end()?;
    let kind = kind.map(|kind| kind.key_bytes()).unwrap_or_default();
    match &*kind {
        b"message_start" => report = message.map_or(Ok(None), |message| member_of(&message, "usage"))?,
        b"content_block_start" | b"content_block_delta" => {
            output.map_or(Ok(()), |output| reading.count_text(&mut Cursor::new(output.raw()), is_label))?;
        }
        b"message_stop" => reading.done = true,
        b"error" => reading.failed = true,
        _ => {}
    }
    if let Some(report) = report {
        let last = *kind == *b"message_delta";
        reading.report(usage::from_value(&report), |stated| Report::parts(stated, last));
    }
    Ok(())
}

/// Signatures and encrypted thoughts are longer or shorter than what was generated, and no measure of it.
fn is_label(name: &[u8]) -> bool {
    matches!(name, b"type" | b"id" | b"signature" | b"data" | b"tool_use_id")
}
