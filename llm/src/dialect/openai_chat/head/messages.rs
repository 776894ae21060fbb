//! Measuring the messages: how many, and which parts are pictures or files.
//!
//! A rule may refuse pictures, so a part counts as one by anything that a server could take for one: its `type`, or a member that
//! holds the picture. Keys and types are compared unescaped.

use crate::{
    json::{Cursor, Kind, SyntaxError},
    tokens::PromptSizes,
};

/// What a part of a message is, so far as it matters here.
#[derive(Debug, Clone, Copy, Default)]
struct PartMarks {
    image: bool,
    file: bool,
}

/// Walks the array of messages, with the cursor before it.
pub(super) fn measure(cursor: &mut Cursor<'_>, sizes: &mut PromptSizes) -> Result<(), SyntaxError> {
    let start = cursor.position();
    let mut walk = cursor.begin_array()?;
    while cursor.next_element(&mut walk)? {
        sizes.messages = sizes.messages.saturating_add(1);
        measure_message(cursor, sizes)?;
    }
    sizes.message_bytes = length(start, cursor.position());
    Ok(())
}

fn measure_message(cursor: &mut Cursor<'_>, sizes: &mut PromptSizes) -> Result<(), SyntaxError> {
    if cursor.kind()? != Kind::Object {
        cursor.value()?;
        return Ok(());
    }
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        if key.is_text("content") && cursor.kind()? == Kind::Array {
            let mut parts = cursor.begin_array()?;
            while cursor.next_element(&mut parts)? {
                measure_part(cursor, sizes)?;
            }
        } else {
            cursor.value()?;
        }
    }
    Ok(())
}

fn measure_part(cursor: &mut Cursor<'_>, sizes: &mut PromptSizes) -> Result<(), SyntaxError> {
    if cursor.kind()? != Kind::Object {
        cursor.value()?;
        return Ok(());
    }
    let start = cursor.position();
    let mut marks = PartMarks::default();
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        if key.is_text("type") {
            mark(&mut marks, &value.key_bytes());
        } else if value.kind() != Kind::Null {
            mark(&mut marks, &key.key_bytes());
        }
    }
    if marks.image {
        sizes.images = sizes.images.saturating_add(1);
        sizes.image_bytes = sizes.image_bytes.saturating_add(length(start, cursor.position()));
    }
    if marks.file {
        sizes.files = sizes.files.saturating_add(1);
    }
    Ok(())
}

fn mark(marks: &mut PartMarks, name: &[u8]) {
    match name {
        b"image_url" | b"image" | b"input_image" => marks.image = true,
        b"file" | b"input_file" | b"document" | b"video_url" | b"video" => marks.file = true,
        _ => {}
    }
}

/// Bytes from one offset to another.
pub(super) fn length(start: usize, end: usize) -> u64 {
    u64::try_from(end.saturating_sub(start)).unwrap_or(u64::MAX)
}
