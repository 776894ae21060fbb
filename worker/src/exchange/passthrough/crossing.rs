//! The one attempt of what is passed through: admitted, journaled, sent, and settled however it ends.
//!
//! Invariant: from its admission to its end the crossing owns what is held, so that whichever stage it ends in can settle it, once.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use llm::tokens::TokenEstimate;
use pingora_core::protocols::http::ServerSession;
use policy::decision::{Permit, ResolvedTarget, Trace, TraceStep};
use policy::facts::{RequestFacts, Spends};

use crate::clock;
use crate::enforce::{Admission, Gate};
use crate::exchange::attempts::{chain, refusal_body, until_head};
use crate::exchange::call::Exchange;
use crate::exchange::{Failure, RefusedReply};
use crate::metering::{AttemptEnd, Booking, Consumption};
use crate::relay;
use crate::respond::head::{CallerGone, Sent};
use crate::upstream::passthrough::{Passed, send};
use crate::upstream::{Reply, SendError, Way};

/// One request on its way to the one provider it can go to.
pub(crate) struct Crossing<'c, 'p> {
    pub exchange: Exchange<'c>,
    pub permit: &'p Permit,
    pub target: &'p ResolvedTarget,
    pub facts: &'p RequestFacts,
    pub booking: Booking<'c>,
    pub trace: Trace,
    /// What is held; gone once it is settled.
    admission: Option<Admission<'p>>,
    began: Instant,
}

/// What an attempt has spent, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spent {
    /// Nothing: it was refused, or never sent.
    Nothing,
    /// This many tokens.
    Tokens(Consumption),
    /// What it costs, which nobody has told.
    Untold,
}

impl<'c, 'p> Crossing<'c, 'p> {
    pub(crate) fn new(
        exchange: Exchange<'c>,
        (permit, target): (&'p Permit, &'p ResolvedTarget),
        facts: &'p RequestFacts,
        booking: Booking<'c>,
        trace: Trace,
    ) -> Self {
        Self { exchange, permit, target, facts, booking, trace, admission: None, began: clock::instant() }
    }

    /// Crosses over and back; the status that went out.
    pub(crate) async fn run(mut self, session: &mut ServerSession, passed: &Passed<'_>, rate: Option<(u32, u64)>) -> Sent {
        if let Err(failure) = self.admit().await {
            return self.refuse(session, failure).await;
        }
        let reply = match self.send(session, passed).await {
            Ok(reply) => reply,
            Err(Failure::Gone) => return self.abandon(),
            Err(failure) => return self.refuse(session, failure).await,
        };
        match reply.status {
            200..=299 | 304 => relay::passthrough::pass(self, session, passed, reply, rate).await,
            400..=499 => self.pass_refusal(session, reply).await,
            status => {
                self.end("status", status, Spent::Nothing);
                let failure = Failure::UpstreamStatus { target: self.label(), status, reply: None };
                self.refuse(session, failure).await
            }
        }
    }

    /// Holds the money and writes down that it is held.
    async fn admit(&mut self) -> Result<(), Failure> {
        let (context, policy) = (self.exchange.context, &self.exchange.caller.policy);
        let gate = Gate { budgets: &context.budgets, policy, facts: self.facts, prompt: None, clamps: false, now: clock::now() };
        let admitted = gate.admit(self.permit.claims(), self.target, &mut self.trace).await;
        let admission = admitted.map_err(|reason| {
            self.trace.push(TraceStep::Attempt { target: self.label(), outcome: "refused".into(), ms: 0 });
            Failure::Denied { reason, message: String::new() }
        })?;
        if self.booking.journal(&admission).is_err() {
            admission.release();
            return Err(Failure::CantLog);
        }
        (self.admission, self.began) = (Some(admission), clock::instant());
        Ok(())
    }

    /// The head of the provider's answer. A caller who leaves, or time that runs out, ends the waiting.
    async fn send(&mut self, session: &mut ServerSession, passed: &Passed<'_>) -> Result<Reply, Failure> {
        let Exchange { context, caller, .. } = self.exchange;
        let Some(admission) = &self.admission else { return Err(Failure::Bug) };
        let trace = self.booking.attempt(admission, &caller.policy, self.facts, self.began);
        let sent = AtomicBool::new(false);
        let way = Way { admission, trace, sent: &sent };
        let left = self.booking.limit().map_or(Duration::MAX, |limit| limit.saturating_duration_since(self.began));
        let limit = until_head(context, self.target, None, left);
        let answered = {
            let sending = pin!(pingora_timeout::timeout(limit, send(&context.connections, &caller.policy, &way, passed)));
            tokio::select! {
                biased;
                answered = sending => Some(answered),
                () = relay::caller_gone(session) => None,
            }
        };
        let sent = sent.load(Ordering::Relaxed);
        let error = match answered {
            Some(Ok(Ok(reply))) => return Ok(reply),
            Some(Ok(Err(error))) => error,
            Some(Err(_)) => SendError::Timeout { ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), sent },
            None => {
                self.end("cancelled", 0, if sent { Spent::Untold } else { Spent::Nothing });
                return Err(Failure::Gone);
            }
        };
        tracing::warn!(target.name = %self.target.label, attempt.outcome = error.outcome(), error = %chain(&error), "an attempt failed");
        self.end(error.outcome(), 0, if error.was_sent() { Spent::Untold } else { Spent::Nothing });
        Err(Failure::Upstream { target: self.label(), error })
    }

    /// A provider's refusal goes on as it came, where it is JSON.
    async fn pass_refusal(mut self, session: &mut ServerSession, mut reply: Reply) -> Sent {
        let body = refusal_body(&mut reply).await;
        let Reply { status, spoken, content_type, passed, body: connection, .. } = reply;
        if body.is_some() {
            connection.finish().await;
        }
        self.end("status", status, Spent::Nothing);
        let refused = RefusedReply { spoken, content_type, passed, body: body.unwrap_or_default() };
        relay::passthrough::pass_refusal(self, session, status, refused).await
    }

    /// Ends the attempt: what is held is settled or released, event and trace say how it went. Once.
    pub(crate) fn end(&mut self, outcome: &'static str, status: u16, spent: Spent) {
        let Some(admission) = self.admission.take() else { return };
        let (consumed, unpriced) = match (self.spends(), spent) {
            (Spends::Nothing, _) | (_, Spent::Nothing) => (None, false),
            (Spends::Unknown | Spends::NothingAtItsVendor, _) => (None, true),
            (Spends::Tokens, Spent::Tokens(consumption)) => (Some(consumption), false),
            (Spends::Tokens, Spent::Untold) => {
                let bound = self.bound();
                (bound, bound.is_none())
            }
        };
        let took = clock::instant().saturating_duration_since(self.began);
        let word = match (outcome, status) {
            ("status", 429) => "429",
            ("status", 500..) => "5xx",
            ("status", _) => "refused",
            (outcome, _) => outcome,
        };
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.trace.push(TraceStep::Attempt { target: self.label(), outcome: word.into(), ms });
        self.booking.settle(admission, &AttemptEnd { outcome, status, took, consumed });
        if unpriced {
            self.booking.unpriced();
        }
    }

    /// What is spent where it goes.
    pub(crate) fn spends(&self) -> Spends {
        let engine = &self.exchange.caller.policy.engine;
        let asked = self.facts.passthrough.as_ref();
        asked.map_or(Spends::Unknown, |asked| engine.spends(asked, self.target.provider, &self.target.model))
    }

    /// The most that it can have consumed, for an answer that does not say; nothing where there is no price or no bound.
    fn bound(&self) -> Option<Consumption> {
        let target = self.target;
        let prices = target.prices.as_ref()?;
        let input = target.input_bound(self.facts)?;
        self.facts.max_output_tokens.or(target.max_output_tokens.map(u64::from))?;
        let output = target.output_limit(self.facts.max_output_tokens).saturating_mul(u64::from(self.facts.choices));
        Some(Consumption { tokens: prices.rates_for(input).dearest_kinds(input, output), estimated: true })
    }

    /// Tells the caller no, and books that it was told.
    pub(crate) async fn refuse(self, session: &mut ServerSession, failure: Failure) -> Sent {
        self.exchange.refuse(session, self.booking, failure, self.trace).await
    }

    /// The caller left.
    pub(crate) fn abandon(self) -> Sent {
        self.booking.close(499, Some("client_closed_request"), &self.trace);
        Err(CallerGone)
    }

    /// Whether no price is known for its tokens.
    pub(crate) fn target_is_unpriced(&self) -> bool {
        self.target.prices.is_none()
    }

    /// The request's tokens, as far as they are known before an answer says so.
    pub(crate) fn estimate(&self) -> TokenEstimate {
        TokenEstimate { likely: self.facts.input_tokens, bound: self.facts.input_tokens_bound }
    }

    pub(crate) fn label(&self) -> Arc<str> {
        Arc::clone(&self.target.label)
    }
}
