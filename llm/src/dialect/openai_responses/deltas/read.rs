//! Reading a stream.

use std::borrow::Cow;

use super::{
    super::{
        answer::{content_of, read_finish},
        item::PARAGRAPH,
        output::CALL_SIGNATURE,
    },
    event::{Content, Failure, Item, Payload, Response, Text},
};
use crate::{
    convert::{Block, Delta, Signature},
    dialect::Dialect,
    stream::sse::Event,
};

/// Reads the events of a stream. A server may leave out that a part or a piece begins, and may say things only when they are done.
#[derive(Debug, Default)]
pub(crate) struct DeltaReader {
    started: bool,
    failed: bool,
    /// The next block's number.
    next: u32,
    open: Vec<Open>,
    called: bool,
    refused: bool,
    /// The call that ended last: a reasoning item behind it may bring its signature.
    last_call: Option<u32>,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    output: u32,
    /// The part within the item; calls and thoughts have none.
    content: u32,
    block: u32,
    kind: Kind,
    /// Whether any text came.
    said: bool,
    /// Of a thought: the part of the summary that is being said.
    summary: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thinking,
    Call,
}

impl DeltaReader {
    /// At the beginning of a stream.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Reads one event.
    pub(crate) fn read<'e>(&mut self, event: &'e Event<'_>, out: &mut Vec<Delta<'e>>) {
        let Some(data) = event.data.as_deref().map(<[u8]>::trim_ascii) else { return };
        if self.failed || data.is_empty() || data == b"[DONE]" {
            return;
        }
        match serde_json::from_slice::<Payload<'_>>(data) {
            Ok(payload) => self.read_payload(payload, out),
            Err(_) => self.fail(None, Some("the provider sent an event that can't be read".into()), out),
        }
    }

    /// Ends what is still open.
    pub(crate) fn finish(&mut self, out: &mut Vec<Delta<'static>>) {
        if !self.failed {
            self.close(|_| true, out);
        }
    }

    fn read_payload<'e>(&mut self, payload: Payload<'e>, out: &mut Vec<Delta<'e>>) {
        let (output, content) = (payload.output_index, payload.content_index);
        match &*payload.kind.0 {
            "response.created" | "response.in_progress" | "response.queued" => self.start(payload.response, out),
            // Only a call says enough here. A thought begins with its first piece: it may turn out to be the signature of a call.
            "response.output_item.added" => {
                if let Some(item) = payload.item.filter(|item| matches!(&*item.kind.0, "function_call" | "custom_tool_call")) {
                    self.begin_call(output, item, out);
                }
            }
            "response.content_part.added" => {
                let kinds = [("output_text", Kind::Text), ("refusal", Kind::Refusal)];
                let kind = payload.part.and_then(|part| kinds.into_iter().find(|(name, _)| *name == part.kind.0));
                if let Some((_, kind)) = kind {
                    self.open(kind, output, content, out);
                }
            }
            "response.output_text.delta" => {
                self.say(Kind::Text, (output, content), payload.delta, out);
                if let Some(json) = payload.logprobs.filter(|tokens| !tokens.is_empty()).and_then(|tokens| content_of(&tokens)) {
                    out.push(Delta::Logprobs { choice: 0, json });
                }
            }
            "response.refusal.delta" => self.say(Kind::Refusal, (output, content), payload.delta, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.say(Kind::Call, (output, 0), payload.delta, out);
            }
            "response.reasoning_summary_text.delta" => self.say_summary(output, payload.summary_index, payload.delta, out),
            "response.reasoning_text.delta" => self.say(Kind::Thinking, (output, 0), payload.delta, out),
            "response.output_item.done" => {
                if let Some(item) = payload.item {
                    self.end_item(output, item, out);
                }
            }
            "response.completed" | "response.incomplete" | "response.done" => self.end(payload.response, out),
            "response.failed" => {
                let error = payload.response.and_then(|response| response.error);
                self.fail_with(error, out);
            }
            "error" => match payload.error {
                Some(error) => self.fail_with(Some(error), out),
                None => self.fail(payload.code.map(|text| text.0), payload.message.map(|text| text.0), out),
            },
            _ if payload.error.is_some() => self.fail_with(payload.error, out),
            _ => {}
        }
    }

    fn start<'e>(&mut self, response: Option<Response<'e>>, out: &mut Vec<Delta<'e>>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let Some(response) = response else { return };
        let created = response.created_at.and_then(|created| created.get().split('.').next()?.parse().ok());
        out.push(Delta::Start { id: response.id.0, created, model: response.model.unwrap_or_default().0 });
    }

    fn begin_call<'e>(&mut self, output: u32, item: Item<'e>, out: &mut Vec<Delta<'e>>) {
        self.called = true;
        self.close(|open| open.kind != Kind::Call, out);
        let kind = Block::ToolCall { id: item.call_id.unwrap_or_default().0, name: item.name.unwrap_or_default().0 };
        self.begin(Kind::Call, kind, (output, 0), out);
    }

    fn say<'e>(&mut self, kind: Kind, place: (u32, u32), text: Option<Text<'e>>, out: &mut Vec<Delta<'e>>) {
        let Some(text) = text.map(|text| text.0).filter(|text| !text.is_empty()) else { return };
        let known = self.open.iter().any(|open| open.output == place.0 && open.content == place.1 && open.kind == kind);
        if kind == Kind::Call && !known {
            return;
        }
        let block = self.open(kind, place.0, place.1, out);
        self.open.iter_mut().filter(|open| open.block == block).for_each(|open| open.said = true);
        out.push(Delta::Text { choice: 0, block, text });
    }

    /// The parts of a summary are paragraphs of one thought.
    fn say_summary<'e>(&mut self, output: u32, summary: u32, text: Option<Text<'e>>, out: &mut Vec<Delta<'e>>) {
        let block = self.open(Kind::Thinking, output, 0, out);
        let open = self.open.iter_mut().find(|open| open.block == block);
        let next = open.is_some_and(|open| std::mem::replace(&mut open.summary, summary) != summary && open.said);
        if next {
            out.push(Delta::Text { choice: 0, block, text: PARAGRAPH.into() });
        }
        self.say(Kind::Thinking, (output, 0), text, out);
    }

    /// Ends an item, after what was said only now.
    fn end_item<'e>(&mut self, output: u32, item: Item<'e>, out: &mut Vec<Delta<'e>>) {
        let kind = item.kind.0.clone();
        match &*kind {
            "message" => self.end_message(output, item.content.unwrap_or_default(), out),
            "reasoning" => self.end_reasoning(output, item, out),
            "function_call" | "custom_tool_call" => self.end_call(output, item, out),
            _ => {}
        }
        self.close(|open| open.output == output, out);
    }

    fn end_message<'e>(&mut self, output: u32, parts: Vec<Content<'e>>, out: &mut Vec<Delta<'e>>) {
        if self.was_said(output) {
            return;
        }
        for (content, part) in (0_u32..).zip(parts) {
            self.say(Kind::Text, (output, content), part.text, out);
            self.say(Kind::Refusal, (output, content), part.refusal, out);
        }
    }

    fn end_reasoning<'e>(&mut self, output: u32, item: Item<'e>, out: &mut Vec<Delta<'e>>) {
        let encrypted = item.encrypted_content.map(|text| text.0).filter(|text| !text.is_empty());
        if let Some(own) = encrypted.as_deref().and_then(|text| text.strip_prefix(CALL_SIGNATURE)) {
            let signature = Signature::read(Dialect::OpenAiResponses, own.to_owned().into());
            out.extend(self.last_call.map(|block| Delta::Signed { choice: 0, block, signature }));
            return;
        }
        if !self.was_said(output) {
            let summary = item.summary.unwrap_or_default();
            let parts = if summary.is_empty() { item.content.unwrap_or_default() } else { summary };
            for (index, part) in (0_u32..).zip(parts) {
                self.say_summary(output, index, part.text, out);
            }
        }
        if let Some(text) = encrypted {
            let block = self.open(Kind::Thinking, output, 0, out);
            out.push(Delta::Signed { choice: 0, block, signature: Signature::read(Dialect::OpenAiResponses, text) });
        }
    }

    fn end_call<'e>(&mut self, output: u32, mut item: Item<'e>, out: &mut Vec<Delta<'e>>) {
        if !self.was_said(output) {
            let text = item.arguments.take().or(item.input.take());
            if !self.open.iter().any(|open| open.output == output) {
                self.begin_call(output, item, out);
            }
            self.say(Kind::Call, (output, 0), text, out);
        }
        self.last_call = self.open.iter().find(|open| open.output == output).map(|open| open.block);
    }

    fn was_said(&self, output: u32) -> bool {
        self.open.iter().any(|open| open.output == output && open.said)
    }

    fn end<'e>(&mut self, response: Option<Response<'e>>, out: &mut Vec<Delta<'e>>) {
        self.close(|_| true, out);
        let Some(response) = response else { return };
        out.extend(response.usage.as_ref().map(|report| Delta::Usage(report.usage())));
        let status = response.status.map_or(Cow::Borrowed("completed"), |status| status.0);
        let reason = response.incomplete_details.and_then(|details| details.reason).map(|reason| reason.0);
        let reason = read_finish(&status, reason.as_deref(), self.called, self.refused);
        out.push(Delta::Finish { choice: 0, reason, stop_sequence: None });
    }

    /// The number of the open block at this place; begins one where there is none.
    fn open(&mut self, kind: Kind, output: u32, content: u32, out: &mut Vec<Delta<'_>>) -> u32 {
        let at = |open: &&Open| open.output == output && open.content == content && open.kind == kind;
        if let Some(open) = self.open.iter().find(at) {
            return open.block;
        }
        self.close(|_| true, out);
        self.refused |= kind == Kind::Refusal;
        let block = match kind {
            Kind::Text | Kind::Call => Block::Text,
            Kind::Refusal => Block::Refusal,
            Kind::Thinking => Block::Thinking,
        };
        self.begin(kind, block, (output, content), out)
    }

    fn begin<'e>(&mut self, kind: Kind, block_kind: Block<'e>, place: (u32, u32), out: &mut Vec<Delta<'e>>) -> u32 {
        let block = self.next;
        self.next = block.saturating_add(1);
        self.open.push(Open { output: place.0, content: place.1, block, kind, said: false, summary: 0 });
        out.push(Delta::Begin { choice: 0, block, kind: block_kind });
        block
    }

    fn close(&mut self, which: impl Fn(&Open) -> bool, out: &mut Vec<Delta<'_>>) {
        self.open.retain(|open| {
            let ends = which(open);
            if ends {
                out.push(Delta::End { choice: 0, block: open.block });
            }
            !ends
        });
    }

    fn fail_with<'e>(&mut self, error: Option<Failure<'e>>, out: &mut Vec<Delta<'e>>) {
        let Some(error) = error else { return self.fail(None, None, out) };
        self.fail(error.code.or(error.kind).map(|text| text.0), error.message.map(|text| text.0), out);
    }

    fn fail<'e>(&mut self, kind: Option<Cow<'e, str>>, message: Option<Cow<'e, str>>, out: &mut Vec<Delta<'e>>) {
        self.failed = true;
        let message = message.unwrap_or("the provider broke off".into());
        out.push(Delta::Error { kind: kind.unwrap_or("server_error".into()), message });
    }
}
