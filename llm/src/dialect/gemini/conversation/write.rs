//! Writing a request.
//!
//! Contents: turns of one side that follow each other become one content, and results of tools one of their own that comes first, as the
//! API wants all results of a content's calls in the next. Instructions in the middle of a conversation move to `systemInstruction`;
//! a request of instructions only becomes one of the user.

use std::{borrow::Cow, collections::HashMap};

use serde::Serialize;

use super::super::{
    content::{CallBody, ContentBody, FileBody, PartBody, ResponseBody, SaidBody, arguments_object, media_type_of},
    generation::{GenerationBody, generation_of},
    tools::{ToolBody, ToolConfigBody, write_tools},
};
use crate::{
    convert::{Conversation, Dropped, Feature, Image, ImageSource, Media, Part, Role, Signature, ToolCall, ToolResult, Turn},
    dialect::Dialect,
};

/// What Google's documentation has for calls that come from elsewhere: since Gemini 3 the first call of a turn is refused without a
/// signature.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody<'a> {
    contents: Vec<ContentBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<ContentBody<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfigBody<'a>>,
    #[serde(skip_serializing_if = "GenerationBody::is_empty")]
    generation_config: GenerationBody<'a>,
}

/// Writes the request body for `model`; names in `dropped` what has no place.
pub(crate) fn write_conversation(conversation: &Conversation<'_>, model: &str, dropped: &mut Dropped) -> Vec<u8> {
    let mut contents = ContentWriter::new(conversation, model, dropped);
    contents.system(&conversation.system);
    for turn in &conversation.turns {
        contents.turn(turn);
    }
    let (contents, system) = contents.finish();
    let tools = write_tools(conversation, dropped);
    let tool_config = conversation.tool_choice.as_ref().filter(|_| !tools.is_empty()).map(ToolConfigBody::new);
    note_dropped(conversation, dropped);
    let body = RequestBody {
        contents,
        system_instruction: system,
        tools,
        tool_config,
        generation_config: GenerationBody::new(conversation, model, dropped),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

fn note_dropped(conversation: &Conversation<'_>, dropped: &mut Dropped) {
    if conversation.parallel_tool_calls == Some(false) {
        dropped.note(Feature::ParallelToolCalls);
    }
    if conversation.end_user.is_some() {
        dropped.note(Feature::EndUser);
    }
    dropped.note_members(&conversation.others);
}

/// Collects contents.
struct ContentWriter<'a, 'd> {
    names: HashMap<&'a str, &'a str>,
    /// Whether the model refuses calls without signatures.
    demands_signatures: bool,
    system: Vec<PartBody<'a>>,
    contents: Vec<ContentBody<'a>>,
    dropped: &'d mut Dropped,
}

impl<'a, 'd> ContentWriter<'a, 'd> {
    fn new(conversation: &'a Conversation<'_>, model: &str, dropped: &'d mut Dropped) -> Self {
        let calls = conversation.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
            Part::ToolCall(call) => Some((&*call.id, &*call.name)),
            _ => None,
        });
        let demands_signatures = generation_of(model).is_none_or(|generation| generation >= 3);
        Self { names: calls.collect(), demands_signatures, system: Vec::new(), contents: Vec::new(), dropped }
    }

    fn system(&mut self, parts: &'a [Part<'_>]) {
        for part in parts {
            match self.simple_part(part) {
                Some(PartBody::Said(said)) if said.text.is_some() => self.system.push(PartBody::Said(said)),
                Some(_) => self.dropped.note(Feature::SystemContent),
                None => {}
            }
        }
    }

    fn turn(&mut self, turn: &'a Turn<'_>) {
        if turn.name.is_some() {
            self.dropped.note(Feature::TurnName);
        }
        match turn.role {
            Role::System => self.system(&turn.parts),
            Role::User => self.user(&turn.parts),
            Role::Assistant => self.model(&turn.parts),
        }
    }

    fn user(&mut self, parts: &'a [Part<'_>]) {
        let (mut results, mut shown, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            if let Part::ToolResult(result) = part {
                self.result(result, &mut results, &mut shown);
            } else {
                said.extend(self.simple_part(part));
            }
        }
        results.append(&mut shown);
        let follows_results = self.contents.last().is_some_and(|last| is_results(last));
        if !results.is_empty() {
            self.add("user", results, follows_results);
        }
        if !said.is_empty() {
            let follows_words = self.contents.last().is_some_and(|last| last.role == Some("user") && !is_results(last));
            self.add("user", said, follows_words);
        }
    }

    fn add(&mut self, role: &'static str, mut parts: Vec<PartBody<'a>>, to_last: bool) {
        match self.contents.last_mut() {
            Some(last) if to_last => last.parts.append(&mut parts),
            _ => self.contents.push(ContentBody { role: Some(role), parts }),
        }
    }

    fn result(&mut self, result: &'a ToolResult<'_>, results: &mut Vec<PartBody<'a>>, shown: &mut Vec<PartBody<'a>>) {
        self.note_cache(result.cache.is_some());
        let mut texts = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text { text, .. } | Part::Refusal { text } => texts.push(&**text),
                part => shown.extend(self.simple_part(part)),
            }
        }
        let name = result.name.as_deref().or_else(|| self.names.get(&*result.call_id).copied()).unwrap_or(&result.call_id);
        let response = ResponseBody::new(&result.call_id, name, &texts.join("\n"), result.is_error);
        results.push(SaidBody { function_response: Some(response), ..SaidBody::default() }.into());
    }

    fn model(&mut self, parts: &'a [Part<'_>]) {
        let mut said: Vec<PartBody<'a>> = Vec::new();
        let mut calls = 0_u32;
        for part in parts {
            match part {
                Part::Thinking { text, signature: Some(signature) } if text.is_empty() && signature.origin == Dialect::Gemini => {
                    sign_text(signature, &mut said);
                }
                Part::ToolCall(call) => {
                    said.push(self.call(call, calls == 0));
                    calls = calls.saturating_add(1);
                }
                part => said.extend(self.simple_part(part)),
            }
        }
        if !said.is_empty() {
            let follows = self.contents.last().is_some_and(|last| last.role == Some("model"));
            self.add("model", said, follows);
        }
    }

    fn call(&mut self, call: &'a ToolCall<'_>, first: bool) -> PartBody<'a> {
        self.note_cache(call.cache.is_some());
        let own = call.signature.as_ref().filter(|signature| signature.origin == Dialect::Gemini);
        if call.signature.is_some() && own.is_none() {
            self.dropped.note(Feature::CallSignature);
        }
        let excused = (first && self.demands_signatures).then_some(NO_SIGNATURE);
        let thought_signature = own.map(|signature| &*signature.value).or(excused).map(Cow::Borrowed);
        let body = CallBody { id: Cow::Borrowed(&call.id), name: Cow::Borrowed(&call.name), args: arguments_object(&call.arguments) };
        SaidBody { function_call: Some(body), thought_signature, ..SaidBody::default() }.into()
    }

    /// A part that stands for itself; empty texts are refused by the API and left out.
    fn simple_part(&mut self, part: &'a Part<'_>) -> Option<PartBody<'a>> {
        match part {
            Part::Text { text, cache } => {
                self.note_cache(cache.is_some());
                (!text.is_empty()).then(|| PartBody::text(&**text))
            }
            Part::Refusal { text } => (!text.is_empty()).then(|| PartBody::text(&**text)),
            Part::Image(Image { source, detail, cache }) => {
                self.note_cache(cache.is_some());
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.dropped.note(Feature::ImageDetail);
                }
                self.file(source, Feature::of_image(source))
            }
            Part::Media(Media { source, name, cache }) => {
                self.note_cache(cache.is_some());
                if name.is_some() {
                    self.dropped.note(Feature::FileName);
                }
                self.file(source, Feature::of_media(source))
            }
            Part::Thinking { text, signature } => self.thinking(text, signature.as_ref()),
            Part::Opaque { dialect: Dialect::Gemini, json } => Some(PartBody::Opaque(json)),
            Part::Opaque { json, .. } => {
                self.dropped.note_part(json);
                None
            }
            Part::ToolCall(_) => {
                self.dropped.note(Feature::ToolCall);
                None
            }
            Part::ToolResult(_) => {
                self.dropped.note(Feature::ToolResult);
                None
            }
        }
    }

    fn thinking(&mut self, text: &'a str, signature: Option<&'a Signature<'_>>) -> Option<PartBody<'a>> {
        if signature.is_some_and(|signature| signature.origin != Dialect::Gemini) {
            self.dropped.note(Feature::ThoughtSignature);
            return None;
        }
        let signature = signature.map(|signature| Cow::Borrowed(&*signature.value));
        (signature.is_some() || !text.is_empty()).then(|| PartBody::thought(text, signature))
    }

    fn file(&mut self, source: &'a ImageSource<'_>, feature: Feature) -> Option<PartBody<'a>> {
        let uri = match source {
            ImageSource::Inline { media_type, data } => return Some(PartBody::blob(media_type, data)),
            ImageSource::Url(uri) => uri,
            ImageSource::File(uri) if uri.contains('/') => uri,
            ImageSource::File(_) => {
                self.dropped.note(feature);
                return None;
            }
        };
        let file = FileBody { mime_type: media_type_of(uri), file_uri: uri };
        Some(SaidBody { file_data: Some(file), ..SaidBody::default() }.into())
    }

    fn note_cache(&mut self, cached: bool) {
        if cached {
            self.dropped.note(Feature::CacheMark);
        }
    }

    fn finish(self) -> (Vec<ContentBody<'a>>, Option<ContentBody<'a>>) {
        if self.contents.is_empty() && !self.system.is_empty() {
            return (vec![ContentBody { role: Some("user"), parts: self.system }], None);
        }
        let system = (!self.system.is_empty()).then_some(ContentBody { role: None, parts: self.system });
        (self.contents, system)
    }
}

fn is_results(content: &ContentBody<'_>) -> bool {
    matches!(content.parts.first(), Some(PartBody::Said(said)) if said.function_response.is_some())
}

/// Puts the signature of a text onto that text, which is the last that was said; where there is none it stands alone.
fn sign_text<'a>(signature: &'a Signature<'_>, said: &mut Vec<PartBody<'a>>) {
    let value = Some(Cow::Borrowed(&*signature.value));
    match said.last_mut() {
        Some(PartBody::Said(last)) if !last.thought && last.function_call.is_none() && last.thought_signature.is_none() => {
            last.thought_signature = value;
        }
        _ => said.push(SaidBody { text: Some(Cow::Borrowed("")), thought_signature: value, ..SaidBody::default() }.into()),
    }
}
