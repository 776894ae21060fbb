//! A model is asked, on whichever surface: the chain of stages, in their order.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use llm::convert::token_count;
use llm::dialect::Dialect;
use llm::request::{Addressed, Head};
use llm::stream::Framing;
use pingora_core::protocols::http::ServerSession;
use policy::decision::{Decision, DenialReason, Permit, Route, Trace, TraceStep};
use policy::facts::RequestFacts;
use secrecy::{ExposeSecret as _, SecretString};

use super::attempts::{Answered, Flight};
use super::permitted::{Content, Readable, permit};
use super::{Arrival, Context, Failure, dimensions, dry_run};
use crate::cache::{self, Recording, Wish};
use crate::clock;
use crate::enforce::rate::Rate;
use crate::identity::{self, Caller, Unidentified};
use crate::ingress::headers::{CallerHeaders, framing_in_query, key_in_query, presented_key};
use crate::ingress::{ReadFailure, body, percent_decoded};
use crate::metering::Booking;
use crate::policy_feed::OrgPolicy;
use crate::relay::{self, Again, Attended};
use crate::respond::Refusal;
use crate::respond::head::{CallerGone, Sent, refuse};
use crate::upstream::Outgoing;

/// What is wanted of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Its answer.
    Answer,
    /// How many tokens the request has for it. Governed like an answer, and free.
    Count,
}

/// Who calls, what arrived and what all exchanges share.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'c> {
    pub context: &'c Context,
    pub caller: &'c Caller,
    pub arrival: &'c Arrival,
    /// The caller's.
    pub dialect: Dialect,
    pub errand: Errand,
}

/// A request that was read.
struct Asked<'r> {
    body: &'r Bytes,
    /// What the path says of it.
    addressed: Option<Addressed<'r>>,
    head: Head<'r>,
    headers: CallerHeaders,
    /// How the events of a stream are wanted.
    framing: Framing,
    facts: RequestFacts,
    /// The key's rate and what is left of it.
    rate: Option<(u32, u64)>,
}

/// Answers one request; the status that went out.
pub(crate) async fn serve(
    context: &Context,
    session: &mut ServerSession,
    arrival: &Arrival,
    (errand, dialect): (Errand, Dialect),
    addressed: Option<Addressed<'_>>,
) -> Sent {
    // The slash of `provider/model` is inside of one segment for Gemini's clients, who escape it.
    let model = addressed.map(|addressed| percent_decoded(addressed.model).unwrap_or_else(|| addressed.model.to_owned()));
    let addressed = addressed.zip(model.as_deref()).map(|(addressed, model)| Addressed { model, ..addressed });
    let head = session.req_header();
    let in_query = head.uri.query().filter(|_| dialect == Dialect::Gemini).and_then(key_in_query);
    let presented = presented_key(&head.headers).or(in_query);
    let caller = match identity::identify(&context.policies, presented) {
        Ok(caller) => caller,
        Err(unidentified) => return turn_away(session, arrival, dialect, unidentified).await,
    };
    let exchange = Exchange { context, caller: &caller, arrival, dialect, errand };
    let mut booking = Booking::begin(context, &caller, arrival, identity::surface(dialect));
    booking.continue_trace(&session.req_header().headers);
    let body = match exchange.read_body(session).await {
        Ok(body) => body,
        Err(failure) => return exchange.refuse(session, booking, failure, Trace::default()).await,
    };
    let redacted = OnceLock::new();
    let (mut asked, trace) = match exchange.read(session, &body, addressed) {
        Ok(asked) => asked,
        Err(failure) => return exchange.refuse(session, booking, failure, Trace::default()).await,
    };
    match permit(exchange, session, booking, &mut asked, &redacted, trace).await {
        Ok((booking, permit, trace)) => exchange.answer(session, booking, &asked, &permit, trace).await,
        Err(sent) => sent,
    }
}

impl<'r> Readable<'r> for Asked<'r> {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }

    fn headers(&self) -> &CallerHeaders {
        &self.headers
    }

    fn content(&self) -> Content<'r> {
        Content::Json(self.body)
    }

    fn go_on_with(&mut self, body: &'r Bytes) -> Result<(), Failure> {
        let head = self.head.dialect.read_head(body, self.addressed).map_err(ReadFailure::from)?;
        let estimate = head.estimate();
        (self.facts.input_tokens, self.facts.input_tokens_bound) = (estimate.likely, estimate.bound);
        (self.body, self.head) = (body, head);
        Ok(())
    }

    fn objection(&self, policy: &OrgPolicy, route: &Route) -> Option<Failure> {
        dimensions::conflict(policy, &self.head, self.body, route)
    }
}

/// Tells somebody whom nobody knows that it is so. There is no organization whose log could have it.
pub(super) async fn turn_away(session: &mut ServerSession, arrival: &Arrival, dialect: Dialect, who: Unidentified) -> Sent {
    body::linger(session).await;
    let refusal = Refusal::of(&Failure::Unidentified(who), arrival.time).said_in(dialect);
    refuse(session, &arrival.request_id, &refusal).await
}

impl<'c> Exchange<'c> {
    async fn read_body(&self, session: &mut ServerSession) -> Result<Bytes, Failure> {
        let body = body::read(session, &self.context.limits).await?;
        match self.errand {
            Errand::Answer => Ok(body),
            Errand::Count => Ok(token_count::counted_part(self.dialect, &body).map_err(ReadFailure::from)?),
        }
    }

    fn read<'r>(&self, session: &ServerSession, body: &'r Bytes, addressed: Option<Addressed<'r>>) -> Result<(Asked<'r>, Trace), Failure> {
        let headers = CallerHeaders::read(&session.req_header().headers)?;
        let head = self.dialect.read_head(body, addressed).map_err(ReadFailure::from)?;
        let (mut facts, trace) = identity::facts(self.caller, self.arrival.origin(), &head, &headers)?;
        if self.errand == Errand::Count {
            facts = counted(facts);
        }
        let rate = if headers.dry_run { None } else { self.count()? };
        let framing = match self.dialect {
            Dialect::Gemini => framing_in_query(session.req_header().uri.query()),
            _ => Framing::Events,
        };
        Ok((Asked { body, addressed, head, headers, framing, facts, rate }, trace))
    }

    /// Counts the request against its key's rate.
    pub(super) fn count(&self) -> Result<Option<(u32, u64)>, Failure> {
        let keys = &self.caller.policy.engine.bundle().keys;
        let key = usize::try_from(self.caller.subject.key).ok().and_then(|index| keys.get(index));
        let Some((key, rpm)) = key.and_then(|key| Some((key, key.rpm?))) else { return Ok(None) };
        match self.context.rates.count(&key.id, rpm, self.context.budgets.workers(), self.arrival.started) {
            Rate::Within { remaining } => Ok(Some((rpm, remaining))),
            Rate::Exceeded { retry_after_ms } => {
                let reason = DenialReason::RateLimited { limit: rpm, retry_after_ms };
                Err(Failure::Denied { reason, message: String::new() })
            }
        }
    }

    pub(super) async fn decide(&self, facts: &RequestFacts, trace: Trace) -> Result<(Permit, Trace), (Failure, Trace)> {
        let (policy, now) = (&self.caller.policy, self.arrival.time);
        let again = trace.clone();
        let mut decision = self.decide_once(facts, trace);
        if let Decision::Permit(permit) = &decision
            && self.context.budgets.learn(policy, permit.claims(), now).await
        {
            // Nobody had asked about these budgets before; what is known now may lead elsewhere.
            decision = self.decide_once(facts, again);
        }
        match decision {
            Decision::Permit(mut permit) => {
                let trace = std::mem::take(permit.trace_mut());
                Ok((permit, trace))
            }
            Decision::Deny(denial) => Err(Failure::denied(denial)),
        }
    }

    fn decide_once(&self, facts: &RequestFacts, trace: Trace) -> Decision {
        let policy = &self.caller.policy;
        let health = self.context.health.of_org(self.org_id());
        let money = self.context.budgets.view(policy, self.arrival.time);
        policy.engine.decide(&self.caller.subject, facts, &money, health.as_ref(), trace)
    }

    /// What is permitted is answered: from the cache, or by a provider.
    async fn answer(
        &self,
        session: &mut ServerSession,
        mut booking: Booking<'c>,
        asked: &Asked<'_>,
        permit: &Permit,
        mut trace: Trace,
    ) -> Sent {
        let terms = permit.cache().filter(|_| self.errand == Errand::Answer);
        if asked.headers.dry_run {
            if let Some(terms) = terms {
                cache::foresee(&self.wish(asked, permit), terms, &mut trace);
            }
            return dry_run::answer_permit(*self, session, &asked.facts, permit, &trace).await;
        }
        let mut recording = None;
        if let Some(terms) = terms {
            // Boxed, because most requests have no use for its state.
            let consulted = Box::pin(cache::consult(&self.wish(asked, permit), terms, &mut trace)).await;
            booking.cached(consulted.outcome);
            if let Some(kept) = consulted.kept {
                let Asked { head, framing, facts, rate, .. } = asked;
                let again = Again { exchange: *self, head, framing: *framing, facts, permit, rate: *rate, kept: &kept };
                return Box::pin(relay::pass_kept(again, session, booking, trace)).await;
            }
            recording = consulted.recording;
        }
        self.fly(session, booking, asked, permit, (trace, recording)).await
    }

    fn wish<'w>(&self, asked: &'w Asked<'_>, permit: &'w Permit) -> Wish<'w>
    where
        'c: 'w,
    {
        let Asked { body, head, headers, facts, .. } = asked;
        Wish { exchange: *self, body, head, headers, facts, permit, strict: self.strict() }
    }

    fn outgoing<'o>(&'o self, asked: &'o Asked<'_>) -> Outgoing<'o> {
        Outgoing {
            body: asked.body,
            head: &asked.head,
            forwarded: &asked.headers.forwarded,
            caller_key: asked.headers.provider_key.as_ref(),
            framing: asked.framing,
            counts: self.errand == Errand::Count,
            strict: self.strict(),
            request_id: &self.arrival.request_id,
            created: u64::try_from(self.arrival.time.timestamp()).unwrap_or(0),
        }
    }

    async fn fly(
        &self,
        session: &mut ServerSession,
        booking: Booking<'c>,
        asked: &Asked<'_>,
        permit: &Permit,
        (trace, recording): (Trace, Option<Box<Recording>>),
    ) -> Sent {
        let health = match self.errand {
            Errand::Answer => self.context.health.of_org(self.org_id()),
            Errand::Count => self.context.health.of_nobody(),
        };
        if let Some(key) = &asked.headers.provider_key {
            tracing::info!(request.id = %self.arrival.request_id, provider_key.fingerprint = %fingerprint(key), "the caller brought its own provider key");
        }
        let outgoing = self.outgoing(asked);
        let left = AtomicBool::new(false);
        let standby = relay::Standby {
            exchange: *self,
            facts: &asked.facts,
            permit,
            rate: asked.rate,
            framing: asked.framing,
            cache: booking.cache_word(),
        };
        // Handed from stage to stage: a box moves, a kilobyte would be copied each time.
        let mut flight = Box::new(Flight {
            context: self.context,
            caller: self.caller,
            facts: &asked.facts,
            outgoing: &outgoing,
            health: &health,
            permit,
            booking,
            trace,
            current: None,
            last: Arc::default(),
            recording,
            left: &left,
        });
        let (Attended { answered, begun }, seat) = {
            let mut walk = pin!(flight.run(self.arrival.started));
            let mut attended = standby.attend(session, walk.as_mut()).await;
            let seat = if attended.left() && permit.route().drains() { self.context.drains.try_acquire().ok() } else { None };
            if seat.is_some() {
                left.store(true, Ordering::Relaxed);
                attended.answered = walk.await;
            }
            (attended, seat)
        };
        match answered {
            answered if seat.is_some() => Box::pin(relay::drain(flight, answered)).await,
            Err(Failure::Gone) => abandon(flight),
            answered if begun => Box::pin(relay::pass_begun(flight, session, answered)).await,
            Ok(Answered::Passing(answer)) => relay::pass_on(flight, session, &self.arrival.request_id, answer, asked.rate).await,
            Ok(Answered::Decided(whole)) => Box::pin(relay::pass_decided(flight, session, *whole, asked.rate)).await,
            Err(Failure::UpstreamStatus { status, reply: Some(reply), .. }) => {
                relay::pass_refusal(flight, session, &self.arrival.request_id, status, *reply).await
            }
            Err(failure) => {
                let Flight { booking, trace, .. } = *flight;
                self.refuse(session, booking, failure, trace).await
            }
        }
    }

    /// Tells the caller no, and books that it was told.
    pub(super) async fn refuse(&self, session: &mut ServerSession, booking: Booking<'c>, failure: Failure, mut trace: Trace) -> Sent {
        let refusal = Refusal::of(&failure, clock::now()).said_in(self.dialect);
        if !matches!(trace.steps.last(), Some(TraceStep::Denied { .. })) {
            trace.push(TraceStep::Denied { code: refusal.code().into(), message: refusal.message().to_owned() });
        }
        let sent = refuse(session, &self.arrival.request_id, &refusal).await;
        booking.close(refusal.status, Some(refusal.code()), &trace);
        if matches!(failure, Failure::Read(_)) {
            body::linger(session).await;
        }
        sent
    }

    /// Whether the caller's project refuses to leave out what a provider can't take.
    fn strict(&self) -> bool {
        self.caller.policy.engine.project(self.caller.subject.project).is_some_and(|project| project.strict_capabilities)
    }

    fn org_id(&self) -> &str {
        &self.caller.policy.engine.bundle().org.id
    }
}

/// What rules and budgets may know of a request whose tokens are counted: nothing is generated. One token is held and given back, so that
/// a budget that has nothing left says no here too.
fn counted(facts: RequestFacts) -> RequestFacts {
    RequestFacts { stream: false, input_tokens_bound: 1, kept_input: None, provider_tool: None, max_output_tokens: Some(0), ..facts }
}

/// The caller left. Dropping the walk has cancelled the provider's work; what it read until then may be billed.
fn abandon(mut flight: Box<Flight<'_, '_>>) -> Sent {
    flight.end_estimated("cancelled", 0);
    let Flight { booking, trace, .. } = *flight;
    booking.close(499, Some("client_closed_request"), &trace);
    Err(CallerGone)
}

/// Enough of a key to recognise it by, not enough to use it: its last four characters, where it is long enough to spare them.
pub(super) fn fingerprint(key: &SecretString) -> String {
    let key = key.expose_secret();
    let tail = key.len().checked_sub(4).filter(|_| key.len() >= 20).and_then(|at| key.get(at..));
    format!("…{}", tail.unwrap_or("****"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_shows_the_end_of_a_long_key_and_nothing_of_a_short_one() {
        assert_eq!(fingerprint(&SecretString::from("sk-proj-0123456789abcdef")), "…cdef");
        assert_eq!(fingerprint(&SecretString::from("sk-short")), "…****");
    }
}
