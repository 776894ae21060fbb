//! Reading a stream.

use std::borrow::Cow;

use super::{
    super::{answer::read_finish, conversation::nameless_call, failure, usage},
    chunk::{Call, Choice, Chunk, Message, said},
};
use crate::{
    convert::{Block, Delta, Signature, text_of},
    dialect::Dialect,
    json::Cursor,
    stream::sse::Event,
};

/// Reads the events of a stream. Blocks are made: one begins where the kind of what comes changes.
#[derive(Debug, Default)]
pub(crate) struct DeltaReader {
    started: bool,
    failed: bool,
    choices: Vec<Progress>,
}

/// How far one choice has got.
#[derive(Debug, Default)]
struct Progress {
    choice: u32,
    /// The next block's number.
    next: u32,
    /// The open block that is no call.
    open: Option<(u32, Kind)>,
    /// The open calls: the server's number and the block's.
    calls: Vec<(usize, u32)>,
    /// How many calls there were.
    called: usize,
    refused: bool,
    finished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Refusal,
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
        match serde_json::from_slice::<Chunk<'_>>(data) {
            Ok(chunk) => self.read_chunk(chunk, data, out),
            Err(_) => self.fail("api_error".into(), "the provider sent an event that can't be read".into(), out),
        }
    }

    /// Ends what is still open.
    pub(crate) fn finish(&mut self, out: &mut Vec<Delta<'static>>) {
        if !self.failed {
            self.choices.iter_mut().for_each(|progress| progress.close_all(out));
        }
    }

    fn read_chunk<'e>(&mut self, chunk: Chunk<'e>, data: &'e [u8], out: &mut Vec<Delta<'e>>) {
        if chunk.error.is_some() {
            let (kind, message) = failure::read_error(data).unwrap_or(("api_error".into(), "the provider broke off".into()));
            return self.fail(kind, message, out);
        }
        if !std::mem::replace(&mut self.started, true) {
            let text = |text: Option<super::chunk::Text<'e>>| text.unwrap_or_default().0;
            out.push(Delta::Start { id: text(chunk.id), created: chunk.created, model: text(chunk.model) });
        }
        for choice in chunk.choices.unwrap_or_default() {
            self.progress(choice.index).read(choice, out);
        }
        let stated = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage));
        let report = stated.and_then(|report| usage::from_value(&Cursor::new(report.get().as_bytes()).value().ok()?).ok()?);
        out.extend(report.map(Delta::Usage));
    }

    fn fail<'e>(&mut self, kind: Cow<'e, str>, message: Cow<'e, str>, out: &mut Vec<Delta<'e>>) {
        self.failed = true;
        out.push(Delta::Error { kind, message });
    }

    fn progress(&mut self, choice: u32) -> &mut Progress {
        let known = self.choices.iter().position(|progress| progress.choice == choice);
        let place = known.unwrap_or_else(|| {
            self.choices.push(Progress { choice, ..Progress::default() });
            self.choices.len().saturating_sub(1)
        });
        #[expect(clippy::indexing_slicing, reason = "the place was found or made just above")]
        &mut self.choices[place]
    }
}

impl Progress {
    fn read<'e>(&mut self, choice: Choice<'e>, out: &mut Vec<Delta<'e>>) {
        if self.finished {
            return;
        }
        self.read_message(choice.delta.unwrap_or_default(), out);
        if let Some(json) = choice.logprobs {
            out.push(Delta::Logprobs { choice: self.choice, json: Cow::Borrowed(json) });
        }
        if let Some(name) = said(choice.finish_reason) {
            self.finished = true;
            self.close_all(out);
            let stop_sequence = choice.stop_reason.and_then(text_of);
            let reason = read_finish(&name, self.called > 0, self.refused, stop_sequence.is_some());
            out.push(Delta::Finish { choice: self.choice, reason, stop_sequence });
        }
    }

    fn read_message<'e>(&mut self, message: Message<'e>, out: &mut Vec<Delta<'e>>) {
        if let Some(text) = said(message.reasoning_content).or(said(message.reasoning)) {
            self.say(Kind::Thinking, text, out);
        }
        for detail in message.reasoning_details.unwrap_or_default() {
            if let Some(text) = said(detail.signature).or(said(detail.data)) {
                self.sign_thought(text, out);
            }
        }
        if let Some(text) = said(message.content) {
            self.say(Kind::Text, text, out);
        }
        if let Some(text) = said(message.refusal) {
            self.refused = true;
            self.say(Kind::Refusal, text, out);
        }
        for call in message.tool_calls.unwrap_or_default() {
            self.read_call(call, out);
        }
    }

    fn say<'e>(&mut self, kind: Kind, text: Cow<'e, str>, out: &mut Vec<Delta<'e>>) {
        let block = self.open(kind, out);
        out.push(Delta::Text { choice: self.choice, block, text });
    }

    /// The number of the open block of this kind; begins one where another or none is open.
    fn open(&mut self, kind: Kind, out: &mut Vec<Delta<'_>>) -> u32 {
        if let Some((block, open)) = self.open
            && open == kind
        {
            return block;
        }
        self.close_all(out);
        let block = self.begin(
            match kind {
                Kind::Text => Block::Text,
                Kind::Thinking => Block::Thinking,
                Kind::Refusal => Block::Refusal,
            },
            out,
        );
        self.open = Some((block, kind));
        block
    }

    /// A signature ends its thought; one without a thought before it is an encrypted thought of its own.
    fn sign_thought<'e>(&mut self, text: Cow<'e, str>, out: &mut Vec<Delta<'e>>) {
        let block = self.open(Kind::Thinking, out);
        out.push(Delta::Signed { choice: self.choice, block, signature: Signature::read(Dialect::OpenAiChat, text) });
        self.close_all(out);
    }

    fn read_call<'e>(&mut self, call: Call<'e>, out: &mut Vec<Delta<'e>>) {
        let id = said(call.id);
        let function = call.function.or(call.custom).unwrap_or_default();
        // Without a number, an id says that a new call begins.
        let number = call.index.unwrap_or(if id.is_some() { self.called } else { self.called.saturating_sub(1) });
        let known = self.calls.iter().find_map(|(known, block)| (*known == number).then_some(*block));
        let block = known.unwrap_or_else(|| {
            self.close_open(out);
            let name = function.name.unwrap_or_default().0;
            let id = id.unwrap_or_else(|| nameless_call(number, &name).into());
            let block = self.begin(Block::ToolCall { id, name }, out);
            self.calls.push((number, block));
            self.called = self.called.saturating_add(1);
            block
        });
        if let Some(text) = said(function.arguments) {
            out.push(Delta::Text { choice: self.choice, block, text });
        }
        if let Some(text) = call.extra_content.and_then(|extra| said(extra.google?.thought_signature)) {
            out.push(Delta::Signed { choice: self.choice, block, signature: Signature::read(Dialect::OpenAiChat, text) });
        }
    }

    fn begin<'e>(&mut self, kind: Block<'e>, out: &mut Vec<Delta<'e>>) -> u32 {
        let block = self.next;
        self.next = self.next.saturating_add(1);
        out.push(Delta::Begin { choice: self.choice, block, kind });
        block
    }

    fn close_open(&mut self, out: &mut Vec<Delta<'_>>) {
        out.extend(self.open.take().map(|(block, _)| Delta::End { choice: self.choice, block }));
    }

    fn close_all(&mut self, out: &mut Vec<Delta<'_>>) {
        self.close_open(out);
        out.extend(self.calls.drain(..).map(|(_, block)| Delta::End { choice: self.choice, block }));
    }
}
