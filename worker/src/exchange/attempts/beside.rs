//! Attempts of one request that go on at the same time: those of a council, and one that is hedged with the one beside it.
//!
//! Every attempt is admitted, journaled and settled on its own, as on a plain route. One that is no longer needed is cancelled by dropping
//! it, which closes its connection and settles its input, as the provider may have read it.
//!
//! The lock is held only between two awaits, by the one task that answers the request; plain routes never come here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use policy::decision::{ResolvedTarget, Trace, TraceStep};
use policy::facts::RequestFacts;

use super::council::Whole;
use super::hearing::{self, Refused, Unheard};
use super::judgement::{Judge, WholeAnswer};
use super::{Current, Failed, First, Flight, bug, estimate_at, input_only, late};
use crate::clock;
use crate::enforce::Gate;
use crate::exchange::{Context, Failure};
use crate::health::OrgHealth;
use crate::metering::{AttemptEnd, Consumption};
use crate::route::FailureClass;
use crate::telemetry::trace_context::TraceContext;
use crate::upstream::{Outgoing, Reply, SendError, Way};

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Question<'q> {
    pub facts: &'q RequestFacts,
    pub outgoing: &'q Outgoing<'q>,
}

/// How long may be asked.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Until the response head.
    pub timeout: Option<Duration>,
    /// Until the end.
    pub deadline: Option<Instant>,
}

impl Bounds {
    pub(super) fn within(self, total: Option<u64>) -> Self {
        let end = total.and_then(|ms| clock::instant().checked_add(Duration::from_millis(ms)));
        Self { deadline: self.deadline.into_iter().chain(end).min(), ..self }
    }

    pub(super) fn left(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(clock::instant()))
    }
}

/// How an attempt is begun beside others.
#[derive(Clone, Copy)]
pub(super) struct Terms<'t> {
    pub bounds: Bounds,
    /// Whether the output may be lowered to what a budget can afford.
    pub clamps: bool,
    /// Set once the money is held, and not if it can't be.
    pub begun: &'t AtomicBool,
}

/// One request whose attempts go on at the same time.
pub(super) struct Beside<'a, 'c, 'p> {
    flight: Mutex<&'a mut Flight<'c, 'p>>,
    pub context: &'c Context,
    tickets: AtomicU64,
}

impl<'a, 'c, 'p> Beside<'a, 'c, 'p> {
    pub(super) fn new(flight: &'a mut Flight<'c, 'p>) -> Self {
        let context = flight.context;
        Self { flight: Mutex::new(flight), context, tickets: AtomicU64::new(0) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, &'a mut Flight<'c, 'p>> {
        self.flight.lock()
    }

    pub(super) fn health(&self) -> &'c OrgHealth {
        self.lock().health
    }

    /// Whether the caller has left, so that nothing may be begun.
    pub(super) fn is_left(&self) -> bool {
        self.lock().left.load(Ordering::Relaxed)
    }

    /// Asks `target` for its head: the money is held first, and what all hold that go on now is written down.
    pub(super) async fn ask<'s>(
        &'s self,
        target: &'p ResolvedTarget,
        question: Question<'_>,
        terms: Terms<'_>,
    ) -> Result<(Attempt<'s, 'a, 'c, 'p>, Reply), Failed> {
        let left = terms.bounds.left();
        if left.is_zero() {
            return Err(late());
        }
        if self.is_left() {
            return Err(Failed::new(Failure::Gone, FailureClass::Final));
        }
        let attempt = self.admit(target, question, terms.clamps).await?;
        terms.begun.store(true, Ordering::Relaxed);
        let timeout = hearing::until_head(self.context, target, terms.bounds.timeout, left);
        attempt.send(question, timeout).await
    }

    /// Holds the money of one attempt and writes down what all hold that go on now.
    async fn admit<'s>(
        &'s self,
        target: &'p ResolvedTarget,
        question: Question<'_>,
        clamps: bool,
    ) -> Result<Attempt<'s, 'a, 'c, 'p>, Failed> {
        let (caller, permit) = {
            let flight = self.lock();
            (flight.caller, flight.permit)
        };
        let now = clock::now();
        let (policy, prompt) = (&caller.policy, question.outgoing.prompt());
        let gate = Gate { budgets: &self.context.budgets, policy, facts: question.facts, prompt, clamps, now };
        let mut steps = Trace::default();
        let admitted = gate.admit(permit.claims(), target, &mut steps).await;
        let mut flight = self.lock();
        flight.trace.steps.append(&mut steps.steps);
        let admission = admitted.map_err(|reason| {
            flight.trace.push(TraceStep::Attempt { target: Arc::clone(&target.label), outcome: "refused".into(), ms: 0 });
            Failed::new(Failure::Denied { reason, message: String::new() }, FailureClass::NotAdmitted)
        })?;
        if flight.booking.journal(&admission).is_err() {
            admission.release();
            return Err(Failed::new(Failure::CantLog, FailureClass::Final));
        }
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        flight.booking.hold(ticket, &admission);
        flight.last = Arc::clone(&target.label);
        let began = clock::instant();
        let place = flight.booking.attempt(&admission, &caller.policy, question.facts, began);
        let head = question.outgoing.head;
        let guess = input_only(self.context, head.dialect, estimate_at(head, question.facts, Some(&admission)));
        let name = Arc::clone(&flight.last);
        drop(flight);
        let current = Some(Current { admission, name, began });
        Ok(Attempt { beside: self, target, current, ticket, place, guess, sent: AtomicBool::new(false) })
    }
}

/// An attempt that holds money. Dropped before its end it is a cancelled one: its input is settled, if any of it can have been sent.
pub(super) struct Attempt<'s, 'a, 'c, 'p> {
    beside: &'s Beside<'a, 'c, 'p>,
    target: &'p ResolvedTarget,
    current: Option<Current<'p>>,
    ticket: u64,
    place: Option<TraceContext>,
    /// What is taken to be consumed where nothing better is known.
    guess: Consumption,
    sent: AtomicBool,
}

/// An answer that has begun, with its attempt still open.
pub(super) struct Open<'s, 'a, 'c, 'p> {
    attempt: Attempt<'s, 'a, 'c, 'p>,
    reply: Reply,
    first: First,
}

impl<'s, 'a, 'c, 'p> Attempt<'s, 'a, 'c, 'p> {
    /// Sends it; its head has to be there within `timeout`, and has to be one of success.
    async fn send(self, question: Question<'_>, timeout: Duration) -> Result<(Self, Reply), Failed> {
        let Some(current) = &self.current else { return Err(bug()) };
        let way = Way { admission: &current.admission, trace: self.place, sent: &self.sent };
        let caller = self.beside.lock().caller;
        match hearing::send(self.beside.context, &caller.policy, &way, question.outgoing, timeout).await {
            Ok(reply) if reply.status < 300 => Ok((self, reply)),
            Ok(reply) => Err(self.refused(Refused::read(reply).await, question).await),
            Err(error) => Err(self.unanswered(error)),
        }
    }

    /// The answer as a whole; the attempt is settled then.
    pub(super) async fn hear(mut self, mut reply: Reply, question: Question<'_>) -> Result<Whole<'p>, Failed> {
        let (target, took) = (self.target, self.took());
        let limit = self.beside.lock().booking.limit();
        let patience = (hearing::idle(self.beside.context, target), limit);
        let answer = match hearing::whole(&mut reply, patience, &self.judge(question)).await {
            Ok(answer) => answer,
            Err(unheard) => return Err(Box::pin(self.unheard(unheard, reply.status, question)).await),
        };
        self.beside.health().succeeded(&target.label, took);
        let Reply { status, spoken, dropped, passed, body: connection, .. } = reply;
        connection.finish().await;
        let clamped = self.current.as_ref().and_then(|current| current.admission.clamped_to());
        let WholeAnswer { body, said, consumed } = answer;
        self.end("ok", status, Some(consumed));
        Ok(Whole { target, status, spoken, passed, dropped, clamped, body, said, text: None })
    }

    /// What an answer begins with; the attempt stays open.
    pub(super) async fn hear_first(self, mut reply: Reply, question: Question<'_>) -> Result<Open<'s, 'a, 'c, 'p>, Failed> {
        let took = self.took();
        let limit = self.beside.lock().booking.limit();
        let patience = hearing::FirstPatience::of(self.beside.context, self.target, took, limit);
        match hearing::first(&mut reply, question.facts.stream, patience, &self.judge(question)).await {
            Ok(first) => {
                self.beside.health().answered(&self.target.label, took, &first);
                Ok(Open { attempt: self, reply, first })
            }
            Err(unheard) => Err(Box::pin(self.unheard(unheard, reply.status, question)).await),
        }
    }

    fn judge<'j>(&self, question: Question<'j>) -> Judge<'j>
    where
        'c: 'j,
        'p: 'j,
    {
        let admission = self.current.as_ref().map(|current| &current.admission);
        let estimate = estimate_at(question.outgoing.head, question.facts, admission);
        Judge { context: self.beside.context, outgoing: question.outgoing, estimate, target: &self.target.label }
    }

    /// An answer does not begin though its head was there.
    async fn unheard(mut self, unheard: Unheard, status: u16, question: Question<'_>) -> Failed {
        match unheard {
            Unheard::Silent(error) => self.unanswered(error),
            Unheard::Error(error) => self.refused(Refused::in_stream(&error, question.outgoing.head.dialect), question).await,
            Unheard::Broken(failure) => {
                self.beside.health().failed(&self.target.label);
                self.end("cut", status, Some(self.guess));
                hearing::broken(failure)
            }
            Unheard::Unreadable(consumed) => {
                self.beside.health().failed(&self.target.label);
                self.end("unreadable", status, Some(consumed));
                hearing::unreadable(Arc::clone(&self.target.label))
            }
        }
    }

    async fn refused(mut self, refused: Refused, question: Question<'_>) -> Failed {
        let status = refused.status;
        if refused.speaks_of_health(question.outgoing) {
            self.beside.health().failed(&self.target.label);
        }
        self.end("status", status, None);
        refused.by(Arc::clone(&self.target.label)).await
    }

    fn unanswered(mut self, error: SendError) -> Failed {
        let (outcome, was_sent) = (error.outcome(), error.was_sent());
        let failed = hearing::unanswered(Arc::clone(&self.target.label), error, self.beside.health());
        self.end(outcome, 0, was_sent.then_some(self.guess));
        failed
    }

    fn took(&self) -> Duration {
        self.current.as_ref().map_or(Duration::ZERO, |current| clock::instant().saturating_duration_since(current.began))
    }

    fn end(&mut self, outcome: &'static str, status: u16, consumed: Option<Consumption>) {
        let took = self.took();
        let Some(current) = self.current.take() else { return };
        let mut flight = self.beside.lock();
        flight.booking.settles_next(self.ticket, self.place.map(|place| place.span));
        flight.current = Some(current);
        flight.end(AttemptEnd { outcome, status, took, consumed });
    }
}

impl Open<'_, '_, '_, '_> {
    /// It is passed on: its attempt goes on as the only one of its flight. All others have ended.
    pub(super) fn stay(mut self) -> super::Answer {
        let Attempt { beside, target, ticket, place, .. } = self.attempt;
        let mut flight = beside.lock();
        flight.booking.settles_next(ticket, place.map(|place| place.span));
        flight.booking.served_by(target);
        flight.booking.answered(self.reply.spoken, &self.first);
        flight.last = Arc::clone(&target.label);
        flight.current = self.attempt.current.take();
        drop(flight);
        super::Answer { reply: self.reply, first: self.first }
    }
}

impl Drop for Attempt<'_, '_, '_, '_> {
    fn drop(&mut self) {
        let sent = self.sent.load(Ordering::Relaxed);
        self.end("cancelled", 0, sent.then_some(self.guess));
    }
}
