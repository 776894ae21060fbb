//! Steps asked one after the other until an answer will do.
//!
//! A step that fails, or whose answer can't be read, leads to the next one, whatever the failure was: another model may take what this one
//! refused. An expression that fails accepts nothing. Each step was held, and is paid, on its own; the last one's answer is the answer.

use std::sync::Arc;

use llm::convert::{self, FinishReason, Part};
use policy::decision::{Cascade, RouteStep, StepOutcome, TraceStep};
use policy::rule::{ResponseFacts, Verdict};

use super::super::{Failed, bug, late};
use super::{Bounds, Council, Question, Whole, ballot};

impl<'p> Council<'_, '_, 'p> {
    pub(super) async fn ask_until_accepted(
        &self,
        cascade: &'p Cascade,
        question: Question<'_>,
        bounds: Bounds,
    ) -> Result<Whole<'p>, Failed> {
        let mut outcomes = Vec::with_capacity(cascade.steps.len());
        let mut answered = Err(bug());
        let last = cascade.steps.len().saturating_sub(1);
        for (position, step) in cascade.steps.iter().enumerate() {
            answered = self.ask(&step.route, question, bounds).await;
            let judged = answered.as_ref().map_or_else(|_| failed(), |whole| judge(step, whole, position == last));
            let accepted = judged.outcome == ACCEPTED;
            outcomes.push(judged);
            if accepted || bounds.left().is_zero() {
                break;
            }
        }
        let will_do = outcomes.last().is_some_and(|outcome| outcome.outcome == ACCEPTED);
        self.beside.lock().trace.push(TraceStep::Cascade { config: Arc::clone(&cascade.config), steps: outcomes });
        match answered {
            Ok(_) if !will_do => Err(late()),
            answered => answered,
        }
    }
}

const ACCEPTED: &str = "accepted";

fn failed() -> StepOutcome {
    StepOutcome { target: None, outcome: "failed".into(), error: None }
}

fn judge(step: &RouteStep, whole: &Whole<'_>, last: bool) -> StepOutcome {
    let (outcome, error) = match &step.accept {
        Some(accept) if !last => match read(whole).map(|response| accept.accepts(&response)) {
            Some(Verdict::True) => (ACCEPTED, None),
            Some(Verdict::False) => ("rejected", None),
            Some(Verdict::Errored(error)) => ("errored", Some(error)),
            None => ("unreadable", None),
        },
        _ => (ACCEPTED, None),
    };
    StepOutcome { target: Some(Arc::clone(&whole.target.label)), outcome: outcome.into(), error }
}

/// What an expression may know of an answer; `None` where it can't be read.
fn read(whole: &Whole<'_>) -> Option<ResponseFacts> {
    let answer = convert::read(whole.spoken, &whole.body).ok()?;
    let choice = answer.choices.first()?;
    let text = whole.text.clone().unwrap_or_else(|| answer.text());
    let calls = choice.parts.iter().filter(|part| matches!(part, Part::ToolCall(_))).count();
    let declined = choice.parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    let usage = answer.usage.unwrap_or_default();
    Some(ResponseFacts {
        json: ballot::json(&text),
        text,
        finish_reason: word(choice.finish),
        input_tokens: usage.input_tokens.unwrap_or(0),
        output_tokens: usage.output_tokens.unwrap_or(0),
        refused: declined || choice.finish == FinishReason::Refusal,
        tool_calls: u64::try_from(calls).unwrap_or(u64::MAX),
    })
}

const fn word(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Refusal => "refusal",
        FinishReason::MalformedCall => "malformed_call",
        FinishReason::Pause => "pause",
        FinishReason::Other => "other",
    }
}
