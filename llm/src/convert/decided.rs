//! Whole answers that are looked at before they are passed on: read once, and written whole or replayed as a stream.
//!
//! Promises: a replay ends as a stream of its dialect does, and what a client accumulates of it is the answer. Leaves out: parts that only
//! one dialect knows, which have no place in a stream that is made here.

use std::borrow::Cow;

use super::{Answer, Block, Choice, ConvertError, Delta, Part, Stamp, hub};
use crate::dialect::Dialect;

/// Reads a buffered answer of a provider who speaks `from`.
pub fn read(from: Dialect, body: &[u8]) -> Result<Answer<'_>, ConvertError> {
    let answer = hub::read_answer(from, body).ok_or(ConvertError::Pair { from, to: from })?;
    Ok(answer?)
}

/// Writes an answer whole.
pub fn write(answer: &Answer<'_>, to: Dialect, stamp: &Stamp<'_>) -> Result<Vec<u8>, ConvertError> {
    hub::write_answer(to, answer, stamp).ok_or(ConvertError::Pair { from: to, to })
}

/// Writes an answer as the stream that would have given it.
pub fn replay(answer: &Answer<'_>, to: Dialect, stamp: &Stamp<'_>, include_usage: bool) -> Result<Vec<u8>, ConvertError> {
    let mut writer = hub::Writer::new(to, stamp, include_usage).ok_or(ConvertError::Pair { from: to, to })?;
    let mut out = Vec::new();
    let start = Delta::Start { id: Cow::Borrowed(&answer.id), created: answer.created, model: Cow::Borrowed(&answer.model) };
    writer.write(&start, &mut out);
    for (choice, said) in (0_u32..).zip(&answer.choices) {
        for delta in deltas(choice, said) {
            writer.write(&delta, &mut out);
        }
    }
    if let Some(usage) = answer.usage {
        writer.write(&Delta::Usage(usage), &mut out);
    }
    writer.finish(&mut out);
    Ok(out)
}

impl<'a> Answer<'a> {
    /// The text of the first choice.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = self.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
        let texts = parts.iter().filter_map(|part| match part {
            Part::Text { text, .. } => Some(text.as_ref()),
            _ => None,
        });
        texts.collect()
    }

    /// The same with `text` in place of what the first choice says.
    #[must_use]
    pub fn saying(mut self, text: &'a str) -> Self {
        if let Some(choice) = self.choices.first_mut() {
            choice.parts = vec![Part::Text { text: Cow::Borrowed(text), cache: None }];
            choice.logprobs = None;
        }
        self
    }
}

fn deltas<'a>(choice: u32, said: &'a Choice<'a>) -> Vec<Delta<'a>> {
    let mut deltas = Vec::new();
    let mut block = 0;
    let mut logprobs = said.logprobs.clone().map(|json| Delta::Logprobs { choice, json });
    for part in &said.parts {
        let (kind, text, signature) = match part {
            Part::Text { text, .. } => (Block::Text, text, None),
            Part::Refusal { text } => (Block::Refusal, text, None),
            Part::Thinking { text, signature } => (Block::Thinking, text, signature.as_ref()),
            Part::ToolCall(call) => {
                let kind = Block::ToolCall { id: Cow::Borrowed(&call.id), name: Cow::Borrowed(&call.name) };
                (kind, &call.arguments, call.signature.as_ref())
            }
            Part::Image(_) | Part::Media(_) | Part::ToolResult(_) | Part::Opaque { .. } => continue,
        };
        // A thought is signed at its end, a call as it begins.
        let signed = signature.map(|signature| Delta::Signed { choice, block, signature: signature.clone() });
        let (ahead, behind) = if matches!(kind, Block::ToolCall { .. }) { (signed, None) } else { (None, signed) };
        deltas.push(Delta::Begin { choice, block, kind });
        deltas.extend(ahead);
        if !text.is_empty() {
            deltas.push(Delta::Text { choice, block, text: Cow::Borrowed(text) });
        }
        deltas.extend(behind);
        // They are the text's, and some dialects have a place for them within it only.
        if matches!(part, Part::Text { .. }) {
            deltas.extend(logprobs.take());
        }
        deltas.push(Delta::End { choice, block });
        block = block.saturating_add(1);
    }
    deltas.extend(logprobs);
    deltas.push(Delta::Finish { choice, reason: said.finish, stop_sequence: said.stop_sequence.clone() });
    deltas
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = br#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"four"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;

    #[test]
    fn a_replay_ends_as_a_stream_of_its_dialect_does() {
        let answer = read(Dialect::OpenAiChat, WHOLE).expect("an answer");
        let stamp = Stamp { id: "chatcmpl-1", created: 1, model: "@all" };
        for (dialect, end) in [
            (Dialect::OpenAiChat, "data: [DONE]"),
            (Dialect::OpenAiResponses, "response.completed"),
            (Dialect::AnthropicMessages, "message_stop"),
            (Dialect::Gemini, "STOP"),
        ] {
            let stream = String::from_utf8(replay(&answer, dialect, &stamp, true).expect("a stream")).expect("text");
            assert!(stream.contains("four") && stream.contains(end), "{}: {stream}", dialect.name());
        }
    }

    #[test]
    fn log_probabilities_are_replayed_within_their_text_and_on_one_line() {
        let logprobs = "{\"content\":[\n {\"token\":\"four\",\"logprob\":-0.5,\"top_logprobs\":[]}\n]}";
        let whole = String::from_utf8_lossy(WHOLE).replace("\"finish_reason\"", &format!("\"logprobs\":{logprobs},\"finish_reason\""));
        let answer = read(Dialect::OpenAiChat, whole.as_bytes()).expect("an answer");
        let stamp = Stamp { id: "chatcmpl-1", created: 1, model: "@all" };
        for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini] {
            let stream = replay(&answer, dialect, &stamp, true).expect("a stream");
            let heard = super::super::accumulated::Accumulated::of(dialect, &stream).answer();
            let said = heard.choices.first().and_then(|choice| choice.logprobs.as_ref()).map(|json| json.get());
            assert!(said.is_some_and(|json| json.contains("-0.5")), "{}: {}", dialect.name(), String::from_utf8_lossy(&stream));
        }
    }

    #[test]
    fn what_was_decided_takes_the_place_of_what_was_said() {
        let answer = read(Dialect::OpenAiChat, WHOLE).expect("an answer").saying("5");
        let stamp = Stamp { id: "chatcmpl-1", created: 1, model: "@all" };
        let body = write(&answer, Dialect::OpenAiChat, &stamp).expect("a body");
        assert_eq!(read(Dialect::OpenAiChat, &body).expect("an answer").text(), "5");
    }
}
