//! The turns of a request as Converse wants them: the rules are Anthropic's (turns alternate, results first, no blank text,
//! instructions above all), the members its own. Pictures and files must be in the request or in S3; a mark that the prompt may be
//! cached is a block of its own behind what it marks.

use std::borrow::Cow;

use serde::Serialize;

use super::super::REDACTED;
use crate::{
    convert::{Conversation, Dropped, Feature, ImageSource, Json, Media, Members, Part, Role, ToolCall, ToolResult, Turn},
    dialect::{
        Dialect,
        anthropic_messages::{block::InputBody, conversation::ids::CallIds},
    },
};

/// One block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum BlockBody<'a> {
    Text(&'a str),
    Image {
        format: &'static str,
        source: SourceBody<'a>,
    },
    Document {
        format: &'static str,
        name: String,
        source: SourceBody<'a>,
    },
    ToolUse {
        tool_use_id: Cow<'a, str>,
        name: &'a str,
        input: InputBody<'a>,
    },
    ToolResult(ResultBody<'a>),
    ReasoningContent(ReasoningBody<'a>),
    CachePoint(CachePoint<'a>),
    /// A block of this dialect that the middle does not know.
    #[serde(untagged)]
    Opaque(&'a serde_json::value::RawValue),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResultBody<'a> {
    tool_use_id: Cow<'a, str>,
    content: Vec<BlockBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum SourceBody<'a> {
    Bytes(&'a str),
    S3Location { uri: &'a str },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ReasoningBody<'a> {
    ReasoningText { text: &'a str, signature: &'a str },
    RedactedContent(&'a str),
}

/// The prompt may be cached up to here.
#[derive(Debug, Serialize)]
pub(super) struct CachePoint<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Cow<'a, str>>,
}

impl<'a> CachePoint<'a> {
    /// Of Anthropic's `cache_control`.
    pub(super) fn of(cache: &'a Json<'_>) -> Self {
        let ttl = Members::read("cache_control", cache.get().as_bytes()).and_then(|mut mark| mark.text("ttl"));
        Self { r#type: "default", ttl: ttl.ok().flatten() }
    }
}

/// One turn.
#[derive(Debug, Serialize)]
pub(super) struct MessageBody<'a> {
    role: &'static str,
    content: Vec<BlockBody<'a>>,
}

/// Instructions and turns.
#[derive(Debug, Default)]
pub(super) struct Messages<'a> {
    pub(super) system: Vec<BlockBody<'a>>,
    pub(super) turns: Vec<MessageBody<'a>>,
}

impl<'a> Messages<'a> {
    /// Of this conversation.
    pub(super) fn of(conversation: &'a Conversation<'_>, dropped: &mut Dropped) -> Self {
        let mut writer = Writer { ids: CallIds::default(), documents: 0, dropped };
        let mut messages = Self { system: writer.blocks(conversation.system.iter()), turns: Vec::new() };
        for run in conversation.turns.chunk_by(|turn, next| turn.role == next.role) {
            messages.add(run, &mut writer);
        }
        if messages.turns.is_empty() && !messages.system.is_empty() {
            let content = std::mem::take(&mut messages.system);
            messages.turns.push(MessageBody { role: "user", content });
        }
        if let Some(BlockBody::Text(text)) =
            messages.turns.last_mut().and_then(|turn| turn.content.last_mut().filter(|_| turn.role == "assistant"))
        {
            *text = text.trim_end();
        }
        messages
    }

    /// Adds turns of one role.
    fn add(&mut self, run: &'a [Turn<'_>], writer: &mut Writer<'a, '_>) {
        if run.iter().any(|turn| turn.name.is_some()) {
            writer.dropped.note(Feature::TurnName);
        }
        let is_result = |part: &&'a Part<'_>| matches!(part, Part::ToolResult(_));
        let parts = || run.iter().flat_map(|turn| &turn.parts);
        let mut blocks = writer.blocks(parts().filter(is_result));
        blocks.extend(writer.blocks(parts().filter(|part| !is_result(part))));
        let role = match run.first().map(|turn| turn.role) {
            None | Some(Role::System) => return self.system.extend(blocks),
            Some(Role::User) => "user",
            Some(Role::Assistant) => "assistant",
        };
        match self.turns.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => self.turns.push(MessageBody { role, content: blocks }),
        }
    }

    /// As for Anthropic: whether the model's last turn is to be gone on with and does not begin with a thought.
    pub(super) fn are_unled(&self) -> bool {
        let goes_on = match self.turns.last() {
            Some(MessageBody { role: "user", content }) => matches!(content.first(), Some(BlockBody::ToolResult(_))),
            last => last.is_some(),
        };
        let models = self.turns.iter().rev().find(|turn| turn.role == "assistant");
        goes_on && models.is_some_and(|turn| !matches!(turn.content.first(), Some(BlockBody::ReasoningContent(_))))
    }

    /// The tools that were called, each once.
    pub(super) fn called(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        for block in self.turns.iter().flat_map(|turn| &turn.content) {
            match block {
                BlockBody::ToolUse { name, .. } if !names.contains(name) => names.push(*name),
                _ => {}
            }
        }
        names
    }
}

struct Writer<'a, 'd> {
    ids: CallIds<'a>,
    documents: u32,
    dropped: &'d mut Dropped,
}

impl<'a> Writer<'a, '_> {
    fn blocks<'p>(&mut self, parts: impl Iterator<Item = &'a Part<'p>>) -> Vec<BlockBody<'a>>
    where
        'p: 'a,
    {
        let mut blocks = Vec::new();
        for part in parts {
            if let Some(block) = self.block(part) {
                blocks.push(block);
                blocks.extend(cache_of(part).map(|cache| BlockBody::CachePoint(CachePoint::of(cache))));
            }
        }
        blocks
    }

    fn block(&mut self, part: &'a Part<'_>) -> Option<BlockBody<'a>> {
        match part {
            Part::Text { text, .. } | Part::Refusal { text } => (!text.trim().is_empty()).then_some(BlockBody::Text(text)),
            Part::Image(image) => {
                if image.detail.as_ref().is_some_and(|detail| detail != "auto") {
                    self.dropped.note(Feature::ImageDetail);
                }
                match source(&image.source, picture_format) {
                    Some((format, source)) => Some(BlockBody::Image { format, source }),
                    None => self.leave_out(Feature::of_image(&image.source)),
                }
            }
            Part::Media(media) => self.document(media),
            Part::ToolCall(call) => Some(self.call(call)),
            Part::ToolResult(result) => Some(self.result(result)),
            Part::Thinking { text, signature: Some(signature) } if signature.origin == Dialect::BedrockConverse => {
                Some(BlockBody::ReasoningContent(match signature.value.strip_prefix(REDACTED) {
                    Some(data) => ReasoningBody::RedactedContent(data),
                    None => ReasoningBody::ReasoningText { text, signature: &signature.value },
                }))
            }
            Part::Thinking { signature: Some(_), .. } => self.leave_out(Feature::ThoughtSignature),
            Part::Thinking { signature: None, .. } => self.leave_out(Feature::Thought),
            Part::Opaque { dialect: Dialect::BedrockConverse, json } => Some(BlockBody::Opaque(json)),
            Part::Opaque { json, .. } => {
                self.dropped.note_part(json);
                None
            }
        }
    }

    fn leave_out(&mut self, feature: Feature) -> Option<BlockBody<'a>> {
        self.dropped.note(feature);
        None
    }

    fn document(&mut self, media: &'a Media<'_>) -> Option<BlockBody<'a>> {
        let Some((format, source)) = source(&media.source, document_format) else {
            return self.leave_out(Feature::of_media(&media.source));
        };
        self.documents = self.documents.saturating_add(1);
        Some(BlockBody::Document { format, name: document_name(media.name.as_deref(), self.documents), source })
    }

    fn call(&mut self, call: &'a ToolCall<'_>) -> BlockBody<'a> {
        if call.signature.is_some() {
            self.dropped.note(Feature::CallSignature);
        }
        BlockBody::ToolUse { tool_use_id: self.ids.written(&call.id), name: &call.name, input: InputBody::of(&call.arguments) }
    }

    /// There is no mark of caching inside of a result.
    fn result(&mut self, result: &'a ToolResult<'_>) -> BlockBody<'a> {
        BlockBody::ToolResult(ResultBody {
            tool_use_id: self.ids.written(&result.call_id),
            content: result.parts.iter().filter_map(|part| self.block(part)).collect(),
            status: result.is_error.then_some("error"),
        })
    }
}

fn cache_of<'a>(part: &'a Part<'_>) -> Option<&'a Json<'a>> {
    match part {
        Part::Text { cache, .. } => cache.as_ref(),
        Part::Image(image) => image.cache.as_ref(),
        Part::Media(media) => media.cache.as_ref(),
        Part::ToolCall(call) => call.cache.as_ref(),
        Part::ToolResult(result) => result.cache.as_ref(),
        Part::Thinking { .. } | Part::Refusal { .. } | Part::Opaque { .. } => None,
    }
}

/// Format and place of a picture or a document, if Converse takes both.
fn source<'a>(source: &'a ImageSource<'_>, format_of: impl Fn(&str) -> Option<&'static str>) -> Option<(&'static str, SourceBody<'a>)> {
    match source {
        ImageSource::Inline { media_type, data } => Some((format_of(media_type)?, SourceBody::Bytes(data))),
        ImageSource::Url(uri) if uri.starts_with("s3://") => {
            let (_, ending) = uri.rsplit_once('.')?;
            let media_type = MEDIA_TYPES.into_iter().find_map(|(known, _, media_type)| (known == ending).then_some(media_type))?;
            Some((format_of(media_type)?, SourceBody::S3Location { uri }))
        }
        ImageSource::Url(_) | ImageSource::File(_) => None,
    }
}

/// What Converse takes: ending of a file, format, media type.
const MEDIA_TYPES: [(&str, &str, &str); 15] = [
    ("png", "png", "image/png"),
    ("jpg", "jpeg", "image/jpeg"),
    ("jpeg", "jpeg", "image/jpeg"),
    ("gif", "gif", "image/gif"),
    ("webp", "webp", "image/webp"),
    ("pdf", "pdf", "application/pdf"),
    ("csv", "csv", "text/csv"),
    ("html", "html", "text/html"),
    ("txt", "txt", "text/plain"),
    ("json", "txt", "application/json"),
    ("md", "md", "text/markdown"),
    ("doc", "doc", "application/msword"),
    ("docx", "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "xls", "application/vnd.ms-excel"),
    ("xlsx", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
];

fn picture_format(media_type: &str) -> Option<&'static str> {
    format_of(media_type).filter(|_| media_type.starts_with("image/"))
}

fn document_format(media_type: &str) -> Option<&'static str> {
    format_of(media_type).filter(|_| !media_type.starts_with("image/"))
}

fn format_of(media_type: &str) -> Option<&'static str> {
    MEDIA_TYPES.into_iter().find_map(|(_, format, known)| (known == media_type).then_some(format))
}

/// A name of letters, digits, single blanks, `-`, `(`, `)`, `[` and `]`, different for each document, as Converse asks for.
fn document_name(name: Option<&str>, number: u32) -> String {
    let allowed = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '(' | ')' | '[' | ']');
    let words: String = name.unwrap_or("document").chars().map(|sign| if allowed(sign) { sign } else { ' ' }).take(150).collect();
    let mut name = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if number > 1 || name.is_empty() {
        name = format!("{name} {number}").trim_start().to_owned();
    }
    name
}
