//! Writing a request. `messages` writes its turns, `tools` what may be called.
//!
//! What only Claude takes (thinking, `top_k`) goes in `additionalModelRequestFields` as it stands in Anthropic's own API. Without a
//! limit of the output none is written: Converse asks for none.

use serde::Serialize;
use serde_json::value::RawValue;

mod messages;
mod tools;

use self::{
    messages::{BlockBody, MessageBody, Messages},
    tools::ToolConfigBody,
};
use crate::{
    convert::{Conversation, Dropped, Effort, Feature, Format, Reasoning, Sampling},
    dialect::anthropic_messages::{
        conversation::{
            generation::Generation,
            sampling::Drawn,
            thinking::{ThinkingBody, ThinkingPlan},
        },
        to_json,
    },
};

/// What thinking has to fit in where the request has no limit: what every Claude can write.
const LIMIT_OF_ALL: u32 = 4096;

/// Writes the request for an answer of `model`, of which only the name matters here; it stands in the path.
pub(crate) fn write_conversation(conversation: &Conversation<'_>, model: &str, dropped: &mut Dropped) -> Vec<u8> {
    let messages = Messages::of(conversation, dropped);
    let claude = model.contains("claude").then(|| Generation::of(model));
    let (plan, drawn) = match claude {
        Some(generation) => {
            let limit = conversation.output_limit.unwrap_or(LIMIT_OF_ALL);
            let plan = ThinkingPlan::of(conversation, generation, limit, messages.are_unled(), dropped);
            (plan, Drawn::of(&conversation.sampling, generation, plan, dropped))
        }
        None => (ThinkingPlan::default(), draw_as_given(conversation, dropped)),
    };
    name_what_has_no_place(conversation, dropped);
    let keeps_to_schemas = claude.is_none_or(Generation::keeps_to_schemas);
    let additional =
        AdditionalBody { thinking: plan.thinking, output_config: plan.effort.map(|effort| EffortBody { effort }), top_k: drawn.top_k };
    to_json(&RequestBody {
        tool_config: ToolConfigBody::of(conversation, &messages.called(), keeps_to_schemas, dropped),
        system: messages.system,
        messages: messages.turns,
        inference_config: InferenceBody {
            max_tokens: conversation.output_limit,
            temperature: drawn.temperature,
            top_p: drawn.top_p,
            stop_sequences: conversation.stop.iter().map(AsRef::as_ref).collect(),
        },
        additional_model_request_fields: (!additional.is_empty()).then_some(additional),
        output_config: write_format(&conversation.format, keeps_to_schemas, dropped),
    })
}

/// Of a model that is no Claude: Converse knows no member for thinking and none for `top_k`.
fn draw_as_given<'a>(conversation: &'a Conversation<'_>, dropped: &mut Dropped) -> Drawn<'a> {
    let Reasoning { effort, budget_tokens, .. } = conversation.reasoning;
    if effort.is_some_and(|effort| effort != Effort::None) || budget_tokens.is_some_and(|budget| budget > 0) {
        dropped.note_reasoning(&conversation.reasoning);
    }
    let mut drawn = Drawn::given(&conversation.sampling);
    drawn.keep_to_one(dropped);
    if drawn.top_k.take().is_some() {
        dropped.note(Feature::TopK);
    }
    drawn
}

fn name_what_has_no_place(conversation: &Conversation<'_>, dropped: &mut Dropped) {
    let Sampling { seed, presence_penalty, frequency_penalty, .. } = &conversation.sampling;
    let absent = [
        (Feature::Seed, seed.is_some()),
        (Feature::PresencePenalty, presence_penalty.is_some()),
        (Feature::FrequencyPenalty, frequency_penalty.is_some()),
        (Feature::Logprobs, conversation.logprobs.is_some()),
        (Feature::Choices, conversation.choices > 1),
        (Feature::ParallelToolCalls, conversation.parallel_tool_calls == Some(false)),
        (Feature::EndUser, conversation.end_user.is_some()),
    ];
    for (feature, _) in absent.into_iter().filter(|(_, given)| *given) {
        dropped.note(feature);
    }
    dropped.note_members(&conversation.others);
}

fn write_format<'a>(format: &'a Format<'_>, keeps_to_schemas: bool, dropped: &mut Dropped) -> Option<OutputConfigBody<'a>> {
    match format {
        Format::Text => None,
        Format::Schema(schema) if keeps_to_schemas => {
            let json_schema =
                SchemaText { schema: schema.schema.get(), name: schema.name.as_deref(), description: schema.description.as_deref() };
            let text_format = TextFormatBody { r#type: "json_schema", structure: StructureBody { json_schema } };
            Some(OutputConfigBody { text_format })
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
#[serde(rename_all = "camelCase")]
struct RequestBody<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<BlockBody<'a>>,
    messages: Vec<MessageBody<'a>>,
    #[serde(skip_serializing_if = "InferenceBody::is_empty")]
    inference_config: InferenceBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfigBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_request_fields: Option<AdditionalBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfigBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InferenceBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
}

impl InferenceBody<'_> {
    fn is_empty(&self) -> bool {
        self.max_tokens.is_none() && self.temperature.is_none() && self.top_p.is_none() && self.stop_sequences.is_empty()
    }
}

/// Claude's own members, in Anthropic's spelling.
#[derive(Serialize)]
struct AdditionalBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<ThinkingBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<EffortBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a RawValue>,
}

impl AdditionalBody<'_> {
    fn is_empty(&self) -> bool {
        self.thinking.is_none() && self.output_config.is_none() && self.top_k.is_none()
    }
}

#[derive(Serialize)]
struct EffortBody {
    effort: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfigBody<'a> {
    text_format: TextFormatBody<'a>,
}

#[derive(Serialize)]
struct TextFormatBody<'a> {
    r#type: &'static str,
    structure: StructureBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StructureBody<'a> {
    json_schema: SchemaText<'a>,
}

/// A schema that is a text here.
#[derive(Serialize)]
struct SchemaText<'a> {
    schema: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}
