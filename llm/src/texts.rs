//! The texts of a request where they stand, so that something in them can be found and replaced without decoding the body.
//!
//! [`visit`] walks a body of any dialect once and hands out every text that a person or a program wrote: prompts, instructions, results of
//! tools, arguments of calls. Each comes unescaped, and knows the place in the body of each of its parts: what was written as `\u0040` is
//! found as `@`, and what replaces it leaves the body valid JSON ([`Text::place`], [`Text::written`]).
//!
//! Arguments of calls are the caller's own: below them everything is text, also names of members and numbers. A text that is JSON itself
//! (arguments in OpenAI's dialects, results of tools) is entered, so that what is escaped twice is found too.
//!
//! Leaves out what must stay as it is: ids, types and models; signatures, thoughts and what is encrypted, which the provider checks; pictures
//! and files in base 64; the descriptions of tools and the schemas of answers, which developers write; `mlx:` members, which go nowhere.

use std::ops::Range;

use crate::json::{Cursor, Kind, SyntaxError, Value};
use crate::request::PREFIX;

#[cfg(test)]
mod tests;
mod unescaped;

use unescaped::Unescaped;

/// Under a name that may hold a picture, base 64 longer than this is one.
const PICTURE: usize = 256;

/// One text of a body.
#[derive(Debug, Clone, Copy)]
pub struct Text<'t> {
    text: &'t str,
    place: Place<'t>,
}

/// How a text is written in the body.
#[derive(Debug, Clone, Copy)]
enum Place<'t> {
    /// A string of the body.
    String(&'t Unescaped<'t>),
    /// A number of the body.
    Number(usize),
    /// A string within a text that is JSON.
    Within(&'t Unescaped<'t>, &'t Unescaped<'t>),
    /// A number within such a text, at this offset of it.
    NumberWithin(&'t Unescaped<'t>, usize),
}

impl<'t> Text<'t> {
    /// What it says, unescaped. What is no Unicode stands as U+FFFD.
    #[must_use]
    pub fn as_str(&self) -> &'t str {
        self.text
    }

    /// Where `range` of the text stands in the body. Of a number always the whole, because half a number and a mark are no JSON.
    #[must_use]
    pub fn place(&self, range: &Range<usize>) -> Range<usize> {
        match self.place {
            Place::String(outer) => outer.place(range),
            Place::Within(inner, outer) => outer.place(&inner.place(range)),
            Place::Number(start) => start..start.saturating_add(self.text.len()),
            Place::NumberWithin(outer, start) => outer.place(&(start..start.saturating_add(self.text.len()))),
        }
    }

    /// `mark` as it has to be written in the place of a part of the text. `mark` must need no escaping.
    #[must_use]
    pub fn written(&self, mark: &str) -> Vec<u8> {
        match self.place {
            Place::String(_) | Place::Within(..) => mark.as_bytes().to_vec(),
            Place::Number(_) => format!("\"{mark}\"").into_bytes(),
            Place::NumberWithin(..) => format!("\\\"{mark}\\\"").into_bytes(),
        }
    }
}

/// Hands every text of `body` to `visit`, in order.
///
/// # Errors
/// When the body is not JSON; then some texts may have been visited.
pub fn visit(body: &[u8], visit: &mut dyn FnMut(Text<'_>)) -> Result<(), SyntaxError> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(SyntaxError::Text { at: error.valid_up_to() });
    }
    let mut walk = Walk { cursor: Cursor::new(body), visit };
    walk.top()?;
    walk.cursor.end()
}

/// A walk through a body.
struct Walk<'a, 'v> {
    cursor: Cursor<'a>,
    visit: &'v mut dyn FnMut(Text<'_>),
}

/// What is known of the values that are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Of the dialect: names have a meaning.
    Dialect,
    /// Of the caller's making.
    Free,
}

impl<'a> Walk<'a, '_> {
    fn top(&mut self) -> Result<(), SyntaxError> {
        if self.cursor.kind()? != Kind::Object {
            return self.cursor.value().map(drop);
        }
        let mut members = self.cursor.begin_object()?;
        while let Some(key) = self.cursor.next_key(&mut members)? {
            let name = key.key_bytes();
            if name.starts_with(PREFIX) || is_set_up(&name) {
                self.cursor.value()?;
            } else {
                self.value(Part::Dialect, may_be_picture(&name))?;
            }
        }
        Ok(())
    }

    /// One value, of a member that may hold a picture or not.
    fn value(&mut self, part: Part, picture: bool) -> Result<(), SyntaxError> {
        match self.cursor.kind()? {
            Kind::Object => self.object(part),
            Kind::Array => {
                let mut elements = self.cursor.begin_array()?;
                while self.cursor.next_element(&mut elements)? {
                    self.value(part, picture)?;
                }
                Ok(())
            }
            Kind::String => {
                let value = self.cursor.value()?;
                if !(picture && is_base64(value.inner().unwrap_or_default())) {
                    self.string(&value);
                }
                Ok(())
            }
            Kind::Number => {
                let value = self.cursor.value()?;
                if part == Part::Free {
                    (self.visit)(Text { text: text_of(value.raw()), place: Place::Number(value.start()) });
                }
                Ok(())
            }
            Kind::Bool | Kind::Null => self.cursor.value().map(drop),
        }
    }

    fn object(&mut self, part: Part) -> Result<(), SyntaxError> {
        let mut members = self.cursor.begin_object()?;
        while let Some(key) = self.cursor.next_key(&mut members)? {
            let name = key.key_bytes();
            if part == Part::Free {
                self.string(&key);
                self.value(Part::Free, false)?;
            } else if is_opaque(&name) {
                self.cursor.value()?;
            } else {
                self.value(if is_callers(&name) { Part::Free } else { Part::Dialect }, may_be_picture(&name))?;
            }
        }
        Ok(())
    }

    fn string(&mut self, value: &Value<'a>) {
        let Some(inner) = value.inner() else { return };
        let outer = Unescaped::read(text_of(inner), value.start().saturating_add(1));
        if !within(&outer, self.visit) {
            (self.visit)(Text { text: outer.text(), place: Place::String(&outer) });
        }
    }
}

/// Visits what stands in a text that is an object or an array in JSON; false where it is none.
fn within(outer: &Unescaped<'_>, visit: &mut dyn FnMut(Text<'_>)) -> bool {
    let text = outer.text();
    if !text.trim_ascii_start().starts_with(['{', '[']) {
        return false;
    }
    let mut whole = Cursor::new(text.as_bytes());
    if whole.value().and_then(|_| whole.end()).is_err() {
        return false;
    }
    let mut walk = Walk {
        cursor: Cursor::new(text.as_bytes()),
        visit: &mut |found| match found.place {
            Place::String(inner) => visit(Text { text: found.text, place: Place::Within(inner, outer) }),
            Place::Number(start) => visit(Text { text: found.text, place: Place::NumberWithin(outer, start) }),
            // One level is entered; a text in it that is JSON again is one text here.
            Place::Within(..) | Place::NumberWithin(..) => {}
        },
    };
    walk.plain().is_ok()
}

impl Walk<'_, '_> {
    /// Everything below here is the caller's, and no text is entered.
    fn plain(&mut self) -> Result<(), SyntaxError> {
        match self.cursor.kind()? {
            Kind::Object => {
                let mut members = self.cursor.begin_object()?;
                while let Some(key) = self.cursor.next_key(&mut members)? {
                    self.leaf(&key);
                    self.plain()?;
                }
                Ok(())
            }
            Kind::Array => {
                let mut elements = self.cursor.begin_array()?;
                while self.cursor.next_element(&mut elements)? {
                    self.plain()?;
                }
                Ok(())
            }
            _ => {
                let value = self.cursor.value()?;
                self.leaf(&value);
                Ok(())
            }
        }
    }

    fn leaf(&mut self, value: &Value<'_>) {
        match (value.kind(), value.inner()) {
            (_, Some(inner)) => {
                let string = Unescaped::read(text_of(inner), value.start().saturating_add(1));
                (self.visit)(Text { text: string.text(), place: Place::String(&string) });
            }
            (Kind::Number, None) => (self.visit)(Text { text: text_of(value.raw()), place: Place::Number(value.start()) }),
            _ => {}
        }
    }
}

/// Members of a body that set up the call and say nothing: the model, tools and schemas, and what providers log in with elsewhere.
fn is_set_up(name: &[u8]) -> bool {
    matches!(
        name,
        b"model"
            | b"tools"
            | b"functions"
            | b"tool_choice"
            | b"toolConfig"
            | b"tool_config"
            | b"mcp_servers"
            | b"response_format"
            | b"text"
            | b"output_format"
            | b"output_config"
            | b"generationConfig"
            | b"generation_config"
            | b"stream_options"
            | b"include"
            | b"previous_response_id"
            | b"conversation"
            | b"container"
            | b"cachedContent"
            | b"cached_content"
    )
}

/// Members of parts that must reach the provider as they are.
fn is_opaque(name: &[u8]) -> bool {
    matches!(
        name,
        b"type"
            | b"role"
            | b"id"
            | b"call_id"
            | b"tool_call_id"
            | b"tool_use_id"
            | b"toolUseId"
            | b"item_id"
            | b"file_id"
            | b"model"
            | b"status"
            | b"detail"
            | b"format"
            | b"media_type"
            | b"mimeType"
            | b"mime_type"
            | b"cache_control"
            | b"thinking"
            | b"signature"
            | b"thoughtSignature"
            | b"thought_signature"
            | b"encrypted_content"
            | b"encrypted_index"
    )
}

/// Members of parts whose content the dialect leaves to the caller: arguments of calls and results of tools.
fn is_callers(name: &[u8]) -> bool {
    matches!(name, b"input" | b"arguments" | b"args" | b"response" | b"json")
}

/// Members that may hold a picture or a file.
fn may_be_picture(name: &[u8]) -> bool {
    matches!(name, b"data" | b"url" | b"image_url" | b"file_data" | b"fileUri" | b"file_uri" | b"bytes" | b"result" | b"b64_json")
}

/// Whether a string is base 64 that is too long to be a secret, with or without the head of a `data:` URL.
fn is_base64(inner: &[u8]) -> bool {
    let head = inner.iter().take(PICTURE).position(|byte| *byte == b',').filter(|_| inner.starts_with(b"data:"));
    let content = head.and_then(|at| inner.get(at.saturating_add(1)..)).unwrap_or(inner);
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\' | b'\n' | b'\r');
    content.len() > PICTURE && content.iter().all(base64)
}

/// Bytes of a document that was checked to be UTF-8, cut where ASCII stands.
fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
