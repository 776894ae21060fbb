//! Events as they are written.

use serde::Serialize;

use super::super::{answer::consumption::ConsumptionBody, block::BlockBody};

/// One event.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum EventBody<'a> {
    MessageStart { message: StartBody<'a> },
    ContentBlockStart { index: u32, content_block: BlockBody<'a> },
    ContentBlockDelta { index: u32, delta: BlockDelta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: StopBody<'a>, usage: ConsumptionBody },
    MessageStop {},
    Ping {},
}

/// The message as it begins.
#[derive(Serialize)]
pub(super) struct StartBody<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'static str>,
    usage: ConsumptionBody,
}

impl<'a> StartBody<'a> {
    pub(super) fn new(id: &'a str, model: &'a str, usage: ConsumptionBody) -> Self {
        Self { id, r#type: "message", role: "assistant", model, content: [], stop_reason: None, stop_sequence: None, usage }
    }
}

/// A piece of a block.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum BlockDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

/// How the message ends.
#[derive(Serialize)]
pub(super) struct StopBody<'a> {
    pub(super) stop_reason: &'a str,
    pub(super) stop_sequence: Option<&'a str>,
}
