//! Writing a streamed answer, in the sequence that Anthropic's SDKs and Claude Code want:
//!
//! `message_start` with a usage, `ping`, then each block with start, deltas and stop, numbered from 0 and one after the other, then
//! `message_delta` with `stop_reason` and the whole usage, and `message_stop`. An error is an event of its own, behind which nothing
//! comes.
//!
//! What providers do differently: calls that are written side by side are sorted out (the first goes out as it comes, the others wait
//! for its end); a block that stays empty does not appear; usage that comes behind the end is waited for, so `message_delta` is written
//! by [`DeltaWriter::finish`].

use std::collections::VecDeque;

use serde::Serialize;

use super::super::{
    answer::{
        consumption::ConsumptionBody,
        finish::{MALFORMED_CALL, finish_word},
        message_id, signature_of_call,
    },
    block::BlockBody,
    failure::{API_ERROR, ErrorBody},
    to_json,
};
use super::event::{BlockDelta, EventBody, StartBody, StopBody};
use crate::{
    convert::{Block, Delta, FinishReason, Signature, Stamp, take_over},
    dialect::Dialect,
    usage::Usage,
};

/// Writes one stream: the first answer of it, for this dialect has one.
#[derive(Debug)]
pub(crate) struct DeltaWriter {
    id: String,
    model: String,
    usage: Option<Usage>,
    started: bool,
    failed: bool,
    called: bool,
    written: u32,
    /// The first is being written, the others wait for it.
    blocks: VecDeque<Pending>,
    finish: Option<(FinishReason, Option<String>)>,
}

/// A block that has begun and not been written to its end.
#[derive(Debug)]
struct Pending {
    block: u32,
    kind: Block<'static>,
    /// Whether its start is written.
    shown: bool,
    text: String,
    signature: Option<Signature<'static>>,
    ended: bool,
}

impl DeltaWriter {
    /// For a stream that is stamped so. `input_tokens`: how long the request is, where that is known before the provider says it at
    /// the end; clients show it from `message_start` on.
    pub(crate) fn new(stamp: &Stamp<'_>, input_tokens: Option<u64>) -> Self {
        Self {
            id: message_id(stamp.id).into_owned(),
            model: stamp.model.to_owned(),
            usage: input_tokens.map(|input_tokens| Usage { input_tokens: Some(input_tokens), ..Usage::default() }),
            started: false,
            failed: false,
            called: false,
            written: 0,
            blocks: VecDeque::new(),
            finish: None,
        }
    }

    /// Writes one piece.
    pub(crate) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        match delta {
            Delta::Start { .. } => self.start(out),
            Delta::Begin { choice: 0, block, kind } => self.begin(*block, kind, out),
            Delta::Text { choice: 0, block, text } => self.text(*block, text, out),
            Delta::Signed { choice: 0, block, signature } => self.sign(*block, signature),
            Delta::End { choice: 0, block } => self.end(*block, out),
            Delta::Finish { choice: 0, reason, stop_sequence } => {
                self.finish = Some((*reason, stop_sequence.as_deref().map(str::to_owned)));
            }
            Delta::Usage(usage) => take_over(&mut self.usage, usage),
            Delta::Error { kind, message } => self.fail(kind, message, out),
            Delta::Ping => event(out, "ping", &EventBody::Ping {}),
            Delta::Begin { .. } | Delta::Text { .. } | Delta::Signed { .. } | Delta::End { .. } | Delta::Finish { .. } => {}
            // Nobody can ask for them in this dialect.
            Delta::Logprobs { .. } => {}
        }
    }

    /// Writes the end.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        self.start(out);
        self.blocks.iter_mut().for_each(|block| block.ended = true);
        self.advance(out);
        let (reason, stop_sequence) = self.finish.take().unwrap_or((FinishReason::Other, None));
        let Some(stop_reason) = finish_word(reason, self.called) else { return self.fail(API_ERROR, MALFORMED_CALL, out) };
        let usage = (&self.usage.unwrap_or_default()).into();
        let delta = StopBody { stop_reason, stop_sequence: stop_sequence.as_deref() };
        event(out, "message_delta", &EventBody::MessageDelta { delta, usage });
        event(out, "message_stop", &EventBody::MessageStop {});
    }

    /// Writes an error; nothing may follow.
    pub(crate) fn fail(&mut self, kind: &str, message: &str, out: &mut Vec<u8>) {
        self.failed = true;
        event(out, "error", &ErrorBody::new(kind, message));
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let usage: ConsumptionBody = (&self.usage.unwrap_or_default()).into();
        event(out, "message_start", &EventBody::MessageStart { message: StartBody::new(&self.id, &self.model, usage) });
        event(out, "ping", &EventBody::Ping {});
    }

    fn begin(&mut self, block: u32, kind: &Block<'_>, out: &mut Vec<u8>) {
        self.start(out);
        let kind = match kind {
            Block::Text | Block::Refusal => Block::Text,
            Block::Thinking => Block::Thinking,
            Block::ToolCall { id, name } => Block::ToolCall { id: id.to_string().into(), name: name.to_string().into() },
        };
        self.called |= matches!(kind, Block::ToolCall { .. });
        self.blocks.push_back(Pending { block, kind, shown: false, text: String::new(), signature: None, ended: false });
        self.advance(out);
    }

    fn text(&mut self, block: u32, text: &str, out: &mut Vec<u8>) {
        if let Some(pending) = self.blocks.iter_mut().find(|pending| pending.block == block) {
            pending.text.push_str(text);
            self.advance(out);
        }
    }

    /// A signature waits for the end of its block: only then is it known whether there is a text to it.
    fn sign(&mut self, block: u32, signature: &Signature<'_>) {
        if let Some(pending) = self.blocks.iter_mut().find(|pending| pending.block == block) {
            pending.signature = Some(Signature { origin: signature.origin, value: signature.value.to_string().into() });
        }
    }

    fn end(&mut self, block: u32, out: &mut Vec<u8>) {
        if let Some(pending) = self.blocks.iter_mut().find(|pending| pending.block == block) {
            pending.ended = true;
            self.advance(out);
        }
    }

    /// Writes what may go out by now.
    fn advance(&mut self, out: &mut Vec<u8>) {
        while let Some(first) = self.blocks.front_mut() {
            first.show(self.written, out);
            if !first.ended {
                return;
            }
            self.written = first.close(self.written, out);
            self.blocks.pop_front();
        }
    }
}

impl Pending {
    /// Writes the start, once there is anything to show, and the text that has come.
    fn show(&mut self, index: u32, out: &mut Vec<u8>) {
        if !self.shown {
            let content_block = match &self.kind {
                Block::ToolCall { id, name } => BlockBody::call(id, name),
                _ if self.text.is_empty() => return,
                Block::Thinking => BlockBody::Thinking { thinking: "", signature: "".into() },
                Block::Text | Block::Refusal => BlockBody::Text { text: "", cache_control: None },
            };
            event(out, "content_block_start", &EventBody::ContentBlockStart { index, content_block });
            self.shown = true;
        }
        if self.text.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let delta = match &self.kind {
            Block::ToolCall { .. } => BlockDelta::Input { partial_json: &text },
            Block::Thinking => BlockDelta::Thinking { thinking: &text },
            Block::Text | Block::Refusal => BlockDelta::Text { text: &text },
        };
        event(out, "content_block_delta", &EventBody::ContentBlockDelta { index, delta });
    }

    /// Writes signature and stop; returns the number of the next block.
    fn close(&self, index: u32, out: &mut Vec<u8>) -> u32 {
        let next = index.saturating_add(u32::from(self.shown));
        match (&self.kind, &self.signature) {
            (Block::Thinking, Some(signature)) if self.shown => {
                let signature = signature.written_in(Dialect::AnthropicMessages);
                let delta = BlockDelta::Signature { signature: &signature };
                event(out, "content_block_delta", &EventBody::ContentBlockDelta { index, delta });
                stop(index, out);
                next
            }
            (Block::Thinking, Some(signature)) => whole(BlockBody::thought("", signature), index, out),
            (Block::ToolCall { .. }, Some(signature)) => {
                stop(index, out);
                whole(BlockBody::Thinking { thinking: "", signature: signature_of_call(signature).into() }, next, out)
            }
            _ => {
                if self.shown {
                    stop(index, out);
                }
                next
            }
        }
    }
}

/// Writes a block that has no pieces but a signature; returns the number of the next block.
fn whole(block: BlockBody<'_>, index: u32, out: &mut Vec<u8>) -> u32 {
    let (content_block, signature) = match block {
        BlockBody::Thinking { thinking, signature } => (BlockBody::Thinking { thinking, signature: "".into() }, Some(signature)),
        redacted => (redacted, None),
    };
    event(out, "content_block_start", &EventBody::ContentBlockStart { index, content_block });
    if let Some(signature) = signature {
        let delta = BlockDelta::Signature { signature: &signature };
        event(out, "content_block_delta", &EventBody::ContentBlockDelta { index, delta });
    }
    stop(index, out);
    index.saturating_add(1)
}

fn stop(index: u32, out: &mut Vec<u8>) {
    event(out, "content_block_stop", &EventBody::ContentBlockStop { index });
}

/// JSON has no line breaks in it, so it is one `data` line.
fn event(out: &mut Vec<u8>, name: &str, body: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(&to_json(body));
    out.extend_from_slice(b"\n\n");
}
