//! The parts of messages: what a user says, what the model said, in requests and in answers alike.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::SIGNATURE_PATH;
use crate::{
    convert::{Image, ImageSource, Media, Members, Part, Signature, ToolCall, text_of},
    dialect::Dialect,
    request::ReadRequestError,
};

/// Reads what the model said: its thoughts, then text or refusal, then calls.
pub(in crate::dialect::openai_chat) fn read_assistant<'a>(message: &mut Members<'a>) -> Result<Vec<Part<'a>>, ReadRequestError> {
    let mut parts = read_thoughts(message)?;
    parts.extend(read_content(message)?.into_iter().filter(|part| !matches!(part, Part::Text { text, .. } if text.is_empty())));
    parts.extend(message.text("refusal")?.filter(|text| !text.is_empty()).map(|text| Part::Refusal { text }));
    for (index, call) in message.array("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("{}[{index}]", message.field("tool_calls"));
        parts.push(Part::ToolCall(read_call(Members::read(&path, call.get().as_bytes())?, index)?));
    }
    Ok(parts)
}

/// Reads `content`: text, or a list of parts; absent is none.
pub(super) fn read_content<'a>(message: &mut Members<'a>) -> Result<Vec<Part<'a>>, ReadRequestError> {
    let Some(content) = message.take("content") else { return Ok(Vec::new()) };
    if let Some(text) = text_of(content) {
        return Ok(vec![Part::Text { text, cache: None }]);
    }
    let parts: Vec<&RawValue> =
        serde_json::from_str(content.get()).map_err(|_| message.wrong("content", "a string or an array of content parts"))?;
    let read = |(index, part): (usize, &'a RawValue)| read_part(&format!("{}[{index}]", message.field("content")), part);
    parts.into_iter().enumerate().map(read).collect()
}

fn read_part<'a>(path: &str, json: &'a RawValue) -> Result<Part<'a>, ReadRequestError> {
    let mut part = Members::read(path, json.get().as_bytes())?;
    let kind = part.required_text("type")?;
    let cache = part.take("cache_control").map(Cow::Borrowed);
    Ok(match &*kind {
        "text" => Part::Text { text: part.required_text("text")?, cache },
        "refusal" => Part::Refusal { text: part.required_text("refusal")? },
        "image_url" => {
            let mut image = part.object("image_url")?.ok_or_else(|| part.wrong("image_url", "an object with a `url`"))?;
            let source = ImageSource::from_url(image.required_text("url")?);
            Part::Image(Image { source, detail: image.text("detail")?, cache })
        }
        "input_audio" => {
            let mut audio = part.object("input_audio")?.ok_or_else(|| part.wrong("input_audio", "an object"))?;
            let media_type = format!("audio/{}", audio.required_text("format")?).into();
            Part::Media(Media { source: ImageSource::Inline { media_type, data: audio.required_text("data")? }, name: None, cache })
        }
        "file" => {
            let mut file = part.object("file")?.ok_or_else(|| part.wrong("file", "an object"))?;
            let source = match file.text("file_data")? {
                Some(data) => ImageSource::from_url(data),
                None => ImageSource::File(file.required_text("file_id")?),
            };
            Part::Media(Media { source, name: file.text("filename")?, cache })
        }
        _ => Part::Opaque { dialect: Dialect::OpenAiChat, json: Cow::Borrowed(json) },
    })
}

fn read_call<'a>(mut call: Members<'a>, index: usize) -> Result<ToolCall<'a>, ReadRequestError> {
    let id = call.text("id")?.filter(|id| !id.is_empty());
    let (mut inner, arguments) = match call.object("custom")? {
        Some(custom) => (custom, "input"),
        None => (call.object("function")?.ok_or_else(|| call.wrong("function", "an object"))?, "arguments"),
    };
    let name = inner.required_text("name")?;
    let signature = read_signature(&mut call)?;
    Ok(ToolCall {
        id: id.unwrap_or_else(|| nameless_call(index, &name).into()),
        arguments: inner.text(arguments)?.unwrap_or_default(),
        name,
        signature,
        cache: None,
    })
}

/// Some servers give calls no id; this one is the same whether the answer is streamed or not.
pub(in crate::dialect::openai_chat) fn nameless_call(index: usize, name: &str) -> String {
    format!("call_{index}_{name}")
}

fn read_signature<'a>(call: &mut Members<'a>) -> Result<Option<Signature<'a>>, ReadRequestError> {
    let [outer, inner, name] = SIGNATURE_PATH;
    let Some(mut extra) = call.object(outer)? else { return Ok(None) };
    let Some(mut google) = extra.object(inner)? else { return Ok(None) };
    Ok(google.text(name)?.map(|text| Signature::read(Dialect::OpenAiChat, text)))
}

/// `reasoning_details` says all that the plain text says and has the signatures besides, so it goes before.
fn read_thoughts<'a>(message: &mut Members<'a>) -> Result<Vec<Part<'a>>, ReadRequestError> {
    let plain = [message.text("reasoning_content")?, message.text("reasoning")?].into_iter().flatten().find(|text| !text.is_empty());
    let details = message.array("reasoning_details")?.unwrap_or_default();
    if details.is_empty() {
        return Ok(plain.map(|text| Part::Thinking { text, signature: None }).into_iter().collect());
    }
    let mut parts = Vec::with_capacity(details.len());
    for (index, detail) in details.into_iter().enumerate() {
        let path = format!("{}[{index}]", message.field("reasoning_details"));
        let mut detail = Members::read(&path, detail.get().as_bytes())?;
        let text = [detail.text("text")?, detail.text("summary")?].into_iter().flatten().next().unwrap_or_default();
        let signature = [detail.text("signature")?, detail.text("data")?].into_iter().flatten().next();
        let signature = signature.map(|text| Signature::read(Dialect::OpenAiChat, text));
        if signature.is_some() || !text.is_empty() {
            parts.push(Part::Thinking { text, signature });
        }
    }
    Ok(parts)
}
