//! Writing the settings.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::generation_of;
use crate::convert::{Conversation, Dropped, Effort, Feature, Format, Json, Reasoning};

/// The most texts that may end an answer.
const STOP_SEQUENCES: usize = 5;
/// The least budget of a model that can't do without thinking.
const LEAST_BUDGET: u32 = 128;

/// `generationConfig`; absent members are left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect::gemini) struct GenerationBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [Cow<'a, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingBody>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

impl<'a> GenerationBody<'a> {
    /// The settings of a conversation for `model`; `None` where nothing is set.
    pub(in crate::dialect::gemini) fn new(conversation: &'a Conversation<'_>, model: &str, dropped: &mut Dropped) -> Self {
        let sampling = &conversation.sampling;
        let seed = sampling.seed.as_ref().filter(|seed| seed.get().parse::<i32>().is_ok());
        if seed.is_none() && sampling.seed.is_some() {
            dropped.note(Feature::Seed);
        }
        if conversation.stop.len() > STOP_SEQUENCES {
            dropped.note(Feature::Stop);
        }
        let (response_mime_type, response_json_schema) = match &conversation.format {
            Format::Text => (None, None),
            Format::Json => (Some("application/json"), None),
            Format::Schema(schema) => (Some("application/json"), Some(&*schema.schema)),
        };
        Self {
            max_output_tokens: conversation.output_limit,
            temperature: sampling.temperature.as_ref(),
            top_p: sampling.top_p.as_ref(),
            top_k: sampling.top_k.as_ref(),
            seed,
            presence_penalty: sampling.presence_penalty.as_ref(),
            frequency_penalty: sampling.frequency_penalty.as_ref(),
            stop_sequences: conversation.stop.get(..STOP_SEQUENCES).unwrap_or(&conversation.stop),
            candidate_count: (conversation.choices > 1).then_some(conversation.choices),
            response_mime_type,
            response_json_schema,
            response_logprobs: conversation.logprobs.map(|_| true),
            logprobs: conversation.logprobs.filter(|alternatives| *alternatives > 0),
            thinking_config: thinking(&conversation.reasoning, model, dropped),
        }
    }

    /// Whether nothing is set.
    pub(in crate::dialect::gemini) fn is_empty(&self) -> bool {
        serde_json::to_string(self).is_ok_and(|text| text == "{}")
    }
}

fn thinking(reasoning: &Reasoning, model: &str, dropped: &mut Dropped) -> Option<ThinkingBody> {
    if *reasoning == Reasoning::default() {
        return None;
    }
    let by_budget = generation_of(model).is_some_and(|generation| generation < 3);
    // Of these two, the lightest can't be told to stop thinking.
    let must_think = model.contains("-pro");
    let mut body = ThinkingBody { include_thoughts: reasoning.shown, ..ThinkingBody::default() };
    match (reasoning.effort, reasoning.budget_tokens) {
        (None, budget) => body.thinking_budget = budget,
        (Some(effort), budget) if by_budget => {
            let tokens = budget.unwrap_or(budget_of(effort));
            body.thinking_budget = Some(if must_think { tokens.max(LEAST_BUDGET) } else { tokens });
        }
        (Some(effort), _) => {
            if effort == Effort::None {
                dropped.note_reasoning(reasoning);
            }
            body.thinking_level = Some(level_of(effort, must_think));
        }
    }
    Some(body)
}

fn budget_of(effort: Effort) -> u32 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 8192,
        Effort::High | Effort::Highest => 24_576,
    }
}

/// Since Gemini 3 no model can do without thinking, and the large ones know no minimal level.
fn level_of(effort: Effort, large: bool) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal if large => "LOW",
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High | Effort::Highest => "HIGH",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn thinking_of(effort: Option<Effort>, budget_tokens: Option<u32>, model: &str) -> String {
        let reasoning = Reasoning { effort, budget_tokens, shown: None };
        serde_json::to_string(&thinking(&reasoning, model, &mut Dropped::of(Dialect::OpenAiChat))).unwrap()
    }

    #[test]
    fn thinking_is_a_budget_before_gemini_3_and_a_level_since() {
        for (effort, budget, model, expected) in [
            (Some(Effort::High), None, "gemini-2.5-flash", r#"{"thinkingBudget":24576}"#),
            (Some(Effort::None), None, "gemini-2.5-flash", r#"{"thinkingBudget":0}"#),
            (Some(Effort::None), None, "models/gemini-2.5-pro", r#"{"thinkingBudget":128}"#),
            (Some(Effort::Low), Some(3000), "gemini-2.5-pro", r#"{"thinkingBudget":3000}"#),
            (Some(Effort::Low), Some(3000), "gemini-3-flash", r#"{"thinkingLevel":"LOW"}"#),
            (Some(Effort::None), None, "gemini-3-flash", r#"{"thinkingLevel":"MINIMAL"}"#),
            (Some(Effort::Minimal), None, "gemini-3.1-pro-preview", r#"{"thinkingLevel":"LOW"}"#),
            (Some(Effort::Highest), None, "gemini-flash-latest", r#"{"thinkingLevel":"HIGH"}"#),
            (None, Some(512), "gemini-3-flash", r#"{"thinkingBudget":512}"#),
            (None, None, "gemini-3-flash", "null"),
        ] {
            assert_eq!(thinking_of(effort, budget, model), expected, "{effort:?} {budget:?} {model}");
        }
    }
}
