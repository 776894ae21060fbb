//! Members asked at once: who is waited for, who counts, and whose answer it becomes.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use llm::convert::{self, FinishReason, Part};
use policy::decision::{Ensemble, MemberOutcome, TraceStep};
use policy::source::{Aggregation, RetryOn};

use super::super::Failed;
use super::ballot::{self, Vote};
use super::{Bounds, Council, Question, Whole, judge};
use crate::exchange::Failure;
use crate::route::FailureClass;

/// What became of a member.
enum Heard<'p> {
    /// Not yet anything, or cancelled.
    Nothing,
    Failed,
    /// An answer that can't be used.
    Invalid(Whole<'p>),
    Usable(Whole<'p>, Said),
}

/// What an answer says, for comparing.
pub(super) struct Said {
    pub text: String,
    /// Calls of tools, one a line.
    pub calls: String,
}

/// What was decided.
pub(super) struct Verdict {
    /// Which member's answer.
    pub member: usize,
    /// What is said in place of it.
    pub text: Option<String>,
    /// What decided in place of the config's aggregation.
    pub instead: Option<&'static str>,
}

impl<'p> Council<'_, '_, 'p> {
    pub(super) async fn ask_together(&self, ensemble: &'p Ensemble, question: Question<'_>, bounds: Bounds) -> Result<Whole<'p>, Failed> {
        let (mut heard, last) = self.hear(ensemble, question, bounds.within(ensemble.timeout_ms)).await;
        let usable = heard.iter().filter(|heard| matches!(heard, Heard::Usable(..))).count();
        let verdict = if usable >= ensemble.quorum { self.decide(ensemble, &heard, question, bounds).await } else { None };
        self.note(ensemble, &heard, verdict.as_ref());
        let undecided = || {
            let failure = Failure::Undecided { config: Arc::clone(&ensemble.config), usable, quorum: ensemble.quorum };
            Failed::new(failure, FailureClass::Retryable(RetryOn::ServerError))
        };
        let Some(Verdict { member, text, .. }) = verdict else {
            // Where nobody answered, the reason of the last one says more.
            return Err(last.filter(|_| usable == 0).unwrap_or_else(undecided));
        };
        match heard.get_mut(member).map(|heard| std::mem::replace(heard, Heard::Nothing)) {
            Some(Heard::Usable(whole, _)) => Ok(Whole { text: text.or_else(|| whole.text.clone()), ..whole }),
            _ => Err(undecided()),
        }
    }

    /// Asks all and waits until enough is heard; the rest is cancelled.
    async fn hear(&self, ensemble: &'p Ensemble, question: Question<'_>, bounds: Bounds) -> (Vec<Heard<'p>>, Option<Failed>) {
        let mut heard: Vec<Heard<'p>> = ensemble.members.iter().map(|_| Heard::Nothing).collect();
        let mut last = None;
        let asked = ensemble.members.iter().enumerate();
        let mut asking: FuturesUnordered<_> =
            asked.map(|(at, member)| async move { (at, self.ask(&member.route, question, bounds).await) }).collect();
        loop {
            let next = match bounds.deadline {
                Some(_) => pingora_timeout::timeout(bounds.left(), asking.next()).await.unwrap_or(None),
                None => asking.next().await,
            };
            let Some((at, answer)) = next else { break };
            let answer = match answer {
                Ok(whole) => match read(&whole, question) {
                    Some(said) => Heard::Usable(whole, said),
                    None => Heard::Invalid(whole),
                },
                Err(failed) => {
                    last = Some(failed);
                    Heard::Failed
                }
            };
            let decides = ensemble.aggregation == Aggregation::FirstValid && matches!(answer, Heard::Usable(..));
            if let Some(slot) = heard.get_mut(at) {
                *slot = answer;
            }
            if decides {
                break;
            }
        }
        (heard, last)
    }

    async fn decide(&self, ensemble: &'p Ensemble, heard: &[Heard<'p>], question: Question<'_>, bounds: Bounds) -> Option<Verdict> {
        let members = heard.iter().zip(&ensemble.members).enumerate();
        let votes: Vec<Vote<'_>> = members
            .filter_map(|(member, (heard, of))| match heard {
                Heard::Usable(_, said) => Some(Vote { member, weight: of.weight_ppm, said }),
                Heard::Nothing | Heard::Failed | Heard::Invalid(_) => None,
            })
            .collect();
        let of = |member| Verdict { member, text: None, instead: None };
        match ensemble.aggregation {
            Aggregation::FirstValid => votes.first().map(|vote| of(vote.member)),
            Aggregation::WeightedVote => ballot::most_agreed(&votes).map(of),
            Aggregation::WeightedAverage => {
                ballot::average(&votes, ensemble.quorum).map(|(member, text)| Verdict { member, text: Some(text), instead: None })
            }
            Aggregation::LlmJudge => {
                let judged = match &ensemble.judge {
                    Some(judge) if votes.len() > 1 => judge::ask(self, judge, &votes, question, bounds).await,
                    _ => None,
                };
                let heaviest = || ballot::heaviest(&votes).map(|member| Verdict { instead: Some("weight"), ..of(member) });
                judged.map(of).or_else(heaviest)
            }
        }
    }

    fn note(&self, ensemble: &Ensemble, heard: &[Heard<'_>], verdict: Option<&Verdict>) {
        let chosen = verdict.map(|verdict| verdict.member);
        let outcome = |(at, heard): (usize, &Heard<'_>)| match heard {
            Heard::Nothing => MemberOutcome { target: None, outcome: "cancelled".into() },
            Heard::Failed => MemberOutcome { target: None, outcome: "failed".into() },
            Heard::Invalid(whole) => MemberOutcome { target: Some(Arc::clone(&whole.target.label)), outcome: "invalid".into() },
            Heard::Usable(whole, _) => {
                let outcome = if chosen == Some(at) { "chosen" } else { "answered" };
                MemberOutcome { target: Some(Arc::clone(&whole.target.label)), outcome: outcome.into() }
            }
        };
        let step = TraceStep::Ensemble {
            config: Arc::clone(&ensemble.config),
            aggregation: ensemble.aggregation.as_str().into(),
            members: heard.iter().enumerate().map(outcome).collect(),
            instead: verdict.and_then(|verdict| verdict.instead.map(Into::into)),
        };
        self.beside.lock().trace.push(step);
    }
}

/// What an answer says; `None` where it can't be used: unreadable, empty, refused.
fn read(whole: &Whole<'_>, question: Question<'_>) -> Option<Said> {
    if question.outgoing.head.embeds {
        return Some(Said { text: String::new(), calls: String::new() });
    }
    let answer = convert::read(whole.spoken, &whole.body).ok()?;
    let choice = answer.choices.first()?;
    let calls = choice.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(format!("{} {}\n", call.name, ballot::normalised(&call.arguments))),
        _ => None,
    });
    let said = Said { text: whole.text.clone().unwrap_or_else(|| answer.text()), calls: calls.collect() };
    let refused = matches!(choice.finish, FinishReason::Refusal | FinishReason::MalformedCall);
    let empty = said.text.trim().is_empty() && said.calls.is_empty();
    (!refused && !empty).then_some(said)
}
