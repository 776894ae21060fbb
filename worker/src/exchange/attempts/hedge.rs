//! Hedging: where an attempt gives no sign of life for as long as its routing config says (`hedge_after_ms`), another one is made beside it.
//!
//! Behaviour: a sign of life is the head of a whole answer, the first piece of a stream. The other one is asked of the next target along
//! the route, or of the same one where no other is left. The first good answer of the two is taken, the other attempt is cancelled; a
//! failure leaves the other one going. Both are held before they are sent, and both are booked, the cancelled one at its input.
//!
//! Conditions: only requests of which asking twice does no more than asking once, never while a budget can't hold both in full, never for a
//! caller who has left, and not where what could be asked rests: a hedge is no probe. Each attempt is hedged once, a hedge never.
//!
//! Health: what fails counts, whichever of the two it is; a cancelled one counts as nothing.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use policy::decision::{ResolvedTarget, TraceStep};

use super::beside::{Beside, Bounds, Open, Question, Terms};
use super::{Answer, Failed, Flight};
use crate::clock;
use crate::health::{OrgHealth, Standing};
use crate::route::{FailureClass, Leaf, Walk};
use crate::upstream::Outgoing;

/// How long `target` is waited for until another one is asked as well; nothing where nobody is.
pub(super) fn after(target: &ResolvedTarget, outgoing: &Outgoing<'_>) -> Option<Duration> {
    let ms = target.patience.hedge_after_ms.filter(|_| outgoing.head.repeatable && !outgoing.counts)?;
    Some(Duration::from_millis(ms.into()))
}

/// What is to be hedged.
#[derive(Clone, Copy)]
pub(super) struct Slow<'t, 'p> {
    pub target: &'p ResolvedTarget,
    /// How long it has.
    pub after: Duration,
    /// Set by its sign of life.
    pub heard: &'t AtomicBool,
    /// Set once the money for the other one is held.
    pub begun: &'t AtomicBool,
}

/// What the walk along a route goes by.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// When the exchange has to be over.
    pub limit: Option<Instant>,
    pub heed_breakers: bool,
}

/// One attempt on a plain route, and one beside it where it is slow. `walk` is then past both.
pub(super) async fn attempt<'p>(
    flight: &mut Flight<'_, 'p>,
    leaf: Leaf<'p>,
    walk: &mut Walk<'p>,
    manner: Manner,
    after: Duration,
) -> Result<Answer, Failed> {
    let question = Question { facts: flight.facts, outgoing: flight.outgoing };
    let beside = Beside::new(flight);
    let (heard, held, begun) = (AtomicBool::default(), AtomicBool::default(), AtomicBool::default());
    let mut ahead = walk.clone();
    let answered = {
        let open = async |leaf: Leaf<'p>, clamps: bool, begun: &AtomicBool| {
            let bounds = Bounds { timeout: leaf.timeout, deadline: leaf.deadline };
            let (attempt, reply) = beside.ask(leaf.target, question, Terms { bounds, clamps, begun }).await?;
            if !(question.facts.stream && reply.streams()) {
                heard.store(true, Ordering::Relaxed);
            }
            attempt.hear_first(reply, question).await
        };
        let second = || {
            let leaf = second_leaf(leaf, &mut ahead, beside.health(), manner)?;
            Some((leaf.target, Box::pin(open(leaf, false, &begun))))
        };
        let slow = Slow { target: leaf.target, after, heard: &heard, begun: &begun };
        beside.race(slow, Box::pin(open(leaf, true, &held)), second).await
    };
    if begun.load(Ordering::Relaxed) {
        *walk = ahead;
    }
    answered.map(Open::stay)
}

/// Who is asked beside `first`: the next along the route that does not rest, or else the same one.
fn second_leaf<'p>(first: Leaf<'p>, ahead: &mut Walk<'p>, health: &OrgHealth, manner: Manner) -> Option<Leaf<'p>> {
    let can_be_asked = |leaf: &Leaf<'p>| !manner.heed_breakers || health.standing(&leaf.target.label) == Standing::Closed;
    let mut further = ahead.clone();
    // Whatever a fallback goes on after: nothing has failed.
    while let Some(mut leaf) = further.after(FailureClass::NotAdmitted, clock::instant()) {
        if can_be_asked(&leaf) {
            leaf.deadline = leaf.deadline.into_iter().chain(manner.limit).min();
            *ahead = further;
            return Some(leaf);
        }
    }
    Some(first).filter(can_be_asked)
}

impl<'p> Beside<'_, '_, 'p> {
    /// Awaits `first`, and `second` as well where the first is slow. Whichever is not needed any more has been dropped then.
    pub(super) async fn race<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        slow: Slow<'_, 'p>,
        first: impl Future<Output = Result<T, Failed>>,
        second: impl FnOnce() -> Option<(&'p ResolvedTarget, F)>,
    ) -> Result<T, Failed> {
        let mut first = pin!(first);
        if let Ok(answered) = pingora_timeout::timeout(slow.after, first.as_mut()).await {
            return answered;
        }
        if slow.heard.load(Ordering::Relaxed) || self.is_left() {
            return first.await;
        }
        let Some((target, second)) = second() else {
            self.end_note(self.note(slow, slow.target), "breaker");
            return first.await;
        };
        let note = self.note(slow, target);
        let mut second = pin!(second);
        let (answered, outcome) = tokio::select! {
            biased;
            answered = first.as_mut() => match answered {
                Ok(answer) => (Ok(answer), "first"),
                Err(failed) => last_of(failed, second.as_mut().await, "second"),
            },
            answered = second.as_mut() => match answered {
                Ok(answer) => (Ok(answer), "second"),
                Err(failed) => last_of(failed, first.as_mut().await, "first"),
            },
        };
        let asked = slow.begun.load(Ordering::Relaxed);
        self.end_note(note, if asked { outcome } else { "not_held" });
        answered
    }

    /// Notes in the trace that `second` is asked as well; where it stands there.
    fn note(&self, slow: Slow<'_, 'p>, second: &ResolvedTarget) -> usize {
        let after_ms = u32::try_from(slow.after.as_millis()).unwrap_or(u32::MAX);
        let (target, second) = (Arc::clone(&slow.target.label), Arc::clone(&second.label));
        let trace = &mut self.lock().trace;
        trace.push(TraceStep::Hedged { target, second, after_ms, outcome: "open".into() });
        trace.steps.len().saturating_sub(1)
    }

    fn end_note(&self, note: usize, word: &'static str) {
        self.context.metrics.hedged(word);
        if let Some(TraceStep::Hedged { outcome, .. }) = self.lock().trace.steps.get_mut(note) {
            *outcome = word.into();
        }
    }
}

/// What comes of the last of two, of which the other one has failed.
fn last_of<T>(failed: Failed, last: Result<T, Failed>, word: &'static str) -> (Result<T, Failed>, &'static str) {
    match last {
        Ok(answer) => (Ok(answer), word),
        Err(other) if weight(failed.class) > weight(other.class) => (Err(failed), "neither"),
        Err(other) => (Err(other), "neither"),
    }
}

/// A refusal of the request says more than a failure that another try may mend, and that more than one of which nobody heard.
fn weight(class: FailureClass) -> u8 {
    match class {
        FailureClass::Final => 2,
        FailureClass::Retryable(_) => 1,
        FailureClass::NotAdmitted => 0,
    }
}
