//! Reading the settings.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::{fields::Fields, schema::to_json_schema};
use crate::{
    convert::{Conversation, Effort, Feature, Format, Schema},
    request::ReadRequestError,
};

/// Reads `generationConfig` into a conversation.
pub(in crate::dialect::gemini) fn read_generation<'a>(
    mut config: Fields<'a>,
    conversation: &mut Conversation<'a>,
) -> Result<(), ReadRequestError> {
    conversation.output_limit = config.count("maxOutputTokens")?;
    conversation.stop = config.texts("stopSequences")?;
    conversation.choices = config.count("candidateCount")?.unwrap_or(1);
    let sampling = &mut conversation.sampling;
    sampling.temperature = config.number("temperature")?;
    sampling.top_p = config.number("topP")?;
    sampling.top_k = config.number("topK")?;
    sampling.seed = config.number("seed")?;
    sampling.presence_penalty = config.number("presencePenalty")?;
    sampling.frequency_penalty = config.number("frequencyPenalty")?;
    let alternatives = config.count("logprobs")?.unwrap_or(0);
    conversation.logprobs = config.flag("responseLogprobs")?.unwrap_or(false).then_some(alternatives);
    read_format(&mut config, conversation)?;
    if let Some(thinking) = config.object("thinkingConfig")? {
        read_thinking(thinking, conversation)?;
    }
    keep_rest(config, conversation);
    Ok(())
}

/// JSON of a schema, some JSON, or text. A choice of words (`text/x.enum`) has no place in the middle and is kept beside.
fn read_format<'a>(config: &mut Fields<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let own = config.take("responseSchema")?;
    let json_schema = config.take("responseJsonSchema")?;
    let media_type = config.take("responseMimeType")?;
    if json_schema.is_some() {
        conversation.written_as.push((Feature::SchemaFormat, "generationConfig.responseJsonSchema"));
    }
    let written = media_type.map(|value| crate::convert::text_of(value).ok_or_else(|| config.wrong("responseMimeType", "a string")));
    let schema = json_schema.map(Cow::Borrowed).or_else(|| own.map(to_json_schema));
    match (written.transpose()?.as_deref(), schema) {
        (Some("application/json"), Some(schema)) => {
            conversation.format = Format::Schema(Schema { name: None, description: None, schema, strict: None });
        }
        (Some("application/json"), None) => conversation.format = Format::Json,
        (None | Some("text/plain"), None) => {}
        (_, schema) => {
            let others = [("responseMimeType", media_type.map(Cow::Borrowed)), ("responseSchema", schema)];
            for (name, value) in others {
                let field = Cow::Owned(config.field(name));
                conversation.others.extend(value.map(|value| (field, value)));
            }
        }
    }
    Ok(())
}

fn read_thinking<'a>(mut thinking: Fields<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let reasoning = &mut conversation.reasoning;
    reasoning.shown = thinking.flag("includeThoughts")?;
    // -1 leaves it to the model, as does saying nothing.
    let budget = thinking.number("thinkingBudget")?.filter(|budget| budget.get() != "-1");
    let tokens = |budget: Cow<'_, RawValue>| budget.get().parse::<u32>();
    reasoning.budget_tokens =
        budget.map(tokens).transpose().map_err(|_| thinking.wrong("thinkingBudget", "a whole number from -1 to 4294967295"))?;
    let level = thinking.text("thinkingLevel")?.map(|level| level.to_ascii_uppercase());
    reasoning.effort = match level.as_deref() {
        None | Some("THINKING_LEVEL_UNSPECIFIED") => None,
        Some("MINIMAL") => Some(Effort::Minimal),
        Some("LOW") => Some(Effort::Low),
        Some("MEDIUM") => Some(Effort::Medium),
        Some("HIGH") => Some(Effort::High),
        Some(_) => return Err(thinking.wrong("thinkingLevel", "`MINIMAL`, `LOW`, `MEDIUM` or `HIGH`")),
    };
    keep_rest(thinking, conversation);
    Ok(())
}

fn keep_rest<'a>(fields: Fields<'a>, conversation: &mut Conversation<'a>) {
    conversation.others.extend(fields.rest().map(|(name, value)| (name, Cow::Borrowed(value))));
}
