//! One event of a response's stream. Only deltas are output: the events around them say the same text again, up to the whole response.

use super::usage;
use crate::{
    json::{Cursor, SyntaxError, Value},
    stream::EventReading,
    usage::report::{Report, member_of},
};

/// Reads the data of one event.
pub(in crate::dialect) fn read_event(data: &[u8]) -> EventReading {
    EventReading::of(data, read)
}

fn read(data: &[u8], reading: &mut EventReading) -> Result<(), SyntaxError> {
    let (mut kind, mut response, mut delta) = (None, None, None);
    let mut cursor = Cursor::new(data);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        match &*key.key_bytes() {
            b"type" => kind = Some(value),
            b"response" => response = Some(value),
            b"delta" => delta = Some(value),
            b"error" => reading.failed |= !value.is_null(),
            _ => {}
        }
    }
    cursor.end()?;
    let kind = kind.map(|kind| kind.key_bytes()).unwrap_or_default();
    match &*kind {
        b"response.completed" | b"response.incomplete" | b"response.cancelled" => reading.done = true,
        b"response.failed" | b"error" => reading.failed = true,
        name if name.ends_with(b".delta") => count_delta(delta, reading)?,
        _ => {}
    }
    // The response that is shown at the beginning and on the way has no report yet.
    if reading.done || reading.failed {
        let report = response.map_or(Ok(None), |response| member_of(&response, "usage"))?;
        if let Some(report) = report {
            reading.report(usage::from_value(&report), Report::whole);
        }
    }
    Ok(())
}

fn count_delta(delta: Option<Value<'_>>, reading: &mut EventReading) -> Result<(), SyntaxError> {
    delta.map_or(Ok(()), |delta| reading.count_text(&mut Cursor::new(delta.raw()), |_| false))
}
