//! Writing a stream.

use std::borrow::Cow;

use super::super::{
    answer::{CandidateBody, ReplyBody, UsageBody, write_failure},
    content::{PartBody, call_part, write_signature},
};
use crate::{
    convert::{Block, Delta, FinishReason, Signature, Stamp, ToolCall, take_over, writing::keep_in_line},
    usage::Usage,
};

/// Writes the events of a reply.
#[derive(Debug)]
pub(crate) struct DeltaWriter {
    id: String,
    model: String,
    blocks: Vec<Open>,
    /// Answers that ended. Their ends go out with the usage, in one last event, as Gemini has it.
    finished: Vec<(u32, FinishReason)>,
    usage: Option<Usage>,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    choice: u32,
    block: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking,
    /// A call so far: it goes out whole.
    Call(Box<ToolCall<'static>>),
}

impl DeltaWriter {
    /// At the beginning of a stream.
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        let (id, model) = (stamp.id.to_owned(), stamp.model.to_owned());
        Self { id, model, blocks: Vec::new(), finished: Vec::new(), usage: None }
    }

    /// Writes what one delta brings.
    pub(crate) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => {}
            Delta::Begin { choice, block, kind } => self.begin(*choice, *block, kind),
            Delta::Text { choice, block, text } => self.text(*choice, *block, text, out),
            Delta::Signed { choice, block, signature } => self.signed(*choice, *block, signature, out),
            Delta::Logprobs { choice, json } => self.candidate(CandidateBody::weighed(*choice, json), out),
            Delta::End { choice, block } => self.end(*choice, *block, out),
            Delta::Finish { choice, reason, .. } => self.finished.push((*choice, *reason)),
            Delta::Usage(usage) => take_over(&mut self.usage, usage),
            Delta::Error { kind, message } => self.fail(kind, message, out),
            // An empty line is nothing, while Google's Python client takes a comment for JSON.
            Delta::Ping => out.push(b'\n'),
        }
    }

    /// Writes the ends and the usage; nothing follows. A stream that said of no answer why it ended still ends: clients tell by that word
    /// whether it was cut.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let mut finished = std::mem::take(&mut self.finished);
        if finished.is_empty() {
            finished.push((0, FinishReason::Other));
        }
        let candidates = finished.into_iter().map(|(choice, reason)| CandidateBody::finished(choice, reason)).collect();
        let usage = self.usage.take();
        let body = self.reply(candidates, usage.as_ref().map(UsageBody::from)).to_json();
        frame(&body, out);
    }

    /// Writes an error; nothing may follow.
    pub(crate) fn fail(&mut self, kind: &str, message: &str, out: &mut Vec<u8>) {
        frame(&write_failure(kind, message), out);
    }

    fn begin(&mut self, choice: u32, block: u32, kind: &Block<'_>) {
        let kind = match kind {
            Block::Text | Block::Refusal => Kind::Text,
            Block::Thinking => Kind::Thinking,
            Block::ToolCall { id, name } => {
                let (id, name) = (Cow::Owned(id.to_string()), Cow::Owned(name.to_string()));
                Kind::Call(Box::new(ToolCall { id, name, arguments: Cow::Owned(String::new()), signature: None, cache: None }))
            }
        };
        self.blocks.push(Open { choice, block, kind });
    }

    fn text(&mut self, choice: u32, block: u32, text: &str, out: &mut Vec<u8>) {
        let part = match self.open(choice, block) {
            _ if text.is_empty() => return,
            None => return,
            Some(Kind::Call(call)) => return call.arguments.to_mut().push_str(text),
            Some(Kind::Text) => PartBody::text(text),
            Some(Kind::Thinking) => PartBody::thought(text, None),
        };
        self.candidate(CandidateBody::said(choice, vec![part]), out);
    }

    fn signed(&mut self, choice: u32, block: u32, signature: &Signature<'_>, out: &mut Vec<u8>) {
        match self.open(choice, block) {
            Some(Kind::Call(call)) => {
                call.signature = Some(Signature { origin: signature.origin, value: Cow::Owned(signature.value.to_string()) });
            }
            Some(Kind::Thinking) => {
                let part = PartBody::thought("", Some(write_signature(signature)));
                self.candidate(CandidateBody::said(choice, vec![part]), out);
            }
            Some(Kind::Text) | None => {}
        }
    }

    fn end(&mut self, choice: u32, block: u32, out: &mut Vec<u8>) {
        let Some(place) = self.blocks.iter().position(|open| open.choice == choice && open.block == block) else { return };
        if let Kind::Call(call) = self.blocks.remove(place).kind {
            self.candidate(CandidateBody::said(choice, vec![call_part(&call)]), out);
        }
    }

    fn open(&mut self, choice: u32, block: u32) -> Option<&mut Kind> {
        self.blocks.iter_mut().find(|open| open.choice == choice && open.block == block).map(|open| &mut open.kind)
    }

    fn candidate(&mut self, candidate: CandidateBody<'_>, out: &mut Vec<u8>) {
        let body = self.reply(vec![candidate], None).to_json();
        frame(&body, out);
    }

    fn reply<'a>(&'a self, candidates: Vec<CandidateBody<'a>>, usage_metadata: Option<UsageBody>) -> ReplyBody<'a> {
        ReplyBody { candidates, usage_metadata, model_version: &self.model, response_id: &self.id }
    }
}

fn frame(body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    let from = out.len();
    out.extend_from_slice(body);
    keep_in_line(out, from);
    out.extend_from_slice(b"\n\n");
}
