//! Writing a stream.

use super::super::{
    DONE,
    answer::{chat_id, finish_name, write_thought},
    conversation::SIGNATURE_PATH,
    write::{UsageBody, write_error_event},
};
use crate::{
    convert::{
        Block, Delta, FinishReason, Signature, Stamp, take_over,
        writing::{self, Object},
    },
    dialect::Dialect,
    error::ErrorReply,
    usage::Usage,
};

/// Writes the chunks of a completion.
#[derive(Debug)]
pub(crate) struct DeltaWriter {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    usage: Option<Usage>,
    blocks: Vec<Open>,
    choices: Vec<Progress>,
    /// A call that has begun and is not written yet: should its signature come next, they go together.
    head: Option<CallHead>,
}

/// How a call begins.
#[derive(Debug)]
struct CallHead {
    choice: u32,
    block: u32,
    number: usize,
    id: String,
    name: String,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    choice: u32,
    block: u32,
    kind: Kind,
    /// Whether any text came.
    said: bool,
}

#[derive(Debug)]
enum Kind {
    Text,
    Refusal,
    /// The text so far: should the thought be signed at its end, they go back together.
    Thinking(String),
    /// The number among the calls.
    Call(usize),
}

/// What a choice had so far.
#[derive(Debug, Default)]
struct Progress {
    choice: u32,
    calls: usize,
    signed: usize,
    refused: bool,
}

impl DeltaWriter {
    /// At the beginning of a stream; `include_usage`: the caller asked for a last chunk with the usage.
    pub(crate) fn new(stamp: &Stamp<'_>, include_usage: bool) -> Self {
        Self {
            id: chat_id(stamp.id).into_owned(),
            created: stamp.created,
            model: stamp.model.to_owned(),
            include_usage,
            usage: None,
            blocks: Vec::new(),
            choices: Vec::new(),
            head: None,
        }
    }

    /// Writes what one delta brings.
    pub(crate) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.begin_call(delta, out) {
            return;
        }
        match delta {
            Delta::Start { .. } => drop(self.progress(0, out)),
            Delta::Begin { choice, block, kind } => self.begin(*choice, *block, kind, out),
            Delta::Text { choice, block, text } => self.text(*choice, *block, text, out),
            Delta::Signed { choice, block, signature } => self.signed(*choice, *block, signature, out),
            Delta::Logprobs { choice, json } => self.chunk(*choice, out, |item| {
                item.object("delta", |_| {}).member("logprobs", json).member("finish_reason", None::<&str>);
            }),
            Delta::End { choice, block } => self.end(*choice, *block, out),
            Delta::Finish { choice, reason, stop_sequence } => self.finish_choice(*choice, *reason, stop_sequence.as_deref(), out),
            Delta::Usage(usage) => take_over(&mut self.usage, usage),
            Delta::Error { kind, message } => self.fail(kind, message, out),
            Delta::Ping => out.extend_from_slice(b": ping\n\n"),
        }
    }

    /// Writes the beginning of the call that waits for it; `true` if this delta is its signature, which goes along.
    ///
    /// OpenAI's clients want a `function` in every piece of a call, so that a signature had better not come by itself.
    fn begin_call(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) -> bool {
        let Some(CallHead { choice, block, number, id, name }) = self.head.take() else { return false };
        let signature = match delta {
            Delta::Signed { choice: of, block: which, signature } if (*of, *which) == (choice, block) => Some(signature),
            _ => None,
        };
        self.call(choice, number, out, |call| {
            call.member("id", &*id).member("type", "function").object("function", |function| {
                function.member("name", &*name).member("arguments", "");
            });
            if let Some(signature) = signature {
                sign_call(signature, call);
            }
        });
        signature.is_some()
    }

    /// Writes the usage, where it was asked for, and the terminator.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.include_usage) {
            self.event(out, |body| {
                body.array("choices", |_| {}).member("usage", UsageBody::with_total(&usage));
            });
        }
        out.extend_from_slice(&DONE);
    }

    /// Writes an error; nothing may follow.
    pub(crate) fn fail(&mut self, kind: &str, message: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&write_error_event(&ErrorReply { status: 502, message, kind, code: None, param: None, budget: None }));
    }

    fn begin(&mut self, choice: u32, block: u32, kind: &Block<'_>, out: &mut Vec<u8>) {
        let progress = self.progress(choice, out);
        let kind = match kind {
            Block::Text => Kind::Text,
            Block::Thinking => Kind::Thinking(String::new()),
            Block::Refusal => {
                progress.refused = true;
                Kind::Refusal
            }
            Block::ToolCall { id, name } => {
                let number = progress.calls;
                progress.calls = number.saturating_add(1);
                self.head = Some(CallHead { choice, block, number, id: id.to_string(), name: name.to_string() });
                Kind::Call(number)
            }
        };
        self.blocks.push(Open { choice, block, kind, said: false });
    }

    fn text(&mut self, choice: u32, block: u32, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let Some(open) = self.blocks.iter_mut().find(|open| open.choice == choice && open.block == block) else { return };
        open.said = true;
        let member = match &mut open.kind {
            Kind::Text => "content",
            Kind::Refusal => "refusal",
            Kind::Thinking(all) => {
                all.push_str(text);
                "reasoning_content"
            }
            Kind::Call(number) => {
                let number = *number;
                return self.arguments(choice, number, text, out);
            }
        };
        self.delta(choice, out, |delta| {
            delta.member(member, text);
        });
    }

    fn arguments(&self, choice: u32, number: usize, text: &str, out: &mut Vec<u8>) {
        self.call(choice, number, out, |call| {
            call.object("function", |function| {
                function.member("arguments", text);
            });
        });
    }

    fn call(&self, choice: u32, number: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        self.delta(choice, out, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.member("index", number);
                    write(call);
                });
            });
        });
    }

    fn signed(&mut self, choice: u32, block: u32, signature: &Signature<'_>, out: &mut Vec<u8>) {
        let index = self.progress(choice, out).signed;
        match self.blocks.iter().find(|open| open.choice == choice && open.block == block).map(|open| &open.kind) {
            Some(Kind::Thinking(text)) => self.delta(choice, out, |delta| {
                delta.array("reasoning_details", |details| write_thought(index, text, Some(signature), details));
            }),
            // It came behind arguments; for why something is written beside it see `begin_call`.
            Some(Kind::Call(number)) => {
                return self.call(choice, *number, out, |call| {
                    call.object("function", |function| {
                        function.member("arguments", "");
                    });
                    sign_call(signature, call);
                });
            }
            _ => return,
        }
        self.progress(choice, out).signed = index.saturating_add(1);
    }

    fn end(&mut self, choice: u32, block: u32, out: &mut Vec<u8>) {
        let Some(place) = self.blocks.iter().position(|open| open.choice == choice && open.block == block) else { return };
        // Clients parse the arguments of every call, and nothing is no JSON.
        if let Open { kind: Kind::Call(number), said: false, .. } = self.blocks.remove(place) {
            self.arguments(choice, number, "{}", out);
        }
    }

    fn finish_choice(&mut self, choice: u32, reason: FinishReason, stop_sequence: Option<&str>, out: &mut Vec<u8>) {
        let refused = self.progress(choice, out).refused;
        self.chunk(choice, out, |item| {
            item.object("delta", |_| {}).member("logprobs", None::<&str>);
            item.member("finish_reason", finish_name(reason, refused)).optional("stop_reason", stop_sequence);
        });
    }

    /// What a choice had so far; its first chunk says who speaks.
    fn progress(&mut self, choice: u32, out: &mut Vec<u8>) -> &mut Progress {
        let known = self.choices.iter().position(|progress| progress.choice == choice);
        let place = known.unwrap_or_else(|| {
            self.delta(choice, out, |delta| {
                delta.member("role", "assistant").member("content", "");
            });
            self.choices.push(Progress { choice, ..Progress::default() });
            self.choices.len().saturating_sub(1)
        });
        #[expect(clippy::indexing_slicing, reason = "the place was found or made just above")]
        &mut self.choices[place]
    }

    fn delta(&self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        self.chunk(choice, out, |item| {
            item.object("delta", write).member("logprobs", None::<&str>).member("finish_reason", None::<&str>);
        });
    }

    fn chunk(&self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        self.event(out, |body| {
            body.array("choices", |choices| {
                choices.object(|item| {
                    item.member("index", choice);
                    write(item);
                });
            });
        });
    }

    fn event(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(b"data: ");
        let from = out.len();
        writing::object(out, |body| {
            body.member("id", &*self.id).member("object", "chat.completion.chunk").member("created", self.created);
            body.member("model", &*self.model);
            write(body);
        });
        writing::keep_in_line(out, from);
        out.extend_from_slice(b"\n\n");
    }
}

fn sign_call(signature: &Signature<'_>, call: &mut Object<'_>) {
    let [outer, inner, name] = SIGNATURE_PATH;
    call.object(outer, |extra| {
        extra.object(inner, |google| {
            google.member(name, &*signature.written_in(Dialect::OpenAiChat));
        });
    });
}
