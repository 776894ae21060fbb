//! Counts of tokens, as callers who ask for them expect it: Gemini's `countTokens` and Anthropic's `count_tokens`.
//!
//! Of requests: which part of a body is counted, and how it is said to a provider who counts in another dialect. Of counts: reading and
//! writing them. And [`tokens`], what a conversation comes to by a tokenizer that somebody else brings.
//!
//! Leaves out: tokenizers, whose vocabularies are megabytes.

use bytes::Bytes;
use serde::Deserialize;

use super::{Conversation, ConvertError, Dropped, Part, Tool, ToolResult, hub, writing};
use crate::{
    dialect::{Dialect, anthropic_messages, gemini},
    request::ReadRequestError,
    response::add_member,
    tokens::{FILE_BOUND, IMAGE_LIKELY},
};

/// What OpenAI's chat template takes for each message, by its own documentation.
const PER_MESSAGE: u64 = 3;
/// What it takes for the beginning of the answer.
const PRIMING: u64 = 3;

/// The part of a body that is counted: all of it, or the whole request that stands within it (Gemini's `generateContentRequest`).
pub fn counted_part(dialect: Dialect, body: &Bytes) -> Result<Bytes, ReadRequestError> {
    match dialect {
        Dialect::Gemini => Ok(gemini::counted_part(body)?.map_or_else(|| body.clone(), |part| body.slice_ref(part))),
        _ => Ok(body.clone()),
    }
}

/// Says a request to count, which was written in `from`, to a provider who counts in `to`.
pub fn request(from: Dialect, body: &[u8], to: Dialect, model: &str) -> Result<(Vec<u8>, Dropped), ConvertError> {
    let pair = ConvertError::Pair { from, to };
    let mut conversation = hub::read_conversation(from, body).ok_or_else(|| pair.clone())??;
    if let Some(field) = conversation.state {
        return Err(ConvertError::State { field });
    }
    let mut dropped = Dropped::of(from).written_as(std::mem::take(&mut conversation.written_as));
    conversation.forget_files(&mut dropped);
    conversation.origin = Some(from);
    let written = match to {
        Dialect::AnthropicMessages => anthropic_messages::write_counted(&conversation, model, &mut dropped),
        Dialect::Gemini => gemini::write_conversation(&conversation, model, &mut dropped),
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => return Err(pair),
    };
    Ok((written, dropped))
}

/// A request of Gemini's as its counter wants it: within another object, and with its model.
#[must_use]
pub fn wrapped_for_gemini(request: Bytes, model: &str) -> Bytes {
    #[derive(Deserialize)]
    struct Named {
        model: Option<serde::de::IgnoredAny>,
    }
    let named = serde_json::from_slice::<Named>(&request).is_ok_and(|named| named.model.is_some());
    let quoted = serde_json::Value::from(format!("models/{model}")).to_string();
    let request = match named {
        true => request,
        false => add_member(&request, "model", quoted.as_bytes()).unwrap_or(request),
    };
    let mut out = Vec::with_capacity(request.len().saturating_add(32));
    writing::object(&mut out, |body| {
        body.written("generateContentRequest", &request);
    });
    Bytes::from(out)
}

/// The count that a provider gives; `None` where there is none in its answer.
#[must_use]
pub fn read_token_count(dialect: Dialect, answer: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Counted {
        total_tokens: Option<u64>,
        #[serde(rename = "input_tokens")]
        input_tokens: Option<u64>,
    }
    let Counted { total_tokens, input_tokens } = serde_json::from_slice(answer).ok()?;
    if dialect == Dialect::Gemini { total_tokens } else { input_tokens }
}

/// Writes a count; `None` in a dialect that has no such reply.
#[must_use]
pub fn write_token_count(dialect: Dialect, tokens: u64) -> Option<Vec<u8>> {
    let member = match dialect {
        Dialect::Gemini => "totalTokens",
        Dialect::AnthropicMessages => "input_tokens",
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => return None,
    };
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member(member, tokens);
    });
    Some(out)
}

/// How many tokens a request has for a model whose tokenizer is `count`, in OpenAI's template of messages. Pictures and files are not text
/// and count as [`IMAGE_LIKELY`] and [`FILE_BOUND`].
pub fn tokens(dialect: Dialect, body: &[u8], count: impl Fn(&str) -> u64) -> Result<u64, ConvertError> {
    let conversation = hub::read_conversation(dialect, body).ok_or(ConvertError::Pair { from: dialect, to: dialect })??;
    let mut sum = Sum { count, tokens: PRIMING };
    sum.conversation(&conversation);
    Ok(sum.tokens)
}

/// A count in progress.
struct Sum<C> {
    count: C,
    tokens: u64,
}

impl<C: Fn(&str) -> u64> Sum<C> {
    fn conversation(&mut self, conversation: &Conversation<'_>) {
        if !conversation.system.is_empty() {
            self.message("system", &conversation.system);
        }
        for turn in &conversation.turns {
            self.text(turn.name.as_deref().unwrap_or_default());
            self.message("user", &turn.parts);
        }
        for tool in &conversation.tools {
            match tool {
                Tool::Function { name, description, parameters, .. } => {
                    self.text(name);
                    self.text(description.as_deref().unwrap_or_default());
                    self.text(parameters.as_ref().map(|json| json.get()).unwrap_or_default());
                }
                Tool::Opaque { json, .. } => self.text(json.get()),
            }
        }
    }

    fn message(&mut self, role: &str, parts: &[Part<'_>]) {
        self.add(PER_MESSAGE);
        self.text(role);
        self.parts(parts);
    }

    fn parts(&mut self, parts: &[Part<'_>]) {
        for part in parts {
            match part {
                Part::Text { text, .. } | Part::Refusal { text } | Part::Thinking { text, .. } => self.text(text),
                Part::Image(_) => self.add(IMAGE_LIKELY),
                Part::Media(_) => self.add(FILE_BOUND),
                Part::ToolCall(call) => {
                    self.text(&call.name);
                    self.text(&call.arguments);
                }
                Part::ToolResult(ToolResult { parts, .. }) => self.parts(parts),
                Part::Opaque { json, .. } => self.text(json.get()),
            }
        }
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.add((self.count)(text));
        }
    }

    fn add(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn words(text: &str) -> u64 {
        text.split_whitespace().count() as u64
    }

    #[test]
    fn each_dialect_has_its_own_word() {
        let written = |dialect| write_token_count(dialect, 42).map(|body| String::from_utf8(body).unwrap());
        assert_eq!(written(Dialect::Gemini).unwrap(), r#"{"totalTokens":42}"#);
        assert_eq!(written(Dialect::AnthropicMessages).unwrap(), r#"{"input_tokens":42}"#);
        assert_eq!(written(Dialect::OpenAiChat), None);
        assert_eq!(read_token_count(Dialect::Gemini, br#"{"totalTokens":42,"x":{}}"#), Some(42));
        assert_eq!(read_token_count(Dialect::AnthropicMessages, br#"{"totalTokens":42}"#), None);
    }

    #[test]
    fn a_whole_request_of_geminis_is_counted_and_said_as_one() {
        let body = Bytes::from_static(br#"{"generateContentRequest":{"contents":[{"parts":[{"text":"a b"}]}]}}"#);
        let part = counted_part(Dialect::Gemini, &body).unwrap();
        assert_eq!(part, r#"{"contents":[{"parts":[{"text":"a b"}]}]}"#);
        let again: Value = serde_json::from_slice(&wrapped_for_gemini(part, "m-1")).unwrap();
        assert_eq!(again["generateContentRequest"]["model"], json!("models/m-1"));
        let named = wrapped_for_gemini(Bytes::from_static(br#"{"model":"models/m-1","contents":[]}"#), "m-1");
        assert_eq!(named, r#"{"generateContentRequest":{"model":"models/m-1","contents":[]}}"#);
        let both = Bytes::from_static(br#"{"contents":[],"generateContentRequest":{}}"#);
        assert!(counted_part(Dialect::Gemini, &both).is_err());
    }

    #[test]
    fn only_what_counts_is_said_to_a_provider_who_counts() {
        let body = br#"{"contents":[{"parts":[{"text":"a b"}]}],"generationConfig":{"maxOutputTokens":5,"temperature":1}}"#;
        let (asked, _) = request(Dialect::Gemini, body, Dialect::AnthropicMessages, "claude").unwrap();
        let asked: Value = serde_json::from_slice(&asked).unwrap();
        let members: Vec<&String> = asked.as_object().unwrap().keys().collect();
        assert_eq!(members, ["messages", "model"]);
        assert!(request(Dialect::Gemini, body, Dialect::OpenAiChat, "gpt").is_err());
    }

    #[test]
    fn text_calls_results_and_tools_are_counted() {
        let body = json!({
            "model": "m", "system": "be brief",
            "messages": [
                {"role": "user", "content": "one two three"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "find", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "four five"}]},
            ],
            "tools": [{"name": "find", "description": "finds it", "input_schema": {"type": "object"}}],
        });
        let counted = tokens(Dialect::AnthropicMessages, body.to_string().as_bytes(), words).unwrap();
        // Four messages of three and a role, what opens the answer, and the words: two, three, a call with its arguments, two, the tool.
        assert_eq!(counted, 4 * (PER_MESSAGE + 1) + PRIMING + 2 + 3 + 2 + 2 + (1 + 2 + 1));
    }
}
