//! The walk along a route: admit, journal, send, and on to the next target as long as the route says so.
//!
//! A target whose circuit breaker is open is passed over. Where that leaves nothing that anything could be sent to, the route is walked again
//! as if there were no breakers: better a try than a refusal.
//!
//! Invariant: of every admission made here the flight knows until it is settled, so that whoever stops the walk in the middle (a caller
//! that goes away, a deadline) can still settle what is held.

mod back_off;
mod beside;
mod council;
mod hearing;
mod hedge;
mod judgement;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use llm::dialect::Dialect;
use llm::stream::meter::{StreamMeter, UsageEvents};
use llm::tokens::TokenEstimate;
use policy::decision::{Permit, Trace, TraceStep};
use policy::facts::RequestFacts;
use policy::source::RetryOn;

pub(crate) use council::Whole;
use hearing::{FirstPatience, Refused, Unheard};
pub(crate) use hearing::{REPLY_LIMIT, chain, idle, next_within, refusal_body, until_head};
pub(crate) use judgement::WholeAnswer;

use hedge::Manner;
use judgement::Judge;

use super::{Context, Failure};
use crate::cache::Recording;
use crate::clock;
use crate::enforce::{Admission, Gate};
use crate::health::{OrgHealth, Standing};
use crate::identity::Caller;
use crate::metering::{AttemptEnd, Booking, Consumption, consumption};
use crate::route::{FailureClass, Leaf, Walk};
use crate::upstream::{Outgoing, Reply, SendError, Way};

/// One request on its way to providers.
pub(crate) struct Flight<'c, 'p> {
    pub context: &'c Context,
    pub caller: &'c Caller,
    pub facts: &'c RequestFacts,
    pub outgoing: &'c Outgoing<'c>,
    pub health: &'c OrgHealth,
    pub permit: &'p Permit,
    pub booking: Booking<'c>,
    pub trace: Trace,
    /// The attempt that holds money right now.
    pub current: Option<Current<'p>>,
    /// `provider/model` of the last attempt.
    pub last: Arc<str>,
    /// Where the answer goes beside the caller, where it is to be kept.
    pub recording: Option<Box<Recording>>,
    /// The caller has left: what is under way is heard out, and nothing is begun.
    pub left: &'c AtomicBool,
}

/// An attempt in progress.
pub(crate) struct Current<'p> {
    pub admission: Admission<'p>,
    pub name: Arc<str>,
    pub began: Instant,
}

/// An answer worth passing on, with its admission still open.
pub(crate) struct Answer {
    pub reply: Reply,
    pub first: First,
}

/// How an exchange is answered.
#[expect(clippy::large_enum_variant, reason = "moved twice a request; a box would cost the usual way an allocation")]
pub(crate) enum Answered<'p> {
    /// What a provider says is passed on as it comes.
    Passing(Answer),
    /// All has been heard and is paid for, and this is what the caller gets.
    Decided(Box<Whole<'p>>),
}

/// What is there of the body.
pub(crate) enum First {
    /// All of it.
    Whole(WholeAnswer),
    /// A stream, up to its first event at least.
    Piece(Bytes),
}

struct Failed {
    failure: Failure,
    class: FailureClass,
    /// When the provider wants to be asked again, where it said so.
    retry_after: Option<Duration>,
}

impl Failed {
    fn new(failure: Failure, class: FailureClass) -> Self {
        Self { failure, class, retry_after: None }
    }
}

/// How a walk came to nothing.
struct Walked {
    last: Failure,
    /// A target was passed over, and nothing was sent to any.
    only_passed: bool,
}

impl<'p> Flight<'_, 'p> {
    /// Tries one target after the other until one answers.
    pub(crate) async fn run(&mut self, started: Instant) -> Result<Answered<'p>, Failure> {
        let limit = started.checked_add(self.context.exchange_limit());
        if self.permit.route().is_judged() && !self.outgoing.counts {
            return Box::pin(council::run(self, limit)).await.map(Answered::Decided);
        }
        let walked = match self.walk(limit, true).await {
            Err(Walked { only_passed: true, .. }) => self.walk(limit, false).await,
            walked => walked,
        };
        walked.map(Answered::Passing).map_err(|walked| walked.last)
    }

    async fn walk(&mut self, limit: Option<Instant>, heed_breakers: bool) -> Result<Answer, Walked> {
        let (mut walk, mut next) = Walk::begin(self.permit.route(), clock::instant());
        let (mut last, mut passed, mut sent, mut again, mut renewed) = (Failure::Deadline, false, false, 0, false);
        while let Some(mut leaf) = next {
            leaf.deadline = leaf.deadline.into_iter().chain(limit).min();
            if self.health.enter(&leaf.target.label) == Standing::Open && heed_breakers {
                self.trace.push(TraceStep::TargetRefused {
                    target: Arc::clone(&leaf.target.label),
                    by: self.health.rests_by(&leaf.target.label).into(),
                });
                passed = true;
                next = walk.after(FailureClass::NotAdmitted, clock::instant());
                continue;
            }
            let answered = match hedge::after(leaf.target, self.outgoing) {
                None => self.attempt(leaf).await,
                Some(after) => Box::pin(hedge::attempt(self, leaf, &mut walk, Manner { limit, heed_breakers }, after)).await,
            };
            let failed = match answered {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            last = failed.failure;
            sent |= failed.class != FailureClass::NotAdmitted;
            // Nothing is wrong with the target: it is asked again at once, as an attempt of its own.
            if matches!(last, Failure::Upstream { error: SendError::Closed(_), .. }) && !std::mem::replace(&mut renewed, true) {
                continue;
            }
            next = walk.after(failed.class, clock::instant());
            while let Some(same) = next.filter(|next| next.target.is_same_model(leaf.target)) {
                if back_off::wait(again, failed.retry_after, same.deadline.into_iter().chain(limit).min()).await {
                    again += 1;
                    break;
                }
                next = walk.after(failed.class, clock::instant());
            }
        }
        Err(Walked { last, only_passed: passed && !sent })
    }

    async fn attempt(&mut self, leaf: Leaf<'p>) -> Result<Answer, Failed> {
        if self.left.load(Ordering::Relaxed) {
            return Err(Failed::new(Failure::Gone, FailureClass::Final));
        }
        let now = clock::instant();
        let left = leaf.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now));
        if left.is_zero() {
            return Err(Failed::new(Failure::Deadline, FailureClass::Final));
        }
        let timeout = hearing::until_head(self.context, leaf.target, leaf.timeout, left);
        self.admit(leaf).await?;
        let Some(current) = &self.current else { return Err(bug()) };
        let caller = &self.caller.policy;
        let trace = self.booking.attempt(&current.admission, caller, self.facts, current.began);
        let sent = AtomicBool::new(false);
        let way = Way { admission: &current.admission, trace, sent: &sent };
        match hearing::send(self.context, caller, &way, self.outgoing, timeout).await {
            Ok(reply) if reply.status < 300 => self.answered(reply).await,
            Ok(reply) => Err(Box::pin(async { self.refused(Refused::read(reply).await).await }).await),
            Err(error) => Err(self.unanswered(error)),
        }
    }

    /// Holds the money and writes down that it is held.
    async fn admit(&mut self, leaf: Leaf<'p>) -> Result<(), Failed> {
        let now = clock::now();
        let (policy, prompt) = (&self.caller.policy, self.outgoing.prompt());
        let gate = Gate { budgets: &self.context.budgets, policy, facts: self.facts, prompt, clamps: true, now };
        let admitted = gate.admit(self.permit.claims(), leaf.target, &mut self.trace).await;
        let admission = admitted.map_err(|reason| {
            let outcome = "refused".into();
            self.trace.push(TraceStep::Attempt { target: Arc::clone(&leaf.target.label), outcome, ms: 0 });
            Failed::new(Failure::Denied { reason, message: String::new() }, FailureClass::NotAdmitted)
        })?;
        if self.booking.journal(&admission).is_err() {
            admission.release();
            return Err(Failed::new(Failure::CantLog, FailureClass::Final));
        }
        self.last = Arc::clone(&leaf.target.label);
        self.current = Some(Current { admission, name: Arc::clone(&self.last), began: clock::instant() });
        Ok(())
    }

    /// A head of success: a stream's first event or a whole answer must follow, or another target is tried.
    async fn answered(&mut self, mut reply: Reply) -> Result<Answer, Failed> {
        let took = self.took();
        let Some(target) = self.current.as_ref().map(|current| current.admission.target()) else { return Err(bug()) };
        let patience = FirstPatience::of(self.context, target, took, self.booking.limit());
        let judge = Judge { context: self.context, outgoing: self.outgoing, estimate: self.estimate(), target: &target.label };
        match hearing::first(&mut reply, self.facts.stream, patience, &judge).await {
            Ok(first) => {
                self.booking.answered(reply.spoken, &first);
                self.health.answered(&target.label, took, &first);
                Ok(Answer { reply, first })
            }
            Err(unheard) => Err(Box::pin(self.unheard(unheard, reply.status)).await),
        }
    }

    /// An answer does not begin though its head was there.
    async fn unheard(&mut self, unheard: Unheard, status: u16) -> Failed {
        match unheard {
            Unheard::Silent(error) => self.unanswered(error),
            Unheard::Error(error) => self.refused(Refused::in_stream(&error, self.outgoing.head.dialect)).await,
            Unheard::Broken(failure) => {
                self.health.failed(&self.last);
                self.end_estimated("cut", status);
                hearing::broken(failure)
            }
            Unheard::Unreadable(consumed) => {
                self.health.failed(&self.last);
                self.end(AttemptEnd { outcome: "unreadable", status, took: self.took(), consumed: Some(consumed) });
                hearing::unreadable(self.name())
            }
        }
    }

    /// How long the current attempt's answer may be silent.
    pub(crate) fn idle(&self) -> Duration {
        self.current.as_ref().map_or(self.context.limits.idle_timeout, |current| hearing::idle(self.context, current.admission.target()))
    }

    async fn refused(&mut self, refused: Refused) -> Failed {
        let (status, target) = (refused.status, self.name());
        if refused.speaks_of_health(self.outgoing) {
            self.health.failed(&target);
        }
        self.end(AttemptEnd { outcome: "status", status, took: self.took(), consumed: None });
        refused.by(target).await
    }

    fn unanswered(&mut self, error: SendError) -> Failed {
        let (outcome, was_sent) = (error.outcome(), error.was_sent());
        let failed = hearing::unanswered(self.name(), error, self.health);
        if was_sent {
            self.end_estimated(outcome, 0);
        } else {
            self.end(AttemptEnd { outcome, status: 0, took: self.took(), consumed: None });
        }
        failed
    }

    /// Ends the current attempt with what can be guessed of an answer that nobody read: its input.
    pub(crate) fn end_estimated(&mut self, outcome: &'static str, status: u16) {
        let consumed = Some(input_only(self.context, self.outgoing.head.dialect, self.estimate()));
        self.end(AttemptEnd { outcome, status, took: self.took(), consumed });
    }

    /// The request's tokens as far as they are known before an answer says so; where the provider adds to them, as many as there may be.
    pub(crate) fn estimate(&self) -> TokenEstimate {
        estimate_at(self.outgoing.head, self.facts, self.current.as_ref().map(|current| &current.admission))
    }

    /// Ends the current attempt: the admission is settled or released, event and trace say how it went.
    pub(crate) fn end(&mut self, mut end: AttemptEnd) {
        // Counting is free, wherever it is done.
        end.consumed = end.consumed.filter(|_| !self.outgoing.counts);
        let Some(Current { admission, name, .. }) = self.current.take() else { return };
        let outcome = match (end.outcome, end.status) {
            ("status", 429) => "429",
            ("status", 500..) => "5xx",
            ("status", ..400) => "unreadable",
            ("status", _) => "refused",
            (outcome, _) => outcome,
        };
        let ms = u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX);
        self.trace.push(TraceStep::Attempt { target: name, outcome: outcome.into(), ms });
        self.booking.settle(admission, &end);
    }

    /// How long the current attempt has taken.
    pub(crate) fn took(&self) -> Duration {
        self.current.as_ref().map_or(Duration::ZERO, |current| clock::instant().saturating_duration_since(current.began))
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.last)
    }
}

/// A request's tokens as far as they are known before an answer says so: no more than is held for them, which is as many as there may be where
/// the provider adds to them.
fn estimate_at(head: &llm::request::Head<'_>, facts: &RequestFacts, admission: Option<&Admission<'_>>) -> TokenEstimate {
    let estimate = head.estimate();
    let bound = admission.and_then(|admission| admission.input_bound(facts)).unwrap_or(estimate.bound);
    TokenEstimate { likely: estimate.likely.min(bound), bound }
}

/// What is taken to be consumed where nobody knows how far a provider came: the input.
fn input_only(context: &Context, dialect: Dialect, estimate: TokenEstimate) -> Consumption {
    let verdict = StreamMeter::new(dialect, UsageEvents::Forward).finish().verdict(estimate);
    consumption(context, &verdict)
}

/// Time ran out between two attempts.
fn late() -> Failed {
    Failed::new(Failure::Deadline, FailureClass::Retryable(RetryOn::Timeout))
}

fn bug() -> Failed {
    Failed::new(Failure::Bug, FailureClass::Final)
}
