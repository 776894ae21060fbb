//! Items: what `input` and `output` are lists of.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::output::CALL_SIGNATURE;
use crate::{
    convert::{Conversation, Image, ImageSource, Media, Members, Part, Role, Signature, ToolCall, ToolResult, Turn, text_of},
    dialect::Dialect,
    request::ReadRequestError,
};

/// Items as they are read, one after the other, into a conversation.
#[derive(Debug, Default)]
pub(super) struct Items<'a> {
    pub(super) conversation: Conversation<'a>,
    /// Log probabilities of all text, in order.
    pub(super) logprobs: Vec<&'a RawValue>,
}

impl<'a> Items<'a> {
    /// Reads one item.
    pub(super) fn read(&mut self, path: &str, json: &'a RawValue) -> Result<(), ReadRequestError> {
        let mut item = Members::read(path, json.get().as_bytes())?;
        let kind = item.text("type")?.unwrap_or(Cow::Borrowed("message"));
        match &*kind {
            "message" => self.read_message(&mut item)?,
            "reasoning" => self.read_reasoning(&mut item)?,
            "function_call" => self.read_call(&mut item, "arguments")?,
            "custom_tool_call" => self.read_call(&mut item, "input")?,
            "function_call_output" | "custom_tool_call_output" => self.read_result(&mut item)?,
            "item_reference" => self.conversation.state = Some("input.item_reference"),
            "compaction" | "compaction_summary" => self.conversation.state = Some("input.compaction"),
            _ => {
                let role = if kind.ends_with("_output") { Role::User } else { Role::Assistant };
                self.append(role, Part::Opaque { dialect: Dialect::OpenAiResponses, json: Cow::Borrowed(json) });
                return Ok(());
            }
        }
        let bookkeeping = |name: &str| matches!(name, "id" | "status");
        let unknown = item.rest().filter(|(_, value)| !matches!(value.get(), "null" | "[]"));
        let named = unknown.map(|(name, value)| (name.rsplit('.').next().unwrap_or_default().to_owned(), value));
        let named =
            named.filter(|(name, _)| !bookkeeping(name)).map(|(name, value)| (format!("input.{name}").into(), Cow::Borrowed(value)));
        self.conversation.others.extend(named);
        Ok(())
    }

    fn read_message(&mut self, item: &mut Members<'a>) -> Result<(), ReadRequestError> {
        let role = item.required_text("role")?;
        let parts = self.read_content(item, "content")?;
        match &*role {
            "system" | "developer" if self.conversation.turns.is_empty() => self.conversation.system.extend(parts),
            "system" | "developer" => self.conversation.turns.push(Turn { role: Role::System, name: None, parts }),
            "user" => self.conversation.turns.push(Turn { role: Role::User, name: None, parts }),
            "assistant" => parts.into_iter().for_each(|part| self.append(Role::Assistant, part)),
            _ => return Err(item.wrong("role", "`system`, `developer`, `user` or `assistant`")),
        }
        Ok(())
    }

    /// What the model did in one go is one turn, and so are the results of one round of calls.
    fn append(&mut self, role: Role, part: Part<'a>) {
        let joins =
            |turn: &&mut Turn<'a>| turn.role == role && (role == Role::Assistant || matches!(turn.parts.last(), Some(Part::ToolResult(_))));
        match self.conversation.turns.last_mut().filter(joins) {
            Some(turn) => turn.parts.push(part),
            None => self.conversation.turns.push(Turn { role, name: None, parts: vec![part] }),
        }
    }

    fn read_reasoning(&mut self, item: &mut Members<'a>) -> Result<(), ReadRequestError> {
        let encrypted = item.text("encrypted_content")?;
        if let Some(own) = encrypted.as_deref().and_then(|text| text.strip_prefix(CALL_SIGNATURE)) {
            let signature = Signature::read(Dialect::OpenAiResponses, own.to_owned().into());
            let last = self.conversation.turns.last_mut().and_then(|turn| turn.parts.last_mut());
            if let Some(Part::ToolCall(call)) = last {
                call.signature = Some(signature);
            }
            item.take("summary");
            return Ok(());
        }
        let summary = read_texts(item, "summary")?;
        let content = read_texts(item, "content")?;
        let text = if summary.is_empty() { content } else { summary };
        let signature = encrypted.map(|text| Signature::read(Dialect::OpenAiResponses, text));
        if signature.is_some() || !text.is_empty() {
            self.append(Role::Assistant, Part::Thinking { text, signature });
        }
        Ok(())
    }

    fn read_call(&mut self, item: &mut Members<'a>, arguments: &str) -> Result<(), ReadRequestError> {
        let call = ToolCall {
            id: item.required_text("call_id")?,
            name: item.required_text("name")?,
            arguments: item.text(arguments)?.unwrap_or_default(),
            signature: None,
            cache: None,
        };
        self.append(Role::Assistant, Part::ToolCall(call));
        Ok(())
    }

    fn read_result(&mut self, item: &mut Members<'a>) -> Result<(), ReadRequestError> {
        let call_id = item.required_text("call_id")?;
        let parts = self.read_content(item, "output")?;
        self.append(Role::User, Part::ToolResult(ToolResult { call_id, name: None, parts, is_error: false, cache: None }));
        Ok(())
    }

    fn read_content(&mut self, item: &mut Members<'a>, name: &str) -> Result<Vec<Part<'a>>, ReadRequestError> {
        let Some(content) = item.take(name) else { return Ok(Vec::new()) };
        if let Some(text) = text_of(content) {
            return Ok(vec![Part::Text { text, cache: None }]);
        }
        let parts: Vec<&RawValue> =
            serde_json::from_str(content.get()).map_err(|_| item.wrong(name, "a string or an array of content parts"))?;
        let read = |(index, part): (usize, &'a RawValue)| self.read_part(&format!("{}[{index}]", item.field(name)), part);
        parts.into_iter().enumerate().map(read).collect()
    }

    fn read_part(&mut self, path: &str, json: &'a RawValue) -> Result<Part<'a>, ReadRequestError> {
        let mut part = Members::read(path, json.get().as_bytes())?;
        let kind = part.required_text("type")?;
        Ok(match &*kind {
            "input_text" | "output_text" | "text" => {
                self.logprobs.extend(part.array("logprobs")?.unwrap_or_default());
                Part::Text { text: part.required_text("text")?, cache: None }
            }
            "refusal" => Part::Refusal { text: part.required_text("refusal")? },
            "input_image" => {
                let source = match part.text("image_url")? {
                    Some(url) => ImageSource::from_url(url),
                    None => ImageSource::File(part.text("file_id")?.ok_or_else(|| part.wrong("image_url", "a string"))?),
                };
                Part::Image(Image { source, detail: part.text("detail")?, cache: None })
            }
            "input_file" => Part::Media(read_file(&mut part)?),
            "input_audio" => {
                let mut audio = part.object("input_audio")?.ok_or_else(|| part.wrong("input_audio", "an object"))?;
                let media_type = format!("audio/{}", audio.required_text("format")?).into();
                Part::Media(Media {
                    source: ImageSource::Inline { media_type, data: audio.required_text("data")? },
                    name: None,
                    cache: None,
                })
            }
            _ => Part::Opaque { dialect: Dialect::OpenAiResponses, json: Cow::Borrowed(json) },
        })
    }
}

fn read_file<'a>(part: &mut Members<'a>) -> Result<Media<'a>, ReadRequestError> {
    let source = match (part.text("file_data")?, part.text("file_url")?) {
        (Some(data), _) => ImageSource::from_url(data),
        (None, Some(url)) => ImageSource::Url(url),
        (None, None) => ImageSource::File(part.required_text("file_id")?),
    };
    Ok(Media { source, name: part.text("filename")?, cache: None })
}

/// The texts of a list of `{"type", "text"}` in one, as paragraphs.
fn read_texts<'a>(item: &mut Members<'a>, name: &str) -> Result<Cow<'a, str>, ReadRequestError> {
    let mut all: Option<Cow<'a, str>> = None;
    for (index, part) in item.array(name)?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("{}[{index}]", item.field(name));
        let text = Members::read(&path, part.get().as_bytes())?.text("text")?.unwrap_or_default();
        all = Some(match all {
            None => text,
            Some(before) => before + PARAGRAPH + text,
        });
    }
    Ok(all.unwrap_or_default())
}

/// What stands between two parts of a summary when they become one text.
pub(super) const PARAGRAPH: &str = "\n\n";
