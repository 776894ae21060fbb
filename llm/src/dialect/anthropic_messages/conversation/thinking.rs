//! How much to think: efforts in words and budgets in tokens.
//!
//! | effort   | budget | `effort` of models that take no budget |
//! | -------- | ------ | -------------------------------------- |
//! | none     | off    | thinking `disabled`                    |
//! | minimal  | 1,024  | `low`                                  |
//! | low      | 1,024  | `low`                                  |
//! | medium   | 8,192  | `medium`                               |
//! | high     | 24,576 | `high`                                 |
//! | highest  | 32,768 | `max` from 4.7 on, `high` before       |
//!
//! (The budgets are those that Google documents for the same words; beyond 32 Ki Anthropic sees little gain.) A budget becomes the
//! lowest effort whose budget is not below it. Anthropic takes no budget under 1,024 and none that isn't below `max_tokens`: a budget
//! that was asked for in tokens is lifted to the one and lowered below the other; one that stands for a word takes three quarters of
//! `max_tokens` at most, for something must be left to answer with. Where that leaves less than 1,024, and where a request has what
//! Anthropic refuses together with thinking, thinking is left out and named.

use serde::Serialize;

use super::generation::Generation;
use crate::convert::{Conversation, Dropped, Effort, Reasoning, ToolChoice};

/// The least that Anthropic takes.
const LEAST: u32 = 1024;

/// The budget an effort stands for; 0 is none.
pub(in crate::dialect) fn budget_of(effort: Effort) -> u32 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => LEAST,
        Effort::Medium => 8192,
        Effort::High => 24_576,
        Effort::Highest => 32_768,
    }
}

/// The effort a budget stands for.
pub(in crate::dialect) fn effort_of(budget: u32) -> Effort {
    let efforts = [Effort::None, Effort::Low, Effort::Medium, Effort::High];
    efforts.into_iter().find(|effort| budget <= budget_of(*effort)).unwrap_or(Effort::Highest)
}

/// The effort of this name.
pub(super) fn effort_named(name: &str) -> Option<Effort> {
    Some(match name {
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" | "max" => Effort::Highest,
        _ => return None,
    })
}

/// `thinking`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::dialect) enum ThinkingBody {
    /// Within a budget.
    Enabled {
        budget_tokens: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
    /// As the model sees fit.
    Adaptive {
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
    /// Not at all.
    Disabled,
}

/// What is written of [`Reasoning`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::dialect) struct ThinkingPlan {
    /// `thinking`
    pub(in crate::dialect) thinking: Option<ThinkingBody>,
    /// `output_config.effort`
    pub(in crate::dialect) effort: Option<&'static str>,
}

impl ThinkingPlan {
    /// Plans for this request. `unled`: the model is in the middle of a turn with tools whose thoughts nobody kept; with a budget,
    /// Anthropic refuses to go on thinking then.
    pub(in crate::dialect) fn of(
        conversation: &Conversation<'_>,
        generation: Generation,
        limit: u32,
        unled: bool,
        dropped: &mut Dropped,
    ) -> Self {
        let Reasoning { effort, budget_tokens, shown } = conversation.reasoning;
        if effort.is_none() && budget_tokens.is_none() && shown != Some(true) {
            return Self::default();
        }
        if effort == Some(Effort::None) || budget_tokens == Some(0) {
            let disabled = (!generation.takes_budget()).then_some(ThinkingBody::Disabled);
            return Self { thinking: disabled, effort: None };
        }
        let forced = matches!(conversation.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
        if forced || !generation.thinks() {
            dropped.note_reasoning(&conversation.reasoning);
            return Self::default();
        }
        if !generation.takes_budget() {
            let effort = effort.or(budget_tokens.map(effort_of)).map(|effort| word_of(effort, generation));
            let display = shown.map(|shown| if shown { "summarized" } else { "omitted" });
            return Self { thinking: Some(ThinkingBody::Adaptive { display }), effort };
        }
        let budget = match budget_tokens {
            Some(budget) => budget.max(LEAST).min(limit.saturating_sub(1)),
            None => budget_of(effort.unwrap_or(Effort::Medium)).min(limit.saturating_sub(limit.div_ceil(4))),
        };
        if budget < LEAST || unled {
            dropped.note_reasoning(&conversation.reasoning);
            return Self::default();
        }
        // Shown is what these models do unless they are told otherwise.
        let display = (shown == Some(false)).then_some("omitted");
        Self { thinking: Some(ThinkingBody::Enabled { budget_tokens: budget, display }), effort: None }
    }

    /// Whether the model will think.
    pub(in crate::dialect) fn is_on(self) -> bool {
        matches!(self.thinking, Some(ThinkingBody::Enabled { .. } | ThinkingBody::Adaptive { .. }))
    }
}

fn word_of(effort: Effort, generation: Generation) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::Highest if generation.takes_max_effort() => "max",
        Effort::High | Effort::Highest => "high",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn enabled(budget_tokens: u32) -> Option<ThinkingBody> {
        Some(ThinkingBody::Enabled { budget_tokens, display: None })
    }

    #[test]
    fn a_budget_fits_between_the_least_and_the_limit_or_is_left_out_and_named() {
        let cases = [
            (Some(Effort::High), None, 64_000, enabled(24_576), ""),
            (Some(Effort::High), None, 8_000, enabled(6_000), ""),
            (Some(Effort::Minimal), None, 1_300, None, "output_config.effort"),
            (None, Some(500), 4_000, enabled(1_024), ""),
            (None, Some(500), 1_024, None, "thinking"),
            (None, Some(9_000), 4_000, enabled(3_999), ""),
            (None, Some(0), 4_000, None, ""),
            (Some(Effort::None), None, 4_000, None, ""),
        ];
        for (effort, budget_tokens, limit, expected, named) in cases {
            let conversation = Conversation { reasoning: Reasoning { effort, budget_tokens, shown: None }, ..Conversation::default() };
            let mut dropped = Dropped::of(Dialect::AnthropicMessages);
            let plan = ThinkingPlan::of(&conversation, Generation::of("claude-sonnet-4-5"), limit, false, &mut dropped);
            assert_eq!((plan.thinking, &*dropped.header()), (expected, named), "{effort:?} {budget_tokens:?} {limit}");
        }
    }

    #[test]
    fn models_without_budgets_get_words() {
        let cases = [
            ("claude-opus-4-7", None, Some(500), Some("low")),
            ("claude-opus-4-7", None, Some(10_000), Some("high")),
            ("claude-opus-4-7", Some(Effort::Highest), None, Some("max")),
            ("claude-sonnet-4-6", Some(Effort::Highest), None, Some("high")),
        ];
        for (model, effort, budget_tokens, expected) in cases {
            let conversation = Conversation { reasoning: Reasoning { effort, budget_tokens, shown: None }, ..Conversation::default() };
            let plan = ThinkingPlan::of(&conversation, Generation::of(model), 4_000, false, &mut Dropped::of(Dialect::AnthropicMessages));
            assert_eq!(plan, ThinkingPlan { thinking: Some(ThinkingBody::Adaptive { display: None }), effort: expected }, "{model}");
        }
    }

    #[test]
    fn a_budget_and_the_effort_it_stands_for_agree() {
        for effort in [Effort::None, Effort::Low, Effort::Medium, Effort::High, Effort::Highest] {
            assert_eq!(effort_of(budget_of(effort)), effort);
        }
    }

    #[test]
    fn what_can_not_stand_beside_thinking_puts_it_out() {
        let reasoning = Reasoning { effort: Some(Effort::High), budget_tokens: None, shown: None };
        let forced = Conversation { reasoning, tool_choice: Some(ToolChoice::Required), ..Conversation::default() };
        let free = Conversation { reasoning, ..Conversation::default() };
        for (conversation, model, unled, on) in [
            (&forced, "claude-sonnet-4-5", false, false),
            (&forced, "claude-opus-4-7", false, false),
            (&free, "claude-3-5-sonnet-20241022", false, false),
            (&free, "claude-sonnet-4-5", true, false),
            (&free, "claude-opus-4-7", true, true),
        ] {
            let mut dropped = Dropped::of(Dialect::AnthropicMessages);
            let plan = ThinkingPlan::of(conversation, Generation::of(model), 64_000, unled, &mut dropped);
            assert_eq!((plan.is_on(), dropped.is_empty()), (on, on), "{model}");
        }
    }
}
