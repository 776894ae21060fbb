//! Content blocks.
//!
//! Promises: a block of a type that is not known is kept whole, as is one whose source is of an unknown kind; a member of a known
//! block that has no place in the middle is named by block and member (`text.citations`).
//!
//! Text documents are read as the text that they are: every dialect has a place for text and hardly any for files of it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{OF_CALL, REDACTED};
use crate::{
    convert::{Image, ImageSource, Json, Media, Members, Part, Signature, ToolCall, ToolResult, text_of},
    dialect::Dialect,
    request::ReadRequestError,
};

mod body;

pub(in crate::dialect) use body::InputBody;
pub(super) use body::{BlockBody, SourceBody};

/// Members without a place in the middle, by name.
pub(super) type Others<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// Reads content: text, or blocks.
pub(super) fn read_content<'a>(path: &str, content: &'a RawValue, others: &mut Others<'a>) -> Result<Vec<Part<'a>>, ReadRequestError> {
    if let Some(text) = text_of(content) {
        return Ok(vec![Part::Text { text, cache: None }]);
    }
    let wrong = || ReadRequestError::WrongType { field: path.to_owned(), expected: "a string or an array of blocks" };
    let blocks: Vec<&'a RawValue> = serde_json::from_str(content.get()).map_err(|_| wrong())?;
    let mut parts = Vec::with_capacity(blocks.len());
    for (place, block) in blocks.into_iter().enumerate() {
        read_block(&format!("{path}[{place}]"), block, others, &mut parts)?;
    }
    Ok(parts)
}

fn read_block<'a>(path: &str, json: &'a RawValue, others: &mut Others<'a>, parts: &mut Vec<Part<'a>>) -> Result<(), ReadRequestError> {
    let mut block = Members::read(path, json.get().as_bytes())?;
    let kind = block.required_text("type")?;
    let known = match &*kind {
        "text" => Some(Part::Text { text: block.required_text("text")?, cache: cache_of(&mut block) }),
        "thinking" => read_thinking(&mut block, parts)?,
        "redacted_thinking" => Some(redacted(&block.required_text("data")?)),
        "image" => read_source(&mut block)?.map(|source| Part::Image(Image { source, detail: None, cache: cache_of(&mut block) })),
        "document" => return read_document(block, json, others, parts),
        "tool_use" => Some(Part::ToolCall(read_call(&mut block, others)?)),
        "tool_result" => Some(Part::ToolResult(read_result(&mut block, others)?)),
        _ => None,
    };
    match known {
        Some(part) => parts.push(part),
        None if kind == "thinking" => return Ok(()),
        None => {
            parts.push(opaque(json));
            return Ok(());
        }
    }
    leave(block, &kind, others);
    Ok(())
}

/// Names what is left of a block.
fn leave<'a>(block: Members<'a>, kind: &str, others: &mut Others<'a>) {
    let path = block.field("");
    let rest = block.rest().filter(|(_, value)| value.get() != "null");
    others.extend(rest.map(|(name, value)| {
        let member = name.strip_prefix(&path).unwrap_or(&name);
        (format!("{kind}.{member}").into(), Cow::Borrowed(value))
    }));
}

fn opaque(json: &RawValue) -> Part<'_> {
    Part::Opaque { dialect: Dialect::AnthropicMessages, json: Cow::Borrowed(json) }
}

pub(super) fn cache_of<'a>(members: &mut Members<'a>) -> Option<Json<'a>> {
    members.take("cache_control").map(Cow::Borrowed)
}

/// A redacted thought.
pub(super) fn redacted(data: &str) -> Part<'static> {
    Part::Thinking { text: Cow::Borrowed(""), signature: Some(redacted_signature(data)) }
}

/// What a redacted thought is in the middle: a signature without a text.
pub(super) fn redacted_signature(data: &str) -> Signature<'static> {
    Signature { origin: Dialect::AnthropicMessages, value: format!("{REDACTED}{data}").into() }
}

/// A thought; `None` if it was no thought but carried the signature of the call before it, which has it now.
fn read_thinking<'a>(block: &mut Members<'a>, parts: &mut [Part<'a>]) -> Result<Option<Part<'a>>, ReadRequestError> {
    let text = block.text("thinking")?.unwrap_or_default();
    let signature = block.text("signature")?.filter(|signature| !signature.is_empty());
    if let (Some(own), Some(Part::ToolCall(call))) = (signature.as_ref().and_then(|text| text.strip_prefix(OF_CALL)), parts.last_mut()) {
        call.signature = Some(Signature::read(Dialect::AnthropicMessages, own.to_owned().into()));
        return Ok(None);
    }
    Ok(Some(Part::Thinking { text, signature: signature.map(|text| Signature::read(Dialect::AnthropicMessages, text)) }))
}

/// Where a picture or a document is; `None` for a kind of source that is not known.
fn read_source<'a>(block: &mut Members<'a>) -> Result<Option<ImageSource<'a>>, ReadRequestError> {
    let Some(mut source) = block.object("source")? else { return Err(block.wrong("source", "an object")) };
    Ok(match &*source.required_text("type")? {
        "base64" => Some(ImageSource::Inline { media_type: source.required_text("media_type")?, data: source.required_text("data")? }),
        "url" => Some(ImageSource::Url(source.required_text("url")?)),
        "file" => Some(ImageSource::File(source.required_text("file_id")?)),
        _ => None,
    })
}

fn read_document<'a>(
    mut block: Members<'a>,
    json: &'a RawValue,
    others: &mut Others<'a>,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), ReadRequestError> {
    let Some(source) = block.take("source") else { return Err(block.wrong("source", "an object")) };
    let path = block.field("source");
    let mut members = Members::read(&path, source.get().as_bytes())?;
    let kind = members.required_text("type")?;
    let cache = cache_of(&mut block);
    let first = parts.len();
    match &*kind {
        "text" => parts.push(Part::Text { text: members.required_text("data")?, cache: None }),
        "content" => {
            let content = members.take("content").ok_or_else(|| members.wrong("content", "a string or an array of blocks"))?;
            parts.extend(read_content(&members.field("content"), content, others)?);
        }
        "base64" | "url" | "file" => {
            let name = block.text("title")?;
            let source = match &*kind {
                "base64" => ImageSource::Inline { media_type: members.required_text("media_type")?, data: members.required_text("data")? },
                "url" => ImageSource::Url(members.required_text("url")?),
                _ => ImageSource::File(members.required_text("file_id")?),
            };
            parts.push(Part::Media(Media { source, name, cache: None }));
        }
        _ => {
            parts.push(opaque(json));
            return Ok(());
        }
    }
    if let Some(last) = parts.get_mut(first..).and_then(<[Part<'a>]>::last_mut) {
        mark_cached(last, cache);
    }
    leave(block, "document", others);
    Ok(())
}

fn mark_cached<'a>(part: &mut Part<'a>, mark: Option<Json<'a>>) {
    match part {
        Part::Text { cache, .. } | Part::Image(Image { cache, .. }) | Part::Media(Media { cache, .. }) => *cache = mark.or(cache.take()),
        _ => {}
    }
}

fn read_call<'a>(block: &mut Members<'a>, others: &mut Others<'a>) -> Result<ToolCall<'a>, ReadRequestError> {
    // Every call says who made it; only one that code made is worth telling.
    if let Some(caller) = block.take("caller") {
        let mut by = Members::read(&block.field("caller"), caller.get().as_bytes())?;
        if by.text("type")?.as_deref() != Some("direct") {
            others.push(("tool_use.caller".into(), Cow::Borrowed(caller)));
        }
    }
    Ok(ToolCall {
        id: block.required_text("id")?,
        name: block.required_text("name")?,
        arguments: block.take("input").map_or("{}", RawValue::get).into(),
        signature: None,
        cache: cache_of(block),
    })
}

fn read_result<'a>(block: &mut Members<'a>, others: &mut Others<'a>) -> Result<ToolResult<'a>, ReadRequestError> {
    let parts = match block.take("content") {
        Some(content) => read_content(&block.field("content"), content, others)?,
        None => Vec::new(),
    };
    Ok(ToolResult {
        call_id: block.required_text("tool_use_id")?,
        name: None,
        parts,
        is_error: block.flag("is_error")?.unwrap_or(false),
        cache: cache_of(block),
    })
}
