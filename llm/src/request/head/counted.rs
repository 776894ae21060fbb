//! What a prompt comes to at most, with its texts counted by a tokenizer in place of their bytes.
//!
//! Of the bound that lengths give ([`crate::tokens`]) only the bytes of texts are replaced. What is around them stays at its bytes: brackets,
//! names, roles, ids, schemas, whatever isn't known. So what a template puts around a message is paid by the JSON around it, as before; that is
//! some 20 tokens a message too many, and what is lost where two texts that were counted apart are read as one is far below that. Pictures,
//! files and tools stay at their bounds.
//!
//! Counted are strings that the model reads as they are: what was said, results of tools in words, arguments that are text already,
//! instructions. What a provider has to print first is not (arguments and results that are JSON), because who prints it may escape it. A
//! part whose bytes do not count, as it counts as a picture, has no text to count either: by the very same marks.
//!
//! Leaves out: tokenizers, whose vocabularies are megabytes; and whether the one at hand is the model's.

use super::{
    prompt::{LEVELS, Marks, holds_parts, mark, mark_by_member},
    slot::Slot,
};
use crate::{
    dialect::Dialect,
    json::{Cursor, Kind, SyntaxError, Value},
    tokens::{PromptSizes, estimate},
};

/// Counts the tokens of one text.
type Count<'c> = &'c dyn Fn(&str) -> u64;

/// The most input tokens that `body` can have for a model whose tokenizer is `count`; never above the bound that lengths give. `sizes` are
/// those of the head that was read from the same body.
///
/// # Errors
/// When the body is not JSON.
pub fn counted_bound(dialect: Dialect, body: &[u8], sizes: &PromptSizes, count: Count<'_>) -> Result<u64, SyntaxError> {
    let (mut cursor, mut sizes) = (Cursor::new(body), *sizes);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let name = key.key_bytes();
        let measured = match Slot::of(dialect, &name) {
            Slot::Prompt(_) => &mut sizes.message_bytes,
            Slot::Other if says_something(dialect, &name) => &mut sizes.other_bytes,
            _ => {
                cursor.value()?;
                continue;
            }
        };
        *measured = measured.saturating_sub(saved(&mut cursor, count, LEVELS)?);
    }
    Ok(estimate(&sizes).bound)
}

/// Members besides the prompt that are read to the model as they are.
fn says_something(dialect: Dialect, name: &[u8]) -> bool {
    match dialect {
        Dialect::OpenAiResponses => name == b"instructions",
        Dialect::AnthropicMessages | Dialect::BedrockConverse => name == b"system",
        Dialect::Gemini => matches!(name, b"systemInstruction" | b"system_instruction"),
        Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => false,
    }
}

/// By how much the tokens of the texts in the next value are fewer than their bytes.
fn saved(cursor: &mut Cursor<'_>, count: Count<'_>, levels: u32) -> Result<u64, SyntaxError> {
    match cursor.kind()? {
        Kind::String => Ok(saved_in(&cursor.value()?, count)),
        Kind::Array if levels > 0 => {
            let (mut sum, mut walk) = (0_u64, cursor.begin_array()?);
            while cursor.next_element(&mut walk)? {
                sum = sum.saturating_add(saved(cursor, count, levels.saturating_sub(1))?);
            }
            Ok(sum)
        }
        Kind::Object if levels > 0 => saved_in_part(cursor, count, levels.saturating_sub(1)),
        _ => cursor.value().map(|_| 0),
    }
}

fn saved_in_part(cursor: &mut Cursor<'_>, count: Count<'_>, below: u32) -> Result<u64, SyntaxError> {
    let (mut marks, mut sum) = (Marks::default(), 0_u64);
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let name = key.key_bytes();
        let is_null = cursor.kind()? == Kind::Null;
        if holds_parts(&name) {
            marks.text |= !is_null;
        }
        if is_read_on(&name) {
            sum = sum.saturating_add(saved(cursor, count, below)?);
            continue;
        }
        let value = cursor.value()?;
        if *name == *b"type" {
            mark(&mut marks, &value.key_bytes());
        } else if !is_null {
            mark_by_member(&mut marks, &name, &value)?;
            if is_text(&name) {
                sum = sum.saturating_add(saved_in(&value, count));
            }
        }
    }
    Ok(if marks.is_measured_as_picture() { 0 } else { sum })
}

/// Members with parts or texts in them. Gemini's results of functions hold parts too, but what is in them is printed before it is read.
fn is_read_on(name: &[u8]) -> bool {
    matches!(name, b"content" | b"parts" | b"output" | b"toolResult" | b"tool_calls" | b"function" | b"function_call")
}

/// Members that are texts where they are strings.
fn is_text(name: &[u8]) -> bool {
    matches!(name, b"text" | b"refusal" | b"arguments" | b"input")
}

fn saved_in(text: &Value<'_>, count: Count<'_>) -> u64 {
    let written = u64::try_from(text.inner().unwrap_or_default().len()).unwrap_or(u64::MAX);
    // What is no Unicode stays at its bytes.
    text.as_str().map_or(0, |text| written.saturating_sub(count(&text)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Every text that is counted saves a token here.
    fn counted_in(dialect: Dialect, body: &Value) -> u64 {
        let body = body.to_string();
        let head = dialect.read_head(body.as_bytes(), None).unwrap();
        let count = |text: &str| text.len() as u64 - 1;
        head.estimate().bound - counted_bound(dialect, body.as_bytes(), &head.sizes, &count).unwrap()
    }

    const LONG: &str = "one text of thirty characters.";

    #[test]
    fn what_is_said_and_what_instructs_is_counted_in_every_dialect() {
        for (dialect, body, texts) in [
            (
                Dialect::OpenAiChat,
                json!({"model": "m", "messages": [
                    {"role": "system", "content": LONG}, {"role": "user", "content": [{"type": "text", "text": LONG}]},
                    {"role": "assistant", "tool_calls": [{"id": LONG, "type": "function", "function": {"name": LONG, "arguments": LONG}}]},
                    {"role": "tool", "tool_call_id": LONG, "content": LONG}]}),
                4,
            ),
            (
                Dialect::OpenAiResponses,
                json!({"model": "m", "instructions": LONG, "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": LONG}]}, {"type": "function_call", "arguments": LONG},
                    {"type": "function_call_output", "output": LONG}, {"type": "reasoning", "encrypted_content": LONG}]}),
                4,
            ),
            (Dialect::OpenAiResponses, json!({"model": "m", "input": LONG}), 1),
            (Dialect::OpenAiEmbeddings, json!({"model": "m", "input": [LONG, LONG]}), 2),
            (
                Dialect::AnthropicMessages,
                json!({"model": "m", "max_tokens": 1, "system": [{"type": "text", "text": LONG}], "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "n", "input": {"text": LONG}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i", "content": LONG}]}]}),
                2,
            ),
        ] {
            assert_eq!(counted_in(dialect, &body), texts, "{body}");
        }
    }

    #[test]
    fn what_is_printed_before_it_is_read_stays_at_its_bytes() {
        let part = json!({"functionResponse": {"name": "f", "response": {"text": LONG}, "content": LONG}});
        let body = json!({"model": "m", "contents": [{"parts": [part, {"functionCall": {"name": "f", "args": {"text": LONG}}}]}]});
        assert_eq!(counted_in(Dialect::Gemini, &body), 0);
    }

    #[test]
    fn a_part_that_counts_as_a_picture_has_no_text_to_count() {
        let picture = json!({"type": "image_url", "image_url": {"url": LONG}, "arguments": LONG});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [picture, {"type": "text", "text": LONG}]}]});
        assert_eq!(counted_in(Dialect::OpenAiChat, &body), 1);
        // With a text beside the picture the bytes count, and so does the text.
        let both = json!({"type": "image_url", "image_url": {"url": LONG}, "text": LONG});
        assert_eq!(counted_in(Dialect::OpenAiChat, &json!({"model": "m", "messages": [{"content": [both]}]})), 1);
    }

    #[test]
    fn a_count_replaces_the_bytes_of_a_text_and_never_more() {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "a\nb ü"}]}).to_string();
        let head = Dialect::OpenAiChat.read_head(body.as_bytes(), None).unwrap();
        let counted = |tokens| {
            counted_bound(Dialect::OpenAiChat, body.as_bytes(), &head.sizes, &move |text| {
                assert_eq!(text, "a\nb ü", "it is counted as the model reads it");
                tokens
            })
        };
        let bytes = "a\\nb ü".len() as u64;
        assert_eq!(counted(3).unwrap(), head.estimate().bound - (bytes - 3));
        assert_eq!(counted(1_000).unwrap(), head.estimate().bound);
    }
}
