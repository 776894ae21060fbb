//! Reading a stream.

use std::borrow::Cow;

use super::super::{
    answer::{Candidate, Response, read_error, read_finish, to_openai},
    content::{CallIds, Piece, PieceReader},
};
use crate::{
    convert::{Block, Delta, FinishReason, Part, Signature, ToolCall},
    request::ReadRequestError,
    stream::sse::Event,
};

/// Reads the events of a stream. Blocks are made: one begins where the kind of what comes changes.
#[derive(Debug, Default)]
pub(crate) struct DeltaReader {
    /// The answer's id, once it has begun.
    id: Option<String>,
    failed: bool,
    choices: Vec<Progress>,
}

/// How far one choice has got.
#[derive(Debug, Default)]
struct Progress {
    choice: u32,
    /// The next block's number.
    next: u32,
    /// The open block.
    open: Option<(u32, Kind)>,
    /// How many calls there were.
    calls: u32,
    finished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
}

impl DeltaReader {
    /// At the beginning of a stream.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Reads one event.
    pub(crate) fn read<'e>(&mut self, event: &'e Event<'_>, out: &mut Vec<Delta<'e>>) {
        let Some(data) = event.data.as_deref().map(<[u8]>::trim_ascii) else { return };
        if self.failed || data.is_empty() {
            return;
        }
        if let Some((kind, message)) = read_error(data) {
            return self.fail(kind, message, out);
        }
        if self.read_response(data, out).is_err() {
            self.fail("INTERNAL".into(), "the provider sent an event that can't be read".into(), out);
        }
    }

    /// Ends what is still open.
    pub(crate) fn finish(&mut self, out: &mut Vec<Delta<'static>>) {
        if !self.failed {
            self.choices.iter_mut().for_each(|progress| progress.close(out));
        }
    }

    fn read_response<'e>(&mut self, data: &'e [u8], out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        let Response { id, model, candidates, usage, blocked } = Response::read(data)?;
        let scope = match &self.id {
            Some(scope) => scope.clone(),
            None => {
                let scope = id.clone().into_owned();
                self.id = Some(scope.clone());
                out.push(Delta::Start { id, created: None, model });
                scope
            }
        };
        if let Some(message) = blocked.filter(|_| candidates.is_empty()) {
            self.progress(0).refuse(message, out);
        }
        for candidate in candidates {
            self.progress(candidate.index).read(candidate, &scope, out)?;
        }
        out.extend(usage.map(Delta::Usage));
        Ok(())
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
    fn read<'e>(&mut self, candidate: Candidate<'e>, scope: &str, out: &mut Vec<Delta<'e>>) -> Result<(), ReadRequestError> {
        if self.finished {
            return Ok(());
        }
        let mut reader = PieceReader { calls: CallIds::of_answer(scope, self.calls), others: Vec::new() };
        if let Some(mut content) = candidate.content {
            for piece in reader.read_parts(&mut content)? {
                self.say(piece, out);
            }
        }
        let logprobs = candidate.logprobs.and_then(to_openai);
        out.extend(logprobs.map(|json| Delta::Logprobs { choice: self.choice, json }));
        if let Some(name) = candidate.finish {
            self.end(read_finish(&name, self.calls > 0), out);
        }
        Ok(())
    }

    fn refuse<'e>(&mut self, message: Cow<'e, str>, out: &mut Vec<Delta<'e>>) {
        if self.finished {
            return;
        }
        self.close(out);
        let block = self.begin(Block::Refusal, out);
        out.push(Delta::Text { choice: self.choice, block, text: message });
        out.push(Delta::End { choice: self.choice, block });
        self.end(FinishReason::Refusal, out);
    }

    fn say<'e>(&mut self, piece: Piece<'e>, out: &mut Vec<Delta<'e>>) {
        match piece {
            Piece::Text(text) => self.text(Kind::Text, text, out),
            Piece::Thought(text, signature) => {
                self.text(Kind::Thinking, text, out);
                if let Some(signature) = signature {
                    self.sign(signature, out);
                }
            }
            Piece::TextSigned(signature) => {
                self.close(out);
                self.sign(signature, out);
            }
            Piece::Whole(Part::ToolCall(call)) => self.call(call, out),
            Piece::Whole(_) => self.close(out),
        }
    }

    fn text<'e>(&mut self, kind: Kind, text: Cow<'e, str>, out: &mut Vec<Delta<'e>>) {
        if text.is_empty() {
            return;
        }
        let block = self.open(kind, out);
        out.push(Delta::Text { choice: self.choice, block, text });
    }

    /// A signature ends its thought.
    fn sign<'e>(&mut self, signature: Signature<'e>, out: &mut Vec<Delta<'e>>) {
        let block = self.open(Kind::Thinking, out);
        out.push(Delta::Signed { choice: self.choice, block, signature });
        self.close(out);
    }

    fn call<'e>(&mut self, call: ToolCall<'e>, out: &mut Vec<Delta<'e>>) {
        self.close(out);
        self.calls = self.calls.saturating_add(1);
        let choice = self.choice;
        let block = self.begin(Block::ToolCall { id: call.id, name: call.name }, out);
        out.extend(call.signature.map(|signature| Delta::Signed { choice, block, signature }));
        out.push(Delta::Text { choice, block, text: call.arguments });
        out.push(Delta::End { choice, block });
    }

    /// The number of the open block of this kind; begins one where another or none is open.
    fn open(&mut self, kind: Kind, out: &mut Vec<Delta<'_>>) -> u32 {
        if let Some((block, _)) = self.open.filter(|(_, open)| *open == kind) {
            return block;
        }
        self.close(out);
        let block = self.begin(if kind == Kind::Text { Block::Text } else { Block::Thinking }, out);
        self.open = Some((block, kind));
        block
    }

    fn begin<'e>(&mut self, kind: Block<'e>, out: &mut Vec<Delta<'e>>) -> u32 {
        let block = self.next;
        self.next = self.next.saturating_add(1);
        out.push(Delta::Begin { choice: self.choice, block, kind });
        block
    }

    fn close(&mut self, out: &mut Vec<Delta<'_>>) {
        out.extend(self.open.take().map(|(block, _)| Delta::End { choice: self.choice, block }));
    }

    fn end(&mut self, reason: FinishReason, out: &mut Vec<Delta<'_>>) {
        self.close(out);
        self.finished = true;
        out.push(Delta::Finish { choice: self.choice, reason, stop_sequence: None });
    }
}
