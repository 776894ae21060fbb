//! Writing a request.
//!
//! `max_tokens` is required here and nowhere else. How much a model can write is in the catalogue, which this crate does not know: the
//! caller of [`write_conversation`] sets [`Conversation::output_limit`] from there where the request said nothing. Should it still be
//! absent, [`LIMIT_OF_ALL`] is written, which every model takes.

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::to_json;
use super::{
    generation::Generation,
    messages::{MessageBody, Messages},
    sampling::Drawn,
    thinking::{ThinkingBody, ThinkingPlan},
    tools::{Calling, ChoiceBody, ToolBody},
};
use crate::{
    convert::{Conversation, Dropped, Feature, Format, Json, Sampling},
    dialect::anthropic_messages::block::BlockBody,
};

/// What every model of this dialect can write (the oldest ones no more).
const LIMIT_OF_ALL: u32 = 4096;

/// Writes the request for an answer of `model`; see the module on [`Conversation::output_limit`].
pub(crate) fn write_conversation(conversation: &Conversation<'_>, model: &str, dropped: &mut Dropped) -> Vec<u8> {
    let generation = Generation::of(model);
    let limit = conversation.output_limit.unwrap_or(LIMIT_OF_ALL);
    let messages = Messages::of(conversation, dropped);
    let plan = ThinkingPlan::of(conversation, generation, limit, messages.are_unled(), dropped);
    let mut body = counted(conversation, model, messages, plan, dropped);
    name_what_has_no_place(conversation, dropped);
    let drawn = Drawn::of(&conversation.sampling, generation, plan, dropped);
    body.max_tokens = Some(limit);
    body.temperature = drawn.temperature;
    body.top_p = drawn.top_p;
    body.top_k = drawn.top_k;
    body.stop_sequences = conversation.stop.iter().map(AsRef::as_ref).filter(|text: &&str| !text.trim().is_empty()).collect();
    if body.stop_sequences.len() < conversation.stop.len() {
        dropped.note(Feature::Stop);
    }
    body.metadata = conversation.end_user.as_deref().map(|user_id| MetadataBody { user_id });
    body.stream = conversation.stream.then_some(true);
    to_json(&body)
}

/// Writes the request to count what `model` would be told.
pub(crate) fn write_counted(conversation: &Conversation<'_>, model: &str, dropped: &mut Dropped) -> Vec<u8> {
    let messages = Messages::of(conversation, dropped);
    let limit = conversation.output_limit.unwrap_or(LIMIT_OF_ALL);
    let plan = ThinkingPlan::of(conversation, Generation::of(model), limit, messages.are_unled(), dropped);
    to_json(&counted(conversation, model, messages, plan, dropped))
}

/// What counts as input: everything but how the answer is drawn and sent.
fn counted<'a>(
    conversation: &'a Conversation<'_>,
    model: &'a str,
    messages: Messages<'a>,
    plan: ThinkingPlan,
    dropped: &mut Dropped,
) -> RequestBody<'a> {
    let keeps_to_schemas = Generation::of(model).keeps_to_schemas();
    let Calling { tools, choice } = Calling::of(conversation, &messages.called(), keeps_to_schemas, dropped);
    let format = write_format(&conversation.format, keeps_to_schemas, dropped);
    let config = OutputConfigBody { effort: plan.effort, format };
    RequestBody {
        model,
        max_tokens: None,
        system: messages.system,
        messages: messages.turns,
        tools,
        tool_choice: choice,
        thinking: plan.thinking,
        output_config: (config.effort.is_some() || config.format.is_some()).then_some(config),
        temperature: None,
        top_p: None,
        top_k: None,
        stop_sequences: Vec::new(),
        metadata: None,
        stream: None,
    }
}

fn name_what_has_no_place(conversation: &Conversation<'_>, dropped: &mut Dropped) {
    let Sampling { seed, presence_penalty, frequency_penalty, .. } = &conversation.sampling;
    let absent = [
        (Feature::Seed, seed.is_some()),
        (Feature::PresencePenalty, presence_penalty.is_some()),
        (Feature::FrequencyPenalty, frequency_penalty.is_some()),
        (Feature::Logprobs, conversation.logprobs.is_some()),
        (Feature::Choices, conversation.choices > 1),
    ];
    for (feature, _) in absent.into_iter().filter(|(_, given)| *given) {
        dropped.note(feature);
    }
    dropped.note_members(&conversation.others);
}

/// Some JSON, of whatever form, has no place: who asks for it has to say so in the prompt anyway.
fn write_format<'a>(format: &'a Format<'_>, keeps_to_schemas: bool, dropped: &mut Dropped) -> Option<FormatBody<'a>> {
    match format {
        Format::Text => None,
        Format::Schema(schema) if keeps_to_schemas => {
            if schema.description.is_some() {
                dropped.note(Feature::SchemaDescription);
            }
            Some(FormatBody { r#type: "json_schema", schema: &schema.schema })
        }
        Format::Json => {
            dropped.note(Feature::JsonFormat);
            None
        }
        Format::Schema(_) => {
            dropped.note(Feature::SchemaFormat);
            None
        }
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<BlockBody<'a>>,
    messages: Vec<MessageBody<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ChoiceBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<ThinkingBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfigBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<MetadataBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

#[derive(Serialize)]
struct OutputConfigBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatBody<'a>>,
}

#[derive(Serialize)]
struct FormatBody<'a> {
    r#type: &'static str,
    schema: &'a Json<'a>,
}

#[derive(Serialize)]
struct MetadataBody<'a> {
    user_id: &'a str,
}
