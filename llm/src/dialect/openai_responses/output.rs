//! Writing what an answer consists of: the response and its items, the same whether it is streamed or not.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::report::Report;
use crate::{
    convert::{
        FinishReason, Members, Stamp,
        writing::{Array, Object},
    },
    usage::Usage,
};

/// What leads the `encrypted_content` of a reasoning item that is the signature of the call before it.
pub(super) const CALL_SIGNATURE: &str = "mlxcall.";

/// What all objects of one answer have in common.
#[derive(Debug)]
pub(super) struct Envelope {
    id: String,
    created: u64,
    model: String,
}

/// Where an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status<'s> {
    InProgress,
    Completed,
    /// Ended before its time, and why.
    Incomplete(&'static str),
    /// Broken off: the kind of the error and its message.
    Failed(&'s str, &'s str),
}

impl Status<'_> {
    /// Of an answer that ended. A model that refused in words has completed; what there is no word for must not look like that.
    pub(super) fn of(finish: FinishReason, refused: bool) -> Self {
        match finish {
            FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls | FinishReason::Pause => Self::Completed,
            FinishReason::Refusal if refused => Self::Completed,
            FinishReason::Length => Self::Incomplete("max_output_tokens"),
            FinishReason::Refusal | FinishReason::MalformedCall | FinishReason::Other => Self::Incomplete("content_filter"),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(..) => "failed",
        }
    }
}

impl Envelope {
    pub(super) fn new(stamp: &Stamp<'_>) -> Self {
        let id = if stamp.id.starts_with("resp_") { stamp.id.to_owned() } else { format!("resp_{}", stamp.id) };
        Self { id, created: stamp.created, model: stamp.model.to_owned() }
    }

    /// Id of the item at this place; `prefix` says what it is.
    pub(super) fn item_id(&self, prefix: &str, index: usize) -> String {
        format!("{prefix}_{}_{index}", self.id.strip_prefix("resp_").unwrap_or(&self.id))
    }

    /// Writes the members of a response whose items are written already.
    pub(super) fn write(&self, status: Status<'_>, output: &[Vec<u8>], usage: Option<&Usage>, body: &mut Object<'_>) {
        body.member("id", &*self.id).member("object", "response").member("created_at", self.created);
        body.member("status", status.name()).member("background", false);
        match status {
            Status::Failed(code, message) => {
                body.object("error", |error| {
                    error.member("code", code).member("message", message);
                });
            }
            _ => {
                body.member("error", None::<&str>);
            }
        }
        match status {
            Status::Incomplete(reason) => {
                body.object("incomplete_details", |details| {
                    details.member("reason", reason);
                });
            }
            _ => {
                body.member("incomplete_details", None::<&str>);
            }
        }
        body.member("instructions", None::<&str>).object("metadata", |_| {}).member("model", &*self.model);
        body.array("output", |list| {
            for item in output {
                list.written(item);
            }
        });
        body.member("parallel_tool_calls", true).member("previous_response_id", None::<&str>).member("store", false);
        body.member("temperature", None::<&str>).object("text", |text| {
            text.object("format", |format| {
                format.member("type", "text");
            });
        });
        body.member("tool_choice", "auto").array("tools", |_| {}).member("top_p", None::<&str>).member("truncation", "disabled");
        body.member("usage", usage.and_then(Report::of));
    }
}

/// Writes a text part.
pub(super) fn write_text_part(text: &str, logprobs: &[Cow<'_, RawValue>], part: &mut Object<'_>) {
    part.member("type", "output_text").array("annotations", |_| {});
    part.array("logprobs", |list| write_logprobs(logprobs, list)).member("text", text);
}

/// Writes a refusal part.
pub(super) fn write_refusal_part(text: &str, part: &mut Object<'_>) {
    part.member("type", "refusal").member("refusal", text);
}

/// Writes the tokens out of several `{"content":[…]}` into one list.
pub(super) fn write_logprobs(logprobs: &[Cow<'_, RawValue>], list: &mut Array<'_>) {
    for token in logprobs.iter().flat_map(|json| tokens(json)) {
        list.element(token);
    }
}

/// The tokens in `{"content":[…]}`.
fn tokens(json: &RawValue) -> Vec<&RawValue> {
    let content = Members::read("", json.get().as_bytes()).and_then(|mut members| members.array("content"));
    content.ok().flatten().unwrap_or_default()
}

/// Writes a message of one part.
pub(super) fn write_message(id: &str, status: Status<'_>, part: Option<&[u8]>, item: &mut Object<'_>) {
    item.member("id", id).member("type", "message").member("status", status.name()).array("content", |content| {
        if let Some(part) = part {
            content.written(part);
        }
    });
    item.member("role", "assistant");
}

/// Writes a call.
pub(super) fn write_call(id: &str, status: Status<'_>, call_id: &str, name: &str, arguments: &str, item: &mut Object<'_>) {
    item.member("id", id).member("type", "function_call").member("status", status.name());
    item.member("arguments", arguments).member("call_id", call_id).member("name", name);
}

/// Writes a thought; on the way back to the provider it has no id, as nothing is stored there.
pub(super) fn write_reasoning(id: Option<&str>, text: &str, encrypted: Option<&str>, item: &mut Object<'_>) {
    item.optional("id", id).member("type", "reasoning").array("summary", |summary| {
        if !text.is_empty() {
            summary.object(|part| {
                part.member("type", "summary_text").member("text", text);
            });
        }
    });
    item.optional("encrypted_content", encrypted);
}
