//! Content blocks as they are written.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{convert::Signature, dialect::Dialect};

use super::super::REDACTED;

/// One block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::dialect::anthropic_messages) enum BlockBody<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    Thinking {
        thinking: &'a str,
        signature: Cow<'a, str>,
    },
    RedactedThinking {
        data: &'a str,
    },
    Image {
        source: SourceBody<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    Document {
        source: SourceBody<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: InputBody<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<BlockBody<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    /// A block of this dialect that the middle does not know.
    #[serde(untagged)]
    Opaque(&'a RawValue),
}

impl<'a> BlockBody<'a> {
    /// A call whose arguments follow in pieces.
    pub(in crate::dialect::anthropic_messages) fn call(id: &'a str, name: &'a str) -> Self {
        Self::ToolUse { id: Cow::Borrowed(id), name, input: InputBody::Empty {}, cache_control: None }
    }

    /// A thought with its signature, redacted if that is what it was.
    pub(in crate::dialect::anthropic_messages) fn thought(text: &'a str, signature: &'a Signature<'_>) -> Self {
        match signature.value.strip_prefix(REDACTED) {
            Some(data) if signature.origin == Dialect::AnthropicMessages => Self::RedactedThinking { data },
            _ => Self::Thinking { thinking: text, signature: signature.written_in(Dialect::AnthropicMessages) },
        }
    }
}

/// Where a picture or a document is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::dialect::anthropic_messages) enum SourceBody<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
    File { file_id: &'a str },
    Text { media_type: &'static str, data: String },
}

/// What a tool is called with: always an object.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::dialect) enum InputBody<'a> {
    /// As the model wrote it.
    Object(&'a RawValue),
    /// Nothing, which models write as an empty text too.
    Empty {},
    /// What is no object: text for a tool that takes any, or what the model got wrong.
    Text { input: &'a str },
}

impl<'a> InputBody<'a> {
    pub(in crate::dialect) fn of(arguments: &'a str) -> Self {
        if arguments.trim().is_empty() {
            return Self::Empty {};
        }
        match serde_json::from_str::<&RawValue>(arguments) {
            Ok(object) if object.get().starts_with('{') => Self::Object(object),
            _ => Self::Text { input: arguments },
        }
    }
}
