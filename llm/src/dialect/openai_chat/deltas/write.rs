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
        }
    }

    /// Writes what one delta brings.
    pub(crate) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
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
        let (kind, call) = match kind {
            Block::Text => (Kind::Text, None),
            Block::Thinking => (Kind::Thinking(String::new()), None),
            Block::Refusal => {
                progress.refused = true;
                (Kind::Refusal, None)
            }
            Block::ToolCall { id, name } => {
                let number = progress.calls;
                progress.calls = number.saturating_add(1);
                (Kind::Call(number), Some((number, id, name)))
            }
        };
        self.blocks.push(Open { choice, block, kind, said: false });
        if let Some((number, id, name)) = call {
            self.delta(choice, out, |delta| {
                delta.array("tool_calls", |calls| {
                    calls.object(|call| {
                        call.member("index", number).member("id", &**id).member("type", "function").object("function", |function| {
                            function.member("name", &**name).member("arguments", "");
                        });
                    });
                });
            });
        }
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
        self.delta(choice, out, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.member("index", number).object("function", |function| {
                        function.member("arguments", text);
                    });
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
            Some(Kind::Call(number)) => {
                let [outer, inner, name] = SIGNATURE_PATH;
                return self.delta(choice, out, |delta| {
                    delta.array("tool_calls", |calls| {
                        calls.object(|call| {
                            call.member("index", number).object(outer, |extra| {
                                extra.object(inner, |google| {
                                    google.member(name, &*signature.written_in(Dialect::OpenAiChat));
                                });
                            });
                        });
                    });
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
