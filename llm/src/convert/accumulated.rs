//! Deltas put together to the answer that they are the pieces of, with their order checked as readers promise it. For tests and fuzzers.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Value, json};

use super::{Answer, Block, Choice, Delta, FinishReason, Part, Signature, ToolCall, hub, take_over};
use crate::{
    dialect::Dialect,
    stream::sse::{Boundary, Event},
    usage::Usage,
};

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Accumulated {
    started: bool,
    ended: bool,
    choices: BTreeMap<u32, Progress>,
    usage: Option<Usage>,
    disorder: Option<String>,
}

#[derive(Debug, Default)]
struct Progress {
    blocks: Vec<Said>,
    logprobs: Vec<Value>,
    finish: Option<(FinishReason, Option<String>)>,
}

#[derive(Debug)]
struct Said {
    kind: Block<'static>,
    text: String,
    signature: Option<Signature<'static>>,
    ended: bool,
}

impl Accumulated {
    /// What a whole stream says.
    pub(crate) fn of(dialect: Dialect, stream: &[u8]) -> Self {
        let mut whole = Self::default();
        let Some(mut reader) = hub::Reader::new(dialect) else { return whole };
        let (mut boundary, mut rest) = (Boundary::default(), stream);
        while !rest.is_empty() {
            let (event, behind) = rest.split_at(boundary.next_end(rest).unwrap_or(rest.len()));
            let event = Event::read(event);
            let mut deltas = Vec::new();
            reader.read(&event, &mut deltas);
            deltas.iter().for_each(|delta| whole.take(delta));
            rest = behind;
        }
        let mut deltas = Vec::new();
        reader.finish(&mut deltas);
        deltas.iter().for_each(|delta| whole.take(delta));
        whole
    }

    /// Whether it ended with an error.
    pub(crate) fn failed(&self) -> bool {
        self.ended
    }

    /// Whether all answers there are have ended, and none is left out in their numbering.
    pub(crate) fn is_finished(&self) -> bool {
        !self.choices.is_empty() && (0..).zip(&self.choices).all(|(place, (choice, said))| place == *choice && said.finish.is_some())
    }

    /// What a reader did that it promises not to do, first.
    pub(crate) fn disorder(&self) -> Option<&str> {
        self.disorder.as_deref()
    }

    fn take(&mut self, delta: &Delta<'_>) {
        let checked = self.check(delta);
        match delta {
            Delta::Error { .. } => self.ended = true,
            Delta::Usage(usage) => take_over(&mut self.usage, usage),
            Delta::Logprobs { choice, json } => {
                let json: Value = serde_json::from_str(json.get()).unwrap_or_default();
                let tokens = json.get("content").and_then(Value::as_array).cloned().unwrap_or_default();
                self.choices.entry(*choice).or_default().logprobs.extend(tokens);
            }
            _ => {}
        }
        if let Some(wrong) = checked.err().filter(|_| self.disorder.is_none()) {
            self.disorder = Some(format!("{wrong}: {delta:?}"));
        }
    }

    /// Takes what has a place in the order, or says why it has none here.
    fn check(&mut self, delta: &Delta<'_>) -> Result<(), &'static str> {
        ensure(!self.ended, "nothing follows an error")?;
        match delta {
            Delta::Start { .. } => ensure(!std::mem::replace(&mut self.started, true), "it begins once")?,
            Delta::Begin { choice, block, kind } => self.begin(*choice, *block, kind)?,
            Delta::Text { choice, block, text } => self.open_block(*choice, *block)?.text.push_str(text),
            Delta::Signed { choice, block, signature } => {
                let own = Signature { origin: signature.origin, value: Cow::Owned(signature.value.clone().into_owned()) };
                self.block(*choice, *block)?.signature = Some(own);
            }
            Delta::End { choice, block } => self.open_block(*choice, *block)?.ended = true,
            Delta::Finish { choice, reason, stop_sequence } => {
                let choice = self.choices.entry(*choice).or_default();
                let finish = (*reason, stop_sequence.as_ref().map(|text| text.clone().into_owned()));
                ensure(choice.finish.replace(finish).is_none(), "it finishes once")?;
                ensure(choice.blocks.iter().all(|block| block.ended), "every block ends before its choice")?;
            }
            Delta::Logprobs { .. } | Delta::Usage(_) | Delta::Error { .. } | Delta::Ping => {}
        }
        Ok(())
    }

    fn begin(&mut self, choice: u32, block: u32, kind: &Block<'_>) -> Result<(), &'static str> {
        ensure(self.started, "it begins before any of its blocks")?;
        let kind = match kind {
            Block::Text => Block::Text,
            Block::Thinking => Block::Thinking,
            Block::Refusal => Block::Refusal,
            Block::ToolCall { id, name } => Block::ToolCall { id: id.to_string().into(), name: name.to_string().into() },
        };
        let choice = self.choices.entry(choice).or_default();
        let is_call = |kind: &Block<'_>| matches!(kind, Block::ToolCall { .. });
        ensure(choice.finish.is_none(), "nothing is said after its end")?;
        ensure(choice.blocks.iter().all(|known| known.ended || (is_call(&known.kind) && is_call(&kind))), "only calls interleave")?;
        ensure(usize::try_from(block).ok() == Some(choice.blocks.len()), "blocks are counted")?;
        choice.blocks.push(Said { kind, text: String::new(), signature: None, ended: false });
        Ok(())
    }

    fn block(&mut self, choice: u32, block: u32) -> Result<&mut Said, &'static str> {
        let known = self.choices.get_mut(&choice).and_then(|choice| choice.blocks.get_mut(usize::try_from(block).ok()?));
        known.ok_or("a block begins before anything of it is said")
    }

    /// A signature may come behind the end of what it is for; nothing else does.
    fn open_block(&mut self, choice: u32, block: u32) -> Result<&mut Said, &'static str> {
        let block = self.block(choice, block)?;
        if block.ended { Err("nothing of a block is said behind its end") } else { Ok(block) }
    }

    /// The answer.
    pub(crate) fn answer(self) -> Answer<'static> {
        assert_eq!(self.disorder, None);
        let choices = self.choices.into_values().map(|choice| {
            assert!(self.ended || choice.blocks.iter().all(|block| block.ended), "every block ends");
            let (finish, stop_sequence) = choice.finish.unwrap_or((FinishReason::Other, None));
            let logprobs = (!choice.logprobs.is_empty()).then(|| json!({ "content": choice.logprobs }));
            let logprobs = logprobs.and_then(|json| serde_json::value::to_raw_value(&json).ok()).map(Cow::Owned);
            Choice {
                parts: choice.blocks.into_iter().map(Said::part).collect(),
                finish,
                stop_sequence: stop_sequence.map(Cow::Owned),
                logprobs,
            }
        });
        Answer { id: "".into(), created: None, model: "".into(), choices: choices.collect(), usage: self.usage }
    }
}

impl Said {
    fn part(self) -> Part<'static> {
        let (text, signature) = (Cow::Owned(self.text), self.signature);
        match self.kind {
            Block::Text => Part::Text { text, cache: None },
            Block::Thinking => Part::Thinking { text, signature },
            Block::Refusal => Part::Refusal { text },
            Block::ToolCall { id, name } => Part::ToolCall(ToolCall { id, name, arguments: text, signature, cache: None }),
        }
    }
}

fn ensure(holds: bool, wrong: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(wrong) }
}
