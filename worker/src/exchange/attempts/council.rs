//! Routes whose answer is looked at before anything of it is sent: several targets are asked, at once (an ensemble) or
//! one after the other (a cascade), and what they said becomes one answer.
//!
//! Every attempt is admitted, journaled and settled on its own, as on a plain route. One that is no longer needed is cancelled by dropping
//! it, which closes its connection and settles its input, as the provider may have read it.
//!
//! The lock is held only between two awaits, by the one task that answers the request; plain routes never come here.
//!
//! Leaves out: streams on the way. Whole answers are asked for, and one is replayed where the caller wanted a stream.

mod ballot;
mod cascade;
mod ensemble;
mod judge;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue};
use llm::convert::Dropped;
use llm::dialect::Dialect;
use llm::request::{Addressed, unstreamed};
use parking_lot::Mutex;
use policy::decision::{ResolvedTarget, Route, RouteAttempt, Trace, TraceStep};
use policy::facts::RequestFacts;
use policy::source::RetryOn;
use smallvec::SmallVec;

use super::hearing::{self, Refused};
use super::{Current, Failed, Flight, back_off, bug, estimate_at, input_only, late};
use crate::clock;
use crate::enforce::Gate;
use crate::exchange::{Context, Failure};
use crate::health::Standing;
use crate::metering::{AttemptEnd, Consumption, consumption};
use crate::relay::whole_verdict;
use crate::route::FailureClass;
use crate::upstream::{Outgoing, Reply, SendError, Way, WayBack};

/// A whole answer, settled.
pub(crate) struct Whole<'p> {
    pub target: &'p ResolvedTarget,
    pub status: u16,
    /// The provider's dialect.
    pub spoken: Dialect,
    /// How it is said again for the caller.
    pub back: WayBack,
    pub passed: SmallVec<[(HeaderName, HeaderValue); 4]>,
    pub dropped: Dropped,
    pub clamped: Option<u32>,
    pub body: Bytes,
    /// What is said in place of the answer's own text.
    pub text: Option<String>,
}

/// Those who are asked for one request.
struct Council<'a, 'c, 'p> {
    flight: Mutex<&'a mut Flight<'c, 'p>>,
    context: &'c Context,
    heed_breakers: bool,
    passed_over: AtomicBool,
    sent: AtomicBool,
    tickets: AtomicU64,
}

/// What is asked.
#[derive(Clone, Copy)]
struct Question<'q> {
    facts: &'q RequestFacts,
    outgoing: &'q Outgoing<'q>,
}

/// How long may be asked.
#[derive(Clone, Copy)]
struct Bounds {
    /// Until the response head.
    timeout: Option<Duration>,
    /// Until the end.
    deadline: Option<Instant>,
}

impl Bounds {
    fn within(self, total: Option<u64>) -> Self {
        let end = total.and_then(|ms| clock::instant().checked_add(Duration::from_millis(ms)));
        Self { deadline: self.deadline.into_iter().chain(end).min(), ..self }
    }

    fn left(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(clock::instant()))
    }
}

/// Asks along the permit's route.
pub(super) async fn run<'p>(flight: &mut Flight<'_, 'p>, limit: Option<Instant>) -> Result<Box<Whole<'p>>, Failure> {
    let (asked, permit) = (flight.outgoing, flight.permit);
    let body = unstreamed(asked.body).map_err(|_| Failure::Bug)?;
    let addressed = (asked.head.dialect == Dialect::Gemini).then_some(Addressed { model: &asked.head.model, stream: false });
    let head = asked.head.dialect.read_head(&body, addressed).map_err(|_| Failure::Bug)?;
    let outgoing = Outgoing { body: &body, head: &head, ..*asked };
    let facts = flight.facts;
    let question = Question { facts, outgoing: &outgoing };
    let bounds = Bounds { timeout: None, deadline: limit };
    let mut heed_breakers = true;
    loop {
        let council = Council::new(&mut *flight, heed_breakers);
        let asked = council.ask(permit.route(), question, bounds).await;
        let nothing_sent = council.passed_over.load(Ordering::Relaxed) && !council.sent.load(Ordering::Relaxed);
        match asked {
            Ok(whole) => return Ok(Box::new(whole)),
            Err(_) if nothing_sent && heed_breakers => heed_breakers = false,
            Err(failed) => return Err(failed.failure),
        }
    }
}

impl<'a, 'c, 'p> Council<'a, 'c, 'p> {
    fn new(flight: &'a mut Flight<'c, 'p>, heed_breakers: bool) -> Self {
        let context = flight.context;
        let (passed_over, sent) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { flight: Mutex::new(flight), context, heed_breakers, passed_over, sent, tickets: AtomicU64::new(0) }
    }

    fn ask<'s>(&'s self, route: &'p Route, question: Question<'s>, bounds: Bounds) -> BoxFuture<'s, Result<Whole<'p>, Failed>> {
        match route {
            Route::Target(target) => self.ask_target(target, question, bounds).boxed(),
            Route::Fallback { attempts, retry_on, total_budget_ms } => {
                self.ask_in_turn(attempts, retry_on, question, bounds.within(*total_budget_ms)).boxed()
            }
            Route::Ensemble(ensemble) => self.ask_together(ensemble, question, bounds).boxed(),
            Route::Cascade(cascade) => self.ask_until_accepted(cascade, question, bounds).boxed(),
        }
    }

    async fn ask_in_turn(
        &self,
        attempts: &'p [RouteAttempt],
        retry_on: &'p [RetryOn],
        question: Question<'_>,
        bounds: Bounds,
    ) -> Result<Whole<'p>, Failed> {
        let mut last: Option<(Failed, &'p Route)> = None;
        let mut again = 0;
        for RouteAttempt { route, timeout_ms } in attempts {
            if let Some((failed, before)) = &last {
                let goes_on = match failed.class {
                    FailureClass::Retryable(kind) => retry_on.contains(&kind),
                    FailureClass::NotAdmitted => true,
                    FailureClass::Final => false,
                };
                if !goes_on || bounds.left().is_zero() {
                    break;
                }
                if same_model(before, route) {
                    if !back_off::wait(again, failed.retry_after, bounds.deadline).await {
                        continue;
                    }
                    again += 1;
                }
            }
            let timeout = bounds.timeout.into_iter().chain(timeout_ms.map(Duration::from_millis)).min();
            match self.ask(route, question, Bounds { timeout, ..bounds }).await {
                Ok(whole) => return Ok(whole),
                Err(failed) => last = Some((failed, route)),
            }
        }
        Err(last.map_or_else(bug, |(failed, _)| failed))
    }

    async fn ask_target(&self, target: &'p ResolvedTarget, question: Question<'_>, bounds: Bounds) -> Result<Whole<'p>, Failed> {
        let left = bounds.left();
        if left.is_zero() {
            return Err(late());
        }
        let name = Arc::clone(&target.label);
        let (health, gone) = {
            let flight = self.flight.lock();
            (flight.health, flight.left.load(Ordering::Relaxed))
        };
        if gone {
            return Err(Failed::new(Failure::Gone, FailureClass::Final));
        }
        if health.enter(&name) == Standing::Open && self.heed_breakers {
            self.passed_over.store(true, Ordering::Relaxed);
            self.flight.lock().trace.push(TraceStep::TargetRefused { target: name, by: "breaker".into() });
            return Err(Failed::new(Failure::Deadline, FailureClass::NotAdmitted));
        }
        let attempt = self.admit(target, question).await?;
        self.sent.store(true, Ordering::Relaxed);
        let Some(current) = &attempt.current else { return Err(bug()) };
        let way = Way { admission: &current.admission, trace: attempt.place };
        let timeout = bounds.timeout.into_iter().chain(hearing::first_byte(target)).min();
        let timeout = timeout.unwrap_or(self.context.limits.attempt_timeout).min(left);
        let caller = self.flight.lock().caller;
        match hearing::send(self.context, &caller.policy, &way, question.outgoing, timeout).await {
            Ok(reply) if reply.status < 400 => attempt.hear(reply, target, question).await,
            Ok(reply) => Err(attempt.refused(reply, question).await),
            Err(error) => Err(attempt.unanswered(error)),
        }
    }

    /// Holds the money of one attempt and writes down what all hold that go on now.
    async fn admit<'s>(&'s self, target: &'p ResolvedTarget, question: Question<'_>) -> Result<Attempt<'s, 'a, 'c, 'p>, Failed> {
        let (caller, permit) = {
            let flight = self.flight.lock();
            (flight.caller, flight.permit)
        };
        let gate = Gate { budgets: &self.context.budgets, policy: &caller.policy, facts: question.facts, now: clock::now() };
        let mut steps = Trace::default();
        let admitted = gate.admit(permit.claims(), target, &mut steps).await;
        let mut flight = self.flight.lock();
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
        let guess = input_only(self.context, head.dialect, estimate_at(head, question.facts, Some(target)));
        let name = Arc::clone(&flight.last);
        drop(flight);
        Ok(Attempt { council: self, current: Some(Current { admission, name, began }), ticket, place, guess })
    }
}

/// An attempt that holds money. Dropped before its end it is a cancelled one: its input is settled.
struct Attempt<'s, 'a, 'c, 'p> {
    council: &'s Council<'a, 'c, 'p>,
    current: Option<Current<'p>>,
    ticket: u64,
    place: Option<crate::telemetry::trace_context::TraceContext>,
    /// What is taken to be consumed where nothing better is known.
    guess: Consumption,
}

impl<'p> Attempt<'_, '_, '_, 'p> {
    /// The answer as a whole.
    async fn hear(mut self, mut reply: Reply, target: &'p ResolvedTarget, question: Question<'_>) -> Result<Whole<'p>, Failed> {
        let (context, name) = (self.council.context, Arc::clone(&target.label));
        let took = self.took();
        let body = {
            let limit = self.council.flight.lock().booking.limit();
            hearing::whole_body(&mut reply, (hearing::idle(context, target), limit), Arc::clone(&name)).await
        };
        let health = self.council.flight.lock().health;
        let body = match body {
            Ok(body) => body,
            Err(failure) => {
                health.failed(&name);
                self.end("cut", 200, Some(self.guess));
                return Err(hearing::broken(failure));
            }
        };
        health.succeeded(&name, took);
        let Reply { status, spoken, back, dropped, passed, body: connection, .. } = reply;
        connection.finish().await;
        let head = question.outgoing.head;
        let verdict = whole_verdict(head, estimate_at(head, question.facts, Some(target)), spoken, &body);
        let clamped = self.current.as_ref().and_then(|current| current.admission.clamped_to());
        self.end("ok", status, Some(consumption(context, &verdict)));
        Ok(Whole { target, status, spoken, back, passed, dropped, clamped, body, text: None })
    }

    async fn refused(mut self, reply: Reply, question: Question<'_>) -> Failed {
        let Some(target) = self.name() else { return bug() };
        let status = reply.status;
        let refused = Refused::read(reply).await;
        if refused.speaks_of_health(question.outgoing) {
            self.council.flight.lock().health.failed(&target);
        }
        self.end("status", status, None);
        refused.by(target).await
    }

    fn unanswered(mut self, error: SendError) -> Failed {
        let Some(target) = self.name() else { return bug() };
        let (outcome, was_sent) = (error.outcome(), error.was_sent());
        let health = self.council.flight.lock().health;
        let failed = hearing::unanswered(target, error, health);
        self.end(outcome, 0, was_sent.then_some(self.guess));
        failed
    }

    fn name(&self) -> Option<Arc<str>> {
        self.current.as_ref().map(|current| Arc::clone(&current.name))
    }

    fn took(&self) -> Duration {
        self.current.as_ref().map_or(Duration::ZERO, |current| clock::instant().saturating_duration_since(current.began))
    }

    fn end(&mut self, outcome: &'static str, status: u16, consumed: Option<Consumption>) {
        let took = self.took();
        let Some(current) = self.current.take() else { return };
        let mut flight = self.council.flight.lock();
        flight.booking.settles_next(self.ticket, self.place.map(|place| place.span));
        flight.current = Some(current);
        flight.end(AttemptEnd { outcome, status, took, consumed });
    }
}

impl Drop for Attempt<'_, '_, '_, '_> {
    fn drop(&mut self) {
        self.end("cancelled", 0, Some(self.guess));
    }
}

fn same_model(one: &Route, other: &Route) -> bool {
    matches!((one, other), (Route::Target(one), Route::Target(other)) if one.is_same_model(other))
}
