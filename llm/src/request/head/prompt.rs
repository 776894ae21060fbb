//! Measuring what was said: how many messages, and which parts are pictures or files.
//!
//! A rule may refuse pictures, so a part counts as one by anything that a server could take for one: its `type`, or a member that
//! holds the picture, in the words of any dialect. Keys and types are compared unescaped. Only members that hold parts are entered.
//!
//! The bytes of a picture are told apart so that the estimate need not count them as text. A part that may have text besides, or that may
//! be a file as well, gives no such discount: its bytes count, whatever else it says it is.

use std::{borrow::Cow, ops::Range};

use super::slot::Prompt;
use crate::{
    dialect::Dialect,
    json::{Cursor, Kind, SyntaxError, Value},
    request::length,
    tokens::PromptSizes,
};

/// How deep parts nest: a picture in the result of a tool in a message of a batch is at most half as deep.
pub(super) const LEVELS: u32 = 12;
/// Characters of a tool's name that are kept.
const NAME_LIMIT: usize = 64;

/// What was found in the prompt besides its length.
#[derive(Debug, Default)]
pub(super) struct Found {
    images: u64,
    image_bytes: u64,
    files: u64,
    /// An item that only names something the provider keeps.
    pub(super) reference: bool,
    /// Where requests of a batch name their model.
    pub(super) models: Vec<Range<usize>>,
}

/// What a part is, so far as it matters here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    image: bool,
    file: bool,
    /// It may have text besides.
    pub(super) text: bool,
    reference: bool,
}

impl Marks {
    /// Whether its bytes do not count, as it is a picture and nothing else.
    pub(super) fn is_measured_as_picture(self) -> bool {
        self.image && !self.file && !self.text
    }
}

/// Walks what was said, with the cursor before it.
pub(super) fn measure(prompt: Prompt, cursor: &mut Cursor<'_>, sizes: &mut PromptSizes) -> Result<Found, SyntaxError> {
    let mut found = Found::default();
    let is_array = cursor.kind()? == Kind::Array;
    let start = cursor.position();
    let mut messages = 1_u64;
    if is_array {
        messages = 0;
        let mut walk = cursor.begin_array()?;
        while cursor.next_element(&mut walk)? {
            messages = messages.saturating_add(1);
            measure_part(cursor, &mut found, LEVELS)?;
        }
    } else {
        measure_part(cursor, &mut found, LEVELS)?;
    }
    // Texts to embed have no template around them that would cost tokens.
    sizes.messages = sizes.messages.saturating_add(if prompt.embeds() { 0 } else { messages });
    sizes.message_bytes = sizes.message_bytes.saturating_add(length(start, cursor.position()));
    sizes.images = sizes.images.saturating_add(found.images);
    sizes.image_bytes = sizes.image_bytes.saturating_add(found.image_bytes);
    sizes.files = sizes.files.saturating_add(found.files);
    if prompt != Prompt::Batch {
        found.models.clear();
    }
    Ok(found)
}

fn measure_part(cursor: &mut Cursor<'_>, found: &mut Found, levels: u32) -> Result<(), SyntaxError> {
    let below = levels.saturating_sub(1);
    match cursor.kind()? {
        Kind::Object if levels > 0 => {}
        Kind::Array if levels > 0 => {
            let mut walk = cursor.begin_array()?;
            while cursor.next_element(&mut walk)? {
                measure_part(cursor, found, below)?;
            }
            return Ok(());
        }
        _ => return cursor.value().map(drop),
    }
    let start = cursor.position();
    let (mut marks, image_bytes) = (Marks::default(), found.image_bytes);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let name = key.key_bytes();
        if holds_parts(&name) {
            marks.text |= cursor.kind()? != Kind::Null;
            measure_part(cursor, found, below)?;
            continue;
        }
        let value = cursor.value()?;
        if *name == *b"type" {
            mark(&mut marks, &value.key_bytes());
        } else if *name == *b"model" && levels == LEVELS && value.kind() == Kind::String {
            found.models.push(value.range());
        } else if value.kind() != Kind::Null {
            mark_by_member(&mut marks, &name, &value)?;
            if matches!(&*name, b"file" | b"source" | b"file_data") {
                mark_by_content(&mut marks, &value, found, below)?;
            }
        }
    }
    found.take(marks, image_bytes, length(start, cursor.position()));
    Ok(())
}

/// Members whose values are parts or arrays of parts. `output` and `functionResponse` are results of tools.
pub(super) fn holds_parts(name: &[u8]) -> bool {
    matches!(name, b"content" | b"parts" | b"output" | b"functionResponse" | b"function_response" | b"toolResult")
}

impl Found {
    /// Takes a part of `bytes`, before which the pictures had `image_bytes`; a part that is a picture as a whole contains those in it.
    fn take(&mut self, marks: Marks, image_bytes: u64, bytes: u64) {
        if marks.is_measured_as_picture() {
            self.image_bytes = image_bytes.saturating_add(bytes);
        }
        self.images = self.images.saturating_add(u64::from(marks.image));
        self.files = self.files.saturating_add(u64::from(marks.file));
        self.reference |= marks.reference;
    }
}

/// By what a `type` says, or a member is called.
pub(super) fn mark(marks: &mut Marks, name: &[u8]) {
    match name {
        b"image_url" | b"image" | b"input_image" | b"computer_screenshot" | b"image_generation_call" => marks.image = true,
        b"file" | b"input_file" | b"document" | b"video_url" | b"video" | b"container_upload" => marks.file = true,
        b"item_reference" => marks.reference = true,
        _ => {}
    }
}

pub(super) fn mark_by_member(marks: &mut Marks, name: &[u8], value: &Value<'_>) -> Result<(), SyntaxError> {
    match name {
        b"text" => marks.text = true,
        b"inlineData" | b"inline_data" | b"fileData" | b"file_data" => mark_by_media_type(marks, value)?,
        _ => mark(marks, name),
    }
    Ok(())
}

/// What a file or a document is of: a picture in it is one, whatever the part calls itself, for whoever is sent it next may be shown it.
fn mark_by_content(marks: &mut Marks, content: &Value<'_>, found: &mut Found, levels: u32) -> Result<(), SyntaxError> {
    if content.kind() != Kind::Object {
        marks.image |= content.key_bytes().strip_prefix(b"data:").is_some_and(is_picture);
        return Ok(());
    }
    let mut cursor = Cursor::new(content.raw());
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        match &*key.key_bytes() {
            b"content" => measure_part(&mut cursor, found, levels)?,
            b"media_type" => marks.image |= is_picture(&cursor.value()?.key_bytes()),
            b"file_data" | b"data" | b"url" => {
                marks.image |= cursor.value()?.key_bytes().strip_prefix(b"data:").is_some_and(is_picture);
            }
            _ => drop(cursor.value()?),
        }
    }
    Ok(())
}

/// Whether a media type, with whatever stands behind it, is that of a picture.
fn is_picture(media_type: &[u8]) -> bool {
    media_type.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case(b"image/"))
}

/// Gemini's data is what its media type says; where that isn't said, it may be a picture and a file.
fn mark_by_media_type(marks: &mut Marks, data: &Value<'_>) -> Result<(), SyntaxError> {
    if data.kind() != Kind::Object {
        // OpenAI's `file_data` is text.
        marks.file = true;
        return Ok(());
    }
    let mut is_image = None;
    let mut cursor = Cursor::new(data.raw());
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        if matches!(&*key.key_bytes(), b"mimeType" | b"mime_type") {
            let said = value.key_bytes();
            is_image = said.get(..6).map(is_picture);
        }
    }
    marks.image |= is_image.unwrap_or(true);
    marks.file |= !is_image.unwrap_or(false);
    Ok(())
}

/// What was found of tools.
#[derive(Debug, Default)]
pub(super) struct FoundTools<'a> {
    /// Whether there are any.
    pub(super) any: bool,
    /// The first one that the provider runs.
    pub(super) run_by_provider: Option<Cow<'a, str>>,
}

/// The tools of a request, with the cursor before them.
pub(super) fn measure_tools<'a>(dialect: Dialect, cursor: &mut Cursor<'a>, sizes: &mut PromptSizes) -> Result<FoundTools<'a>, SyntaxError> {
    let mut found = FoundTools::default();
    let start = cursor.position();
    if cursor.kind()? == Kind::Array && dialect != Dialect::OpenAiChat {
        let mut walk = cursor.begin_array()?;
        while cursor.next_element(&mut walk)? {
            found.any = true;
            let Some(name) = providers_own(dialect, cursor)? else { continue };
            sizes.hosted_tools = sizes.hosted_tools.saturating_add(1);
            if found.run_by_provider.is_none() && !is_run_by_caller(dialect, &name) {
                found.run_by_provider = Some(readable(name));
            }
        }
    } else {
        found.any = has_elements(&cursor.value()?);
    }
    sizes.tool_bytes = sizes.tool_bytes.saturating_add(length(start, cursor.position()));
    Ok(found)
}

/// The name of a tool that is the provider's own, so that its description is not in the request; none where it is the caller's.
fn providers_own<'a>(dialect: Dialect, cursor: &mut Cursor<'a>) -> Result<Option<Cow<'a, [u8]>>, SyntaxError> {
    if cursor.kind()? != Kind::Object {
        return cursor.value().map(|_| None);
    }
    let mut own: Option<Cow<'a, [u8]>> = None;
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        let name = key.key_bytes();
        let found = match dialect {
            Dialect::Gemini => (!matches!(&*name, b"functionDeclarations" | b"function_declarations")).then_some(name),
            _ if *name != *b"type" || value.is_null() => None,
            _ => Some(value.key_bytes()).filter(|kind| !matches!(&**kind, b"function" | b"custom" | b"namespace")),
        };
        // Of several in one object the one that the provider runs matters.
        own = match own {
            Some(known) if !is_run_by_caller(dialect, &known) => Some(known),
            known => found.or(known),
        };
    }
    Ok(own)
}

/// Whether a provider's own tool only asks the caller to do something: it costs its description and nothing else. What isn't known is
/// taken to be run by the provider.
fn is_run_by_caller(dialect: Dialect, name: &[u8]) -> bool {
    match dialect {
        Dialect::Gemini => matches!(name, b"computerUse" | b"computer_use"),
        Dialect::AnthropicMessages | Dialect::BedrockConverse => {
            [&b"bash_"[..], b"text_editor_", b"computer_", b"memory_"].iter().any(|kind| name.starts_with(kind))
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings => {
            matches!(name, b"local_shell" | b"apply_patch" | b"computer" | b"computer_use_preview")
        }
    }
}

/// A name of the caller's choosing, short enough for a message.
fn readable(name: Cow<'_, [u8]>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) if name.len() <= NAME_LIMIT => String::from_utf8_lossy(name),
        name => Cow::Owned(String::from_utf8_lossy(&name).chars().take(NAME_LIMIT).collect()),
    }
}

fn has_elements(value: &Value<'_>) -> bool {
    let inside = value.raw().get(1..).unwrap_or_default();
    let first = inside.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(value.kind(), Kind::Array | Kind::Object) && !matches!(first, Some(b']' | b'}'))
}
