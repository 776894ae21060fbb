//! The turns of a request as Anthropic wants them.
//!
//! Turns alternate, so those of one role that follow each other become one. Results of tools stand first in theirs. A text of
//! nothing but white space is refused and left out, as is a turn without anything left; a last turn of the model's, which it goes on from,
//! does not end in white space. Instructions have one place, above all turns; those in the middle are moved there. A request that
//! has instructions only says them as its first turn.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::super::block::{BlockBody, InputBody, SourceBody};
use super::ids::CallIds;
use crate::{
    convert::{Conversation, Dropped, Feature, Image, ImageSource, Json, Media, Part, Role, ToolCall, ToolResult, Turn},
    dialect::Dialect,
};

/// Kinds of pictures that Anthropic reads.
const PICTURES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

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
        let mut writer = Writer { ids: CallIds::default(), dropped };
        let mut messages = Self { system: writer.blocks(&conversation.system), turns: Vec::new() };
        for turn in &conversation.turns {
            messages.add(turn, &mut writer);
        }
        for turn in &mut messages.turns {
            turn.content.sort_by_key(|block| !matches!(block, BlockBody::ToolResult { .. }));
        }
        if messages.turns.is_empty() && !messages.system.is_empty() {
            let content = std::mem::take(&mut messages.system);
            messages.turns.push(MessageBody { role: "user", content });
        }
        messages.trim_end();
        messages
    }

    fn add(&mut self, turn: &'a Turn<'_>, writer: &mut Writer<'a, '_>) {
        if turn.name.is_some() {
            writer.dropped.note(Feature::TurnName);
        }
        let blocks = writer.blocks(&turn.parts);
        let role = match turn.role {
            Role::System => return self.system.extend(blocks),
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        match self.turns.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => self.turns.push(MessageBody { role, content: blocks }),
        }
    }

    fn trim_end(&mut self) {
        let Some(last) = self.turns.last_mut().filter(|turn| turn.role == "assistant") else { return };
        if let Some(BlockBody::Text { text, .. }) = last.content.last_mut() {
            *text = text.trim_end();
        }
    }

    /// Whether the model's last turn is to be gone on with, by results of tools or as it stands, and does not begin with a thought.
    pub(super) fn are_unled(&self) -> bool {
        let goes_on = match self.turns.last() {
            Some(MessageBody { role: "user", content }) => matches!(content.first(), Some(BlockBody::ToolResult { .. })),
            last => last.is_some(),
        };
        let models = self.turns.iter().rev().find(|turn| turn.role == "assistant");
        let led =
            |turn: &MessageBody<'_>| matches!(turn.content.first(), Some(BlockBody::Thinking { .. } | BlockBody::RedactedThinking { .. }));
        goes_on && models.is_some_and(|turn| !led(turn))
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
    dropped: &'d mut Dropped,
}

impl<'a> Writer<'a, '_> {
    fn blocks(&mut self, parts: &'a [Part<'_>]) -> Vec<BlockBody<'a>> {
        parts.iter().filter_map(|part| self.block(part)).collect()
    }

    fn block(&mut self, part: &'a Part<'_>) -> Option<BlockBody<'a>> {
        match part {
            Part::Text { text, cache } => text_block(text, cache.as_ref()),
            Part::Refusal { text } => text_block(text, None),
            Part::Image(image) => self.image(image),
            Part::Media(media) => self.document(media),
            Part::ToolCall(call) => Some(self.call(call)),
            Part::ToolResult(result) => Some(self.result(result)),
            Part::Thinking { text, signature } => match signature {
                Some(signature) if signature.origin == Dialect::AnthropicMessages => Some(BlockBody::thought(text, signature)),
                Some(_) => self.leave_out(Feature::ThoughtSignature),
                None => self.leave_out(Feature::Thought),
            },
            Part::Opaque { dialect: Dialect::AnthropicMessages, json } => Some(BlockBody::Opaque(json)),
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

    fn image(&mut self, image: &'a Image<'_>) -> Option<BlockBody<'a>> {
        if image.detail.as_ref().is_some_and(|detail| detail != "auto") {
            self.dropped.note(Feature::ImageDetail);
        }
        match source(&image.source, |media_type| PICTURES.contains(&media_type)) {
            Some(source) => Some(BlockBody::Image { source, cache_control: image.cache.as_deref() }),
            None => self.leave_out(Feature::of_image(&image.source)),
        }
    }

    fn document(&mut self, media: &'a Media<'_>) -> Option<BlockBody<'a>> {
        match source(&media.source, |media_type| media_type == "application/pdf").or_else(|| text_source(&media.source)) {
            Some(source) => Some(BlockBody::Document { source, title: media.name.as_deref(), cache_control: media.cache.as_deref() }),
            None => self.leave_out(Feature::of_media(&media.source)),
        }
    }

    fn call(&mut self, call: &'a ToolCall<'_>) -> BlockBody<'a> {
        if call.signature.is_some() {
            self.dropped.note(Feature::CallSignature);
        }
        BlockBody::ToolUse {
            id: self.ids.written(&call.id),
            name: &call.name,
            input: InputBody::of(&call.arguments),
            cache_control: call.cache.as_deref(),
        }
    }

    fn result(&mut self, result: &'a ToolResult<'_>) -> BlockBody<'a> {
        BlockBody::ToolResult {
            tool_use_id: self.ids.written(&result.call_id),
            content: self.blocks(&result.parts),
            is_error: result.is_error,
            cache_control: result.cache.as_deref(),
        }
    }
}

fn text_block<'a>(text: &'a str, cache: Option<&'a Json<'_>>) -> Option<BlockBody<'a>> {
    (!text.trim().is_empty()).then(|| BlockBody::Text { text, cache_control: cache.map(AsRef::as_ref) })
}

/// Where a picture or a document is, if that is a place Anthropic looks at: the web, the request, or its own store of files.
fn source<'a>(source: &'a ImageSource<'_>, takes: impl Fn(&str) -> bool) -> Option<SourceBody<'a>> {
    match source {
        ImageSource::Url(url) => (url.starts_with("https://") || url.starts_with("http://")).then_some(SourceBody::Url { url }),
        ImageSource::Inline { media_type, data } => takes(media_type).then_some(SourceBody::Base64 { media_type, data }),
        ImageSource::File(file_id) => file_id.starts_with("file_").then_some(SourceBody::File { file_id }),
    }
}

/// A text goes as text: of files that are here, Anthropic takes nothing else but PDF.
fn text_source<'a>(source: &ImageSource<'_>) -> Option<SourceBody<'a>> {
    let ImageSource::Inline { media_type, data } = source else { return None };
    if !media_type.starts_with("text/") && media_type != "application/json" {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(data.as_bytes()).ok()?).ok()?;
    Some(SourceBody::Text { media_type: "text/plain", data: text })
}
