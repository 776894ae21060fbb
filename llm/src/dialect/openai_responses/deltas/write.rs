//! Writing a stream.
//!
//! The sequence is the one that Codex and OpenAI's libraries demand: `response.created`, `response.in_progress`; for each item `added`, its
//! pieces, what it came to, `done`; and a last event with the whole response. Every payload has its `type` and its number.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::output::{self, CALL_SIGNATURE, Envelope, Status};
use crate::{
    convert::{
        Block, Delta, FinishReason, Json, Signature, Stamp, take_over,
        writing::{self, Object},
    },
    dialect::Dialect,
    usage::Usage,
};

/// Writes the events of a response. It holds what was said so far, as the dialect says all of it again at the end.
#[derive(Debug)]
pub(crate) struct DeltaWriter {
    envelope: Envelope,
    sequence: u64,
    started: bool,
    failed: bool,
    open: Vec<Open>,
    /// Items in the order of their places, whole once they are done.
    items: Vec<Vec<u8>>,
    finish: FinishReason,
    refused: bool,
    usage: Option<Usage>,
}

/// An item that was added and is not done.
#[derive(Debug)]
struct Open {
    block: u32,
    place: usize,
    id: String,
    kind: Kind,
    text: String,
    signature: Option<String>,
    logprobs: Vec<Box<RawValue>>,
}

#[derive(Debug)]
enum Kind {
    Text,
    Refusal,
    Thinking,
    Call { id: String, name: String },
}

impl DeltaWriter {
    /// At the beginning of a stream.
    pub(crate) fn new(stamp: &Stamp<'_>) -> Self {
        Self {
            envelope: Envelope::new(stamp),
            sequence: 0,
            started: false,
            failed: false,
            open: Vec::new(),
            items: Vec::new(),
            finish: FinishReason::Stop,
            refused: false,
            usage: None,
        }
    }

    /// Writes what one delta brings. There is one choice in this dialect; others are passed over.
    pub(crate) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => self.start(out),
            Delta::Begin { choice: 0, block, kind } => self.begin(*block, kind, out),
            Delta::Text { choice: 0, block, text } => self.text(*block, text, &[], out),
            Delta::Signed { choice: 0, block, signature } => self.signed(*block, signature, out),
            Delta::Logprobs { choice: 0, json } => self.logprobs(json, out),
            Delta::End { choice: 0, block } => self.end(*block, out),
            Delta::Finish { choice: 0, reason, .. } => self.finish = *reason,
            Delta::Usage(usage) => take_over(&mut self.usage, usage),
            Delta::Error { kind, message } => self.fail(kind, message, out),
            Delta::Ping => out.extend_from_slice(b": ping\n\n"),
            Delta::Begin { .. }
            | Delta::Text { .. }
            | Delta::Signed { .. }
            | Delta::Logprobs { .. }
            | Delta::End { .. }
            | Delta::Finish { .. } => {}
        }
    }

    /// Writes the last event, with the whole response.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        self.start(out);
        let status = Status::of(self.finish, self.refused);
        let name = if matches!(status, Status::Incomplete(_)) { "response.incomplete" } else { "response.completed" };
        self.response(name, status, out);
    }

    /// Writes that the answer broke off: the `error` event for libraries that raise it, `response.failed` for Codex, which knows only that.
    pub(crate) fn fail(&mut self, kind: &str, message: &str, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.failed, true) {
            return;
        }
        self.start(out);
        self.event("error", out, |body| {
            body.member("code", kind).member("message", message).member("param", None::<&str>);
        });
        self.response("response.failed", Status::Failed(kind, message), out);
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            self.response("response.created", Status::InProgress, out);
            self.response("response.in_progress", Status::InProgress, out);
        }
    }

    fn begin(&mut self, block: u32, kind: &Block<'_>, out: &mut Vec<u8>) {
        self.start(out);
        let (prefix, kind) = match kind {
            Block::Text => ("msg", Kind::Text),
            Block::Refusal => ("msg", Kind::Refusal),
            Block::Thinking => ("rs", Kind::Thinking),
            Block::ToolCall { id, name } => ("fc", Kind::Call { id: id.to_string(), name: name.to_string() }),
        };
        self.refused |= matches!(kind, Kind::Refusal);
        let place = self.items.len();
        self.items.push(Vec::new());
        let id = self.envelope.item_id(prefix, place);
        let open = Open { block, place, id, kind, text: String::new(), signature: None, logprobs: Vec::new() };
        self.item("response.output_item.added", place, &open.written(Status::InProgress), out);
        match open.kind {
            Kind::Text | Kind::Refusal => self.part("response.content_part.added", "content_index", &open, out),
            Kind::Thinking | Kind::Call { .. } => {}
        }
        self.open.push(open);
    }

    fn text(&mut self, block: u32, text: &str, logprobs: &[Json<'_>], out: &mut Vec<u8>) {
        let Some(place) = self.open.iter().position(|open| open.block == block) else { return };
        if text.is_empty() && logprobs.is_empty() {
            return;
        }
        let mut open = self.open.swap_remove(place);
        // An empty summary is no summary: it begins with its first piece.
        if matches!(open.kind, Kind::Thinking) && open.text.is_empty() {
            self.part("response.reasoning_summary_part.added", "summary_index", &open, out);
        }
        open.text.push_str(text);
        let (name, index) = match open.kind {
            Kind::Text => ("response.output_text.delta", Some("content_index")),
            Kind::Refusal => ("response.refusal.delta", Some("content_index")),
            Kind::Thinking => ("response.reasoning_summary_text.delta", Some("summary_index")),
            Kind::Call { .. } => ("response.function_call_arguments.delta", None),
        };
        self.event(name, out, |body| {
            open.locate(index, body);
            body.member("delta", text);
            if matches!(open.kind, Kind::Text) {
                body.array("logprobs", |list| output::write_logprobs(logprobs, list));
            }
        });
        self.open.push(open);
    }

    /// Log probabilities are of the text that just came; they go out with a piece of nothing.
    fn logprobs(&mut self, json: &Json<'_>, out: &mut Vec<u8>) {
        let Some(open) = self.open.iter_mut().find(|open| matches!(open.kind, Kind::Text)) else { return };
        open.logprobs.push((**json).to_owned());
        let block = open.block;
        self.text(block, "", &[Cow::Borrowed(&**json)], out);
    }

    fn signed(&mut self, block: u32, signature: &Signature<'_>, out: &mut Vec<u8>) {
        let written = signature.written_in(Dialect::OpenAiResponses);
        match self.open.iter_mut().find(|open| open.block == block) {
            Some(open) => open.signature = Some(written.into_owned()),
            // The call is done already: its signature follows it at once.
            None => self.sign_call(&written, out),
        }
    }

    fn end(&mut self, block: u32, out: &mut Vec<u8>) {
        let Some(place) = self.open.iter().position(|open| open.block == block) else { return };
        // Clients parse the arguments of every call, and nothing is no JSON.
        if self.open.get(place).is_some_and(|open| matches!(open.kind, Kind::Call { .. }) && open.text.is_empty()) {
            self.text(block, "{}", &[], out);
        }
        let Some(place) = self.open.iter().position(|open| open.block == block) else { return };
        let open = self.open.remove(place);
        match &open.kind {
            Kind::Text => self.event("response.output_text.done", out, |body| {
                open.locate(Some("content_index"), body);
                let logprobs: Vec<Json<'_>> = open.logprobs.iter().map(|json| Cow::Borrowed(&**json)).collect();
                body.member("text", &*open.text).array("logprobs", |list| output::write_logprobs(&logprobs, list));
            }),
            Kind::Refusal => self.event("response.refusal.done", out, |body| {
                open.locate(Some("content_index"), body);
                body.member("refusal", &*open.text);
            }),
            Kind::Thinking if open.text.is_empty() => {}
            Kind::Thinking => self.event("response.reasoning_summary_text.done", out, |body| {
                open.locate(Some("summary_index"), body);
                body.member("text", &*open.text);
            }),
            Kind::Call { name, .. } => self.event("response.function_call_arguments.done", out, |body| {
                open.locate(None, body);
                body.member("arguments", &*open.text).member("name", &**name);
            }),
        }
        self.done(open, out);
    }

    /// Says that an item is done, as it now is.
    fn done(&mut self, open: Open, out: &mut Vec<u8>) {
        match open.kind {
            Kind::Text | Kind::Refusal => self.part("response.content_part.done", "content_index", &open, out),
            Kind::Thinking if !open.text.is_empty() => self.part("response.reasoning_summary_part.done", "summary_index", &open, out),
            Kind::Thinking | Kind::Call { .. } => {}
        }
        let item = open.written(Status::Completed);
        self.item("response.output_item.done", open.place, &item, out);
        if let Some(slot) = self.items.get_mut(open.place) {
            *slot = item;
        }
        if let (Kind::Call { .. }, Some(signature)) = (&open.kind, &open.signature) {
            self.sign_call(signature, out);
        }
    }

    fn sign_call(&mut self, signature: &str, out: &mut Vec<u8>) {
        let place = self.items.len();
        self.items.push(Vec::new());
        let open = Open {
            block: u32::MAX,
            place,
            id: self.envelope.item_id("rs", place),
            kind: Kind::Thinking,
            text: String::new(),
            signature: Some(format!("{CALL_SIGNATURE}{signature}")),
            logprobs: Vec::new(),
        };
        self.item("response.output_item.added", place, &open.written(Status::InProgress), out);
        self.done(open, out);
    }

    fn item(&mut self, name: &'static str, place: usize, item: &[u8], out: &mut Vec<u8>) {
        self.event(name, out, |body| {
            body.member("output_index", place).written("item", item);
        });
    }

    fn part(&mut self, name: &'static str, index: &'static str, open: &Open, out: &mut Vec<u8>) {
        self.event(name, out, |body| {
            open.locate(Some(index), body);
            body.written("part", &open.part());
        });
    }

    fn response(&mut self, name: &'static str, status: Status<'_>, out: &mut Vec<u8>) {
        let done: Vec<Vec<u8>> = self.items.iter().filter(|item| !item.is_empty()).cloned().collect();
        let mut response = Vec::new();
        writing::object(&mut response, |body| self.envelope.write(status, &done, self.usage.as_ref(), body));
        self.event(name, out, |body| {
            body.written("response", &response);
        });
    }

    fn event(&mut self, name: &'static str, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        let sequence = self.sequence;
        self.sequence = sequence.saturating_add(1);
        for text in ["event: ", name, "\ndata: "] {
            out.extend_from_slice(text.as_bytes());
        }
        let from = out.len();
        writing::object(out, |body| {
            body.member("type", name).member("sequence_number", sequence);
            write(body);
        });
        writing::keep_in_line(out, from);
        out.extend_from_slice(b"\n\n");
    }
}

impl Open {
    /// The item as it now is: empty while it is in progress, but for what it is.
    fn written(&self, status: Status<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        writing::object(&mut out, |item| match &self.kind {
            Kind::Text | Kind::Refusal => {
                let part = (status != Status::InProgress).then(|| self.part());
                output::write_message(&self.id, status, part.as_deref(), item);
            }
            Kind::Thinking => {
                let signature = self.signature.as_deref().filter(|_| status != Status::InProgress);
                output::write_reasoning(Some(&self.id), &self.text, signature, item);
            }
            Kind::Call { id, name } => output::write_call(&self.id, status, id, name, &self.text, item),
        });
        out
    }

    fn part(&self) -> Vec<u8> {
        let mut out = Vec::new();
        writing::object(&mut out, |part| match self.kind {
            Kind::Refusal => output::write_refusal_part(&self.text, part),
            Kind::Thinking => {
                part.member("type", "summary_text").member("text", &*self.text);
            }
            Kind::Text | Kind::Call { .. } => {
                let logprobs: Vec<Json<'_>> = self.logprobs.iter().map(|json| Cow::Borrowed(&**json)).collect();
                output::write_text_part(&self.text, &logprobs, part);
            }
        });
        out
    }

    fn locate(&self, index: Option<&str>, body: &mut Object<'_>) {
        body.member("item_id", &*self.id).member("output_index", self.place);
        if let Some(index) = index {
            body.member(index, 0_u32);
        }
    }
}
