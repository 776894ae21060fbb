//! Routes whose answer is looked at before anything of it is sent: several targets are asked, at once (an ensemble) or
//! one after the other (a cascade), and what they said becomes one answer. How attempts go on beside each other is in `beside`.
//!
//! Leaves out: streams on the way. Whole answers are asked for, and one is replayed where the caller wanted a stream.

mod ballot;
mod cascade;
mod ensemble;
mod judge;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue};
use llm::convert::Dropped;
use llm::dialect::Dialect;
use llm::request::{Addressed, unstreamed};
use policy::decision::{ResolvedTarget, Route, RouteAttempt, TraceStep};
use policy::source::RetryOn;
use smallvec::SmallVec;

use super::beside::{Beside, Bounds, Question, Terms};
use super::hedge::{self, Slow};
use super::{Failed, Flight, back_off, bug, late};
use crate::exchange::Failure;
use crate::health::Standing;
use crate::route::FailureClass;
use crate::upstream::Outgoing;

/// A whole answer, settled.
pub(crate) struct Whole<'p> {
    pub target: &'p ResolvedTarget,
    pub status: u16,
    /// The provider's dialect.
    pub spoken: Dialect,
    pub passed: SmallVec<[(HeaderName, HeaderValue); 4]>,
    pub dropped: Dropped,
    pub clamped: Option<u32>,
    pub body: Bytes,
    /// The same as the caller gets it who wants it whole.
    pub said: Bytes,
    /// What is said in place of the answer's own text.
    pub text: Option<String>,
}

/// Those who are asked for one request.
struct Council<'a, 'c, 'p> {
    beside: Beside<'a, 'c, 'p>,
    heed_breakers: bool,
    passed_over: AtomicBool,
    sent: AtomicBool,
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
        let (passed_over, sent) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { beside: Beside::new(flight), heed_breakers, passed_over, sent }
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
        if bounds.left().is_zero() {
            return Err(late());
        }
        if self.beside.is_left() {
            return Err(Failed::new(Failure::Gone, FailureClass::Final));
        }
        let health = self.beside.health();
        if health.enter(&target.label) == Standing::Open && self.heed_breakers {
            self.passed_over.store(true, Ordering::Relaxed);
            self.beside
                .lock()
                .trace
                .push(TraceStep::TargetRefused { target: Arc::clone(&target.label), by: health.rests_by(&target.label).into() });
            return Err(Failed::new(Failure::Deadline, FailureClass::NotAdmitted));
        }
        let terms = Terms { bounds, clamps: true, begun: &self.sent };
        let Some(after) = hedge::after(target, question.outgoing) else {
            return self.ask_once(target, question, terms, &AtomicBool::default()).await;
        };
        let (heard, begun) = (AtomicBool::default(), AtomicBool::default());
        let again = || {
            let rests = self.heed_breakers && health.standing(&target.label) != Standing::Closed;
            let second = Terms { clamps: false, begun: &begun, ..terms };
            (!rests).then(|| (target, self.ask_once(target, question, second, &heard)))
        };
        let first = self.ask_once(target, question, terms, &heard);
        Box::pin(self.beside.race(Slow { target, after, heard: &heard, begun: &begun }, first, again)).await
    }

    /// One attempt at a target. `heard` is set when its head is there.
    async fn ask_once(
        &self,
        target: &'p ResolvedTarget,
        question: Question<'_>,
        terms: Terms<'_>,
        heard: &AtomicBool,
    ) -> Result<Whole<'p>, Failed> {
        let (attempt, reply) = self.beside.ask(target, question, terms).await?;
        heard.store(true, Ordering::Relaxed);
        attempt.hear(reply, question).await
    }
}

fn same_model(one: &Route, other: &Route) -> bool {
    matches!((one, other), (Route::Target(one), Route::Target(other)) if one.is_same_model(other))
}
