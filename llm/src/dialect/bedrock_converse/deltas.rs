//! Reading a streamed answer.

use std::borrow::Cow;

use super::answer::{read_reason, read_stop_sequence, read_usage, redacted, signature};
use crate::{
    convert::{Block, Delta, Members, ReadAnswerError},
    dialect::anthropic_messages::deltas::blocks::OpenBlocks,
    request::ReadRequestError,
};

/// Reads the events of one stream. Events and deltas of types that the middle does not know are passed over.
#[derive(Debug, Default)]
pub(crate) struct DeltaReader {
    blocks: OpenBlocks,
    failed: bool,
}

impl DeltaReader {
    /// Reads one event: its type (`:event-type`, `:exception-type` of an exception, `error` where there is neither) and
    /// its payload.
    pub(crate) fn read<'e>(&mut self, event_type: &'e str, payload: &'e [u8], out: &mut Vec<Delta<'e>>) {
        if self.failed {
            return;
        }
        if let Err(error) = self.read_event(event_type, payload, out) {
            let error = ReadAnswerError::from(error);
            self.fail("api_error".into(), format!("the provider sent an event that can't be read: {error}").into(), out);
        }
    }

    /// Ends what is still open.
    pub(crate) fn finish(&mut self, out: &mut Vec<Delta<'static>>) {
        self.blocks.end_all(out);
    }

    fn fail<'e>(&mut self, kind: Cow<'e, str>, message: Cow<'e, str>, out: &mut Vec<Delta<'e>>) {
        self.failed = true;
        self.blocks.end_all(out);
        out.push(Delta::Error { kind, message });
    }

    fn read_event<'e>(&mut self, event_type: &'e str, payload: &'e [u8], out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        let mut event = Members::read("", payload)?;
        match event_type {
            "messageStart" => out.push(Delta::Start { id: "".into(), created: None, model: "".into() }),
            "contentBlockStart" => {
                let index = number(&mut event)?;
                if let Some(mut call) = event.object("start")?.map_or(Ok(None), |mut start| start.object("toolUse"))? {
                    let kind = Block::ToolCall { id: call.required_text("toolUseId")?, name: call.required_text("name")? };
                    self.blocks.begin(index, kind, out);
                }
            }
            "contentBlockDelta" => {
                let index = number(&mut event)?;
                let delta = event.object("delta")?.ok_or_else(|| event.wrong("delta", "an object"))?;
                self.read_delta(index, delta, out)?;
            }
            "contentBlockStop" => self.blocks.end(number(&mut event)?, out),
            "messageStop" => {
                let reason = event.required_text("stopReason")?;
                self.blocks.end_all(out);
                let stop_sequence = read_stop_sequence(&mut event)?;
                out.push(Delta::Finish { choice: 0, reason: read_reason(&reason), stop_sequence });
            }
            "metadata" => {
                if let Some(report) = event.object("usage")? {
                    out.push(Delta::Usage(read_usage(report)?));
                }
            }
            exception if exception.ends_with("Exception") || exception == "error" => {
                let message = event.text("message")?.unwrap_or("the provider broke off without a reason".into());
                self.fail(exception.into(), message, out);
            }
            _ => {}
        }
        Ok(())
    }

    /// Only calls have a start of their own; other blocks begin with their first piece.
    fn read_delta<'e>(&mut self, index: u32, mut delta: Members<'e>, out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        if let Some(text) = delta.text("text")? {
            self.begin(index, Block::Text, out);
            self.blocks.text(index, text, out);
        } else if let Some(mut call) = delta.object("toolUse")? {
            self.blocks.text(index, call.required_text("input")?, out);
        } else if let Some(mut thought) = delta.object("reasoningContent")? {
            self.begin(index, Block::Thinking, out);
            self.blocks.text(index, thought.text("text")?.unwrap_or_default(), out);
            if let Some(proof) = thought.text("signature")?.filter(|proof| !proof.is_empty()) {
                self.blocks.sign(index, signature(proof), out);
            }
            if let Some(data) = thought.text("redactedContent")? {
                self.blocks.sign(index, redacted(&data), out);
            }
        }
        Ok(())
    }

    fn begin<'e>(&mut self, index: u32, kind: Block<'e>, out: &mut Vec<Delta<'e>>) {
        if !self.blocks.has(index) {
            self.blocks.begin(index, kind, out);
        }
    }
}

fn number(event: &mut Members<'_>) -> Result<u32, ReadRequestError> {
    event.count("contentBlockIndex")?.ok_or_else(|| event.wrong("contentBlockIndex", "a whole number"))
}
