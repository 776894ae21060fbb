//! Reading a streamed answer.

use std::borrow::Cow;

use super::super::{
    answer::{consumption::Consumption, finish::read_finish},
    block::redacted_signature,
    failure::{API_ERROR, read_error},
};
use super::blocks::OpenBlocks;
use crate::{
    convert::{Block, Delta, Members, ReadAnswerError, Signature},
    dialect::Dialect,
    request::ReadRequestError,
    stream::sse::Event,
};

/// Reads the events of one stream.
///
/// Blocks and deltas of types that the middle does not know are passed over, as are events: newer versions of the API add them.
/// What can't be read at all is an error, for a piece of the answer is lost with it.
#[derive(Debug, Default)]
pub(crate) struct DeltaReader {
    blocks: OpenBlocks,
    consumption: Consumption,
    failed: bool,
}

impl DeltaReader {
    /// Reads one event.
    pub(crate) fn read<'e>(&mut self, event: &Event<'e>, out: &mut Vec<Delta<'e>>) {
        match &event.data {
            None => {}
            Some(Cow::Borrowed(data)) => self.read_data(data, out),
            Some(Cow::Owned(data)) => {
                let mut read = Vec::new();
                self.read_data(data, &mut read);
                for delta in read {
                    out.extend(owned(delta));
                }
            }
        }
    }

    /// Ends what is still open.
    pub(crate) fn finish(&mut self, out: &mut Vec<Delta<'static>>) {
        self.blocks.end_all(out);
    }

    fn read_data<'e>(&mut self, data: &'e [u8], out: &mut Vec<Delta<'e>>) {
        if self.failed {
            return;
        }
        if let Err(error) = self.read_event(data, out) {
            let error = ReadAnswerError::from(error);
            self.fail(API_ERROR.into(), format!("the provider sent an event that can't be read: {error}").into(), out);
        }
    }

    fn fail<'e>(&mut self, kind: Cow<'e, str>, message: Cow<'e, str>, out: &mut Vec<Delta<'e>>) {
        self.failed = true;
        self.blocks.end_all(out);
        out.push(Delta::Error { kind, message });
    }

    fn read_event<'e>(&mut self, data: &'e [u8], out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        let mut event = Members::read("", data)?;
        match &*event.required_text("type")? {
            "message_start" => self.read_start(&mut event, out)?,
            "content_block_start" => {
                let index = number(&mut event)?;
                let block = event.object("content_block")?.ok_or_else(|| event.wrong("content_block", "an object"))?;
                self.begin(index, block, out)?;
            }
            "content_block_delta" => {
                let index = number(&mut event)?;
                let delta = event.object("delta")?.ok_or_else(|| event.wrong("delta", "an object"))?;
                self.read_delta(index, delta, out)?;
            }
            "content_block_stop" => self.blocks.end(number(&mut event)?, out),
            "message_delta" => self.read_end(&mut event, out)?,
            "ping" => out.push(Delta::Ping),
            "error" => {
                let (kind, message) = read_error(data).unwrap_or((API_ERROR.into(), "the provider broke off without a reason".into()));
                self.fail(kind, message, out);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_start<'e>(&mut self, event: &mut Members<'e>, out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        let mut message = event.object("message")?.ok_or_else(|| event.wrong("message", "an object"))?;
        let (id, model) = (message.text("id")?.unwrap_or_default(), message.text("model")?.unwrap_or_default());
        out.push(Delta::Start { id, created: None, model });
        self.read_usage(message.object("usage")?, out)
    }

    fn read_usage(&mut self, report: Option<Members<'_>>, out: &mut Vec<Delta<'_>>) -> Result<(), ReadRequestError> {
        if let Some(report) = report {
            self.consumption.read(report)?;
            out.push(Delta::Usage(self.consumption.usage()));
        }
        Ok(())
    }

    fn begin<'e>(&mut self, index: u32, mut block: Members<'e>, out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        match &*block.required_text("type")? {
            "text" => {
                self.blocks.begin(index, Block::Text, out);
                self.blocks.text(index, block.text("text")?.unwrap_or_default(), out);
            }
            "thinking" => {
                self.blocks.begin(index, Block::Thinking, out);
                self.blocks.text(index, block.text("thinking")?.unwrap_or_default(), out);
                self.sign(index, block.text("signature")?, out);
            }
            "redacted_thinking" => {
                self.blocks.begin(index, Block::Thinking, out);
                self.blocks.sign(index, redacted_signature(&block.required_text("data")?), out);
            }
            "tool_use" => {
                let kind = Block::ToolCall { id: block.required_text("id")?, name: block.required_text("name")? };
                self.blocks.begin(index, kind, out);
                // Empty here, and pieces of it follow; some servers send it whole.
                let input = block.take("input").map_or("{}", serde_json::value::RawValue::get);
                let is_empty = input.strip_prefix('{').is_some_and(|inside| inside.trim_start() == "}");
                self.blocks.text(index, if is_empty { "" } else { input }.into(), out);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_delta<'e>(&mut self, index: u32, mut delta: Members<'e>, out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        let member = match &*delta.required_text("type")? {
            "text_delta" => "text",
            "thinking_delta" => "thinking",
            "input_json_delta" => "partial_json",
            "signature_delta" => {
                self.sign(index, delta.text("signature")?, out);
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.blocks.text(index, delta.required_text(member)?, out);
        Ok(())
    }

    fn sign<'e>(&self, index: u32, signature: Option<Cow<'e, str>>, out: &mut Vec<Delta<'e>>) {
        if let Some(signature) = signature.filter(|signature| !signature.is_empty()) {
            self.blocks.sign(index, Signature::read(Dialect::AnthropicMessages, signature), out);
        }
    }

    fn read_end<'e>(&mut self, event: &mut Members<'e>, out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        self.read_usage(event.object("usage")?, out)?;
        let Some(mut delta) = event.object("delta")? else { return Ok(()) };
        let Some(reason) = delta.text("stop_reason")? else { return Ok(()) };
        self.blocks.end_all(out);
        out.push(Delta::Finish { choice: 0, reason: read_finish(&reason), stop_sequence: delta.text("stop_sequence")? });
        Ok(())
    }
}

fn number(event: &mut Members<'_>) -> Result<u32, ReadRequestError> {
    event.count("index")?.ok_or_else(|| event.wrong("index", "a whole number"))
}

/// A piece on its own, away from the event it was read from.
fn owned(delta: Delta<'_>) -> Option<Delta<'static>> {
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    Some(match delta {
        Delta::Start { id, created, model } => Delta::Start { id: own(id), created, model: own(model) },
        Delta::Begin { choice, block, kind } => {
            let kind = match kind {
                Block::Text => Block::Text,
                Block::Thinking => Block::Thinking,
                Block::Refusal => Block::Refusal,
                Block::ToolCall { id, name } => Block::ToolCall { id: own(id), name: own(name) },
            };
            Delta::Begin { choice, block, kind }
        }
        Delta::Text { choice, block, text } => Delta::Text { choice, block, text: own(text) },
        Delta::Signed { choice, block, signature } => {
            Delta::Signed { choice, block, signature: Signature { origin: signature.origin, value: own(signature.value) } }
        }
        Delta::End { choice, block } => Delta::End { choice, block },
        Delta::Finish { choice, reason, stop_sequence } => Delta::Finish { choice, reason, stop_sequence: stop_sequence.map(own) },
        Delta::Usage(usage) => Delta::Usage(usage),
        Delta::Error { kind, message } => Delta::Error { kind: own(kind), message: own(message) },
        Delta::Ping => Delta::Ping,
        // This dialect has none.
        Delta::Logprobs { .. } => return None,
    })
}
