//! What an exchange consumed and what that costs, gathered into the one event that is booked.
//!
//! A [`Booking`] is opened when the caller is known and closed when the answer is out; in between every attempt is journaled before its first
//! byte leaves and settled when it ended. Provider's figures are taken as they are; a report that contradicts itself is counted and
//! settled at its ceiling; where there is none, the estimate says that it is one.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use llm::dialect::Dialect;
use llm::stream::meter::UsageVerdict;
use llm::stream::sse::Event;
use llm::usage::{Buckets, Usage, UsageSource as Told};
use policy::decision::{ResolvedTarget, Trace};
use policy::event::wire::{HeldIn, Opening, Outcome, Served};
use policy::event::{AttemptRecord, CacheOutcome, Charge, EventKind, LoggedFacts, Named, Priced, TraceRecord, UsageEvent, UsageSource};
use policy::facts::{RequestFacts, Surface, Tags};
use policy::guardrail::Findings;
use policy::money::NanoUsd;
use policy::price::{Rates, TokenBuckets};

use crate::cache::Kept;
use crate::enforce::Admission;
use crate::exchange::attempts::First;
use crate::exchange::{Arrival, Context};
use crate::identity::Caller;
use crate::policy_feed::OrgPolicy;
use crate::spool::{Place, SpoolFull};
use crate::telemetry::finished::{Finished, Traced, TracedAttempt};
use crate::telemetry::trace_context::TraceContext;

/// Bytes of a provider's name for its model that go into a span at most; none is that long.
const MODEL_NAME_LIMIT: usize = 256;

/// What one attempt consumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consumption {
    pub tokens: TokenBuckets,
    pub estimated: bool,
}

/// How one attempt ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttemptEnd {
    /// `ok`, `connect`, `timeout`, `status`, `cut`, `unreadable`, `cancelled`, `drained`.
    pub outcome: &'static str,
    /// HTTP status, or 0 where none came.
    pub status: u16,
    pub took: Duration,
    /// Nothing: the provider refused or was never reached.
    pub consumed: Option<Consumption>,
}

/// The event of one exchange while it is in the making.
pub(crate) struct Booking<'c> {
    context: &'c Context,
    // Boxed, because a booking is handed from stage to stage.
    opening: Box<Opening>,
    outcome: Box<Outcome>,
    started: Instant,
    /// Where it began in the spool, once an attempt was journaled.
    began: Option<Place>,
    /// What other attempts hold at the same time; none where they follow each other.
    held: Vec<Held>,
    /// Where we are in the caller's trace.
    position: Option<TraceContext>,
    /// What spans are made of; absent where none are exported.
    traced: Option<Box<Traced>>,
}

/// What an attempt holds while others begin and end beside it.
struct Held {
    ticket: u64,
    amount: NanoUsd,
    places: Vec<HeldIn>,
}

impl<'c> Booking<'c> {
    /// The caller is known.
    pub(crate) fn begin(context: &'c Context, caller: &Caller, arrival: &Arrival, surface: Surface) -> Self {
        let bundle = caller.policy.engine.bundle();
        let key = usize::try_from(caller.subject.key).ok().and_then(|index| bundle.keys.get(index));
        let project = usize::try_from(caller.subject.project).ok().and_then(|index| bundle.projects.get(index));
        let nobody = || Named { id: Arc::default(), name: Arc::default() };
        let opening = Opening {
            id: arrival.event_id(),
            org_id: Arc::clone(&bundle.org.id),
            request_id: Arc::clone(&arrival.request_id),
            worker_id: context.worker_id(),
            bundle_revision: bundle.revision,
            time: arrival.time,
            project: project.map_or_else(nobody, |project| Named { id: Arc::clone(&project.id), name: Arc::clone(&project.name) }),
            key: key.map_or_else(nobody, |key| Named { id: Arc::clone(&key.id), name: Arc::clone(&key.name) }),
            surface,
            requested_model: Arc::default(),
            stream: false,
            end_user: None,
            tags: Tags::default(),
            trace_id: None,
            conversation_id: None,
            facts: None,
            held_in: Vec::new(),
        };
        Self {
            context,
            opening: Box::new(opening),
            outcome: Box::new(Outcome::none()),
            started: arrival.started,
            began: None,
            held: Vec::new(),
            position: None,
            traced: context.otlp.as_ref().map(|_| Box::default()),
        }
    }

    /// Where spans are exported, ours is known from here on, even if the request can't be read.
    pub(crate) fn continue_trace(&mut self, headers: &HeaderMap) {
        if self.traced.is_some() {
            let callers = headers.get("traceparent").and_then(|value| TraceContext::read(value.as_bytes()));
            self.position = Some(callers.unwrap_or_else(TraceContext::root));
        }
    }

    /// The request is read.
    pub(crate) fn describe(&mut self, facts: &RequestFacts, callers: Option<TraceContext>) {
        self.position = self.position.or(callers);
        let opening = &mut self.opening;
        opening.requested_model = Arc::clone(&facts.model);
        opening.surface = facts.surface;
        opening.stream = facts.stream;
        opening.end_user.clone_from(&facts.end_user);
        opening.tags = facts.tags.clone();
        opening.trace_id.clone_from(&facts.trace_id);
        opening.conversation_id.clone_from(&facts.conversation_id);
        opening.facts = Some(LoggedFacts::from(facts));
    }

    /// What the guardrails found in the request, for those who make its decision again.
    pub(crate) fn found(&mut self, findings: Findings) {
        if let Some(facts) = &mut self.opening.facts {
            facts.findings = findings;
        }
    }

    /// Writes down what is lost should this process die now. Before the first byte of the attempt leaves.
    pub(crate) fn journal(&mut self, admission: &Admission<'_>) -> Result<(), SpoolFull> {
        if self.began.is_none() {
            self.opening.held_in = admission.held_in();
        }
        self.ask(admission.target());
        let lost = self.held.iter().fold(admission.amount(), |sum, beside| sum.saturating_add(beside.amount));
        let outcome = &mut self.outcome;
        let before = (outcome.cost, outcome.usage_source, outcome.charge_each, outcome.charges.len());
        outcome.kind = EventKind::UnknownOutcome;
        outcome.cost = outcome.cost.saturating_add(lost);
        outcome.reserved = outcome.reserved.max(outcome.cost);
        outcome.usage_source = UsageSource::Reservation;
        let places = &self.opening.held_in;
        if admission.is_held_in(places) {
            outcome.charge_each = outcome.charge_each.saturating_add(admission.amount());
        } else {
            outcome.charges.extend(charged(admission.held_in(), admission.amount()));
        }
        for beside in &self.held {
            outcome.charges.extend(charged(beside.places.clone(), beside.amount));
        }
        let written = self.context.spool.open(self.began, &self.opening, outcome);
        let charges;
        (outcome.cost, outcome.usage_source, outcome.charge_each, charges) = before;
        outcome.charges.truncate(charges);
        self.began = Some(written?);
        Ok(())
    }

    /// This is asked now.
    fn ask(&mut self, target: &ResolvedTarget) {
        self.outcome.ab_variant.clone_from(&target.variant);
        self.outcome.served = Some(Served {
            provider: Some(Arc::clone(&target.provider_name)),
            model: Some(Arc::clone(&target.model)).filter(|model| !model.is_empty()),
            rates: target.prices.as_ref().map(|prices| prices.rates),
            price_version: Arc::clone(&target.price_version),
        });
    }

    /// Keeps in mind what an attempt that was journaled holds, for those that are journaled beside it.
    pub(crate) fn hold(&mut self, ticket: u64, admission: &Admission<'_>) {
        self.held.push(Held { ticket, amount: admission.amount(), places: admission.held_in() });
    }

    /// The attempt with this ticket and span is the next to be settled.
    pub(crate) fn settles_next(&mut self, ticket: u64, span: Option<u64>) {
        self.held.retain(|held| held.ticket != ticket);
        let (next, traced) = (self.outcome.attempts.len(), self.traced.as_mut().map(|traced| &mut traced.attempts));
        if let Some((attempts, at)) = traced.and_then(|attempts| {
            let at = attempts.iter().position(|attempt| Some(attempt.span) == span)?;
            (at > next).then_some((attempts, at))
        }) {
            attempts.swap(next, at);
        }
    }

    /// Of several that answered this one is passed on.
    pub(crate) fn served_by(&mut self, target: &ResolvedTarget) {
        self.ask(target);
    }

    /// An attempt begins; its place in the trace, to be sent along. Each has its own where spans are exported.
    pub(crate) fn attempt(
        &mut self,
        admission: &Admission<'_>,
        policy: &OrgPolicy,
        facts: &RequestFacts,
        began: Instant,
    ) -> Option<TraceContext> {
        let Some(traced) = &mut self.traced else { return self.position };
        let position = self.position?.child();
        let target = admission.target();
        let provider = usize::try_from(target.provider).ok().and_then(|index| policy.engine.bundle().providers.get(index));
        traced.attempts.push(TracedAttempt {
            span: position.span,
            after: began.saturating_duration_since(self.started),
            vendor: provider.map(|provider| provider.vendor.clone()).unwrap_or_default(),
            base_url: provider.and_then(|provider| provider.base_url.clone()),
            max_tokens: admission.output_limit().map(u64::from).or(facts.max_output_tokens),
            answered_by: None,
            tokens: TokenBuckets::default(),
        });
        Some(position)
    }

    /// The attempt has an answer. Which model gives it is read only where spans are exported.
    pub(crate) fn answered(&mut self, spoken: Dialect, first: &First) {
        let Some(attempt) = self.traced.as_mut().and_then(|traced| traced.attempts.get_mut(self.outcome.attempts.len())) else { return };
        let named = |data: &[u8]| spoken.read_model(data).filter(|model| model.len() <= MODEL_NAME_LIMIT).map(Cow::into_owned);
        attempt.answered_by = match first {
            First::Whole(answer) => named(&answer.body),
            First::Piece(piece) => Event::first(piece).data.and_then(|data| named(&data)),
        };
    }

    /// An attempt ended: settles or releases what it held. Answers its cost.
    pub(crate) fn settle(&mut self, admission: Admission<'_>, end: &AttemptEnd) -> NanoUsd {
        let target = admission.target();
        let priced = end.consumed.and_then(|consumed| price(target, consumed.tokens));
        let cost = match end.consumed {
            None => {
                admission.release();
                NanoUsd::ZERO
            }
            Some(consumed) => {
                let cost = priced.as_ref().map_or(NanoUsd::ZERO, |priced| priced.rates.cost(&priced.tokens));
                self.consumed(consumed, cost, priced.as_ref().map(|priced| priced.rates));
                self.charge(&admission, cost);
                admission.settle(cost);
                cost
            }
        };
        let next = self.outcome.attempts.len();
        if let (Some(consumed), Some(traced)) = (end.consumed, self.traced.as_mut().and_then(|traced| traced.attempts.get_mut(next))) {
            traced.tokens = consumed.tokens;
        }
        self.outcome.cost = self.outcome.cost.saturating_add(cost);
        self.context.metrics.attempted(&target.provider_name, end.outcome);
        self.outcome.attempts.push(AttemptRecord {
            provider: Arc::clone(&target.provider_name),
            model: Arc::clone(&target.model),
            status: end.status,
            outcome: end.outcome.into(),
            latency_us: micros(end.took),
            cost,
            unpriced: end.consumed.filter(|_| priced.is_none()).map(|consumed| consumed.tokens),
            priced,
        });
        cost
    }

    /// Tokens were consumed, at these rates where there are any.
    fn consumed(&mut self, consumed: Consumption, cost: NanoUsd, rates: Option<Rates>) {
        if let Some(served) = &mut self.outcome.served {
            served.rates = rates;
        }
        if rates.is_none() {
            self.context.metrics.unpriced();
        }
        self.outcome.usage_source = match (self.outcome.usage_source, consumed.estimated) {
            (UsageSource::PartialEstimate, _) | (_, true) => UsageSource::PartialEstimate,
            _ => UsageSource::Provider,
        };
        self.context.metrics.consumed(&consumed.tokens, cost, consumed.estimated);
    }

    /// What an attempt held is charged `cost`.
    fn charge(&mut self, admission: &Admission<'_>, cost: NanoUsd) {
        let outcome = &mut self.outcome;
        if admission.is_held_in(&self.opening.held_in) {
            outcome.charge_each = outcome.charge_each.saturating_add(cost);
        } else {
            outcome.charges.extend(charged(admission.held_in(), cost));
        }
    }

    /// What the response cache had.
    pub(crate) fn cached(&mut self, outcome: CacheOutcome) {
        self.outcome.cache = Some(outcome);
    }

    /// What the answer's head says of the cache: a config without one is passed by as well.
    pub(crate) fn cache_word(&self) -> &'static str {
        match self.outcome.cache {
            Some(CacheOutcome::Hit) => "HIT",
            Some(CacheOutcome::Miss) => "MISS",
            Some(CacheOutcome::Bypass) | None => "BYPASS",
        }
    }

    /// The answer is one that was kept: nothing was consumed, and what it had consumed is told, not booked.
    pub(crate) fn answered_from(&mut self, kept: &Kept) {
        let outcome = &mut self.outcome;
        let (provider, model) = (Some(Arc::clone(&kept.provider)), Some(Arc::clone(&kept.model)));
        outcome.served = Some(Served { provider, model, rates: None, price_version: Arc::default() });
        outcome.ab_variant.clone_from(&kept.variant);
        outcome.kept_tokens = Some(kept.tokens);
    }

    /// What all attempts so far consumed, and what it cost.
    pub(crate) fn spent(&self) -> (TokenBuckets, NanoUsd) {
        (self.outcome.tokens(), self.outcome.cost)
    }

    /// Something was consumed that nobody could count or price.
    pub(crate) fn unpriced(&mut self) {
        self.outcome.unpriced = true;
        self.context.metrics.unpriced();
    }

    /// Whether the cost so far is all that was consumed.
    pub(crate) fn is_priced(&self) -> bool {
        !self.outcome.unpriced
    }

    /// The first byte of the answer goes out.
    pub(crate) fn first_byte(&mut self) {
        let took = crate::clock::instant().saturating_duration_since(self.started);
        self.outcome.first_byte_us = Some(micros(took));
        self.context.metrics.first_byte(took);
    }

    /// When the exchange has to be over, whichever stage it is in: what it holds is given up for lost soon after.
    pub(crate) fn limit(&self) -> Option<Instant> {
        self.started.checked_add(self.context.exchange_limit())
    }

    /// Cost of all attempts so far.
    pub(crate) fn cost(&self) -> NanoUsd {
        self.outcome.cost
    }

    /// The answer is out: the event gets its final form.
    pub(crate) fn close(mut self, status: u16, error_code: Option<&str>, trace: &Trace) {
        let outcome = &mut self.outcome;
        outcome.kind = if outcome.attempts.is_empty() && !outcome.is_hit() { EventKind::Refused } else { EventKind::Settled };
        outcome.status = status;
        outcome.error_code = error_code.map(Arc::from);
        outcome.latency_us = micros(crate::clock::instant().saturating_duration_since(self.started));
        outcome.shorten();
        self.context.spool.close(self.began, &self.opening, outcome, trace);
        if let (Some(otlp), Some(traced), Some(position)) = (&self.context.otlp, self.traced, self.position) {
            let event = UsageEvent::of(*self.opening, *self.outcome, TraceRecord::default());
            otlp.record(Box::new(Finished { event, position, traced }));
        }
    }
}

/// Turns a verdict on a stream's or a reply's usage into prices' buckets; counts reports that contradict themselves.
pub(crate) fn consumption(context: &Context, verdict: &UsageVerdict) -> Consumption {
    let estimated = match verdict.source {
        Told::Provider => false,
        Told::PartialEstimate => true,
    };
    Consumption { tokens: token_buckets(context, &verdict.usage), estimated }
}

fn token_buckets(context: &Context, usage: &Usage) -> TokenBuckets {
    let buckets = usage.buckets().unwrap_or_else(|mismatch| {
        context.metrics.mismatched();
        tracing::warn!(%mismatch, "a provider's usage report contradicts itself; settled at its ceiling");
        usage.ceiling()
    });
    priced_buckets(&buckets)
}

/// Takes sound, pictures and what is cached for an hour out of the buckets that they are part of. Which part of cached input was sound or
/// pictures is not reported: as much as fits is taken to be uncached, which is the dearer reading.
fn priced_buckets(buckets: &Buckets) -> TokenBuckets {
    let Buckets { mut input, mut cached_input, cache_write, cache_write_1h, mut output, reasoning, .. } = *buckets;
    let input_audio = part_of(&mut input, buckets.input_audio);
    let cached_audio = part_of(&mut cached_input, buckets.input_audio.saturating_sub(input_audio));
    let output_audio = part_of(&mut output, buckets.output_audio);
    let input_image = part_of(&mut input, buckets.input_image);
    let cached_image = part_of(&mut cached_input, buckets.input_image.saturating_sub(input_image));
    let output_image = part_of(&mut output, buckets.output_image);
    TokenBuckets {
        input,
        cached_input,
        cache_write: cache_write.saturating_sub(cache_write_1h),
        cache_write_1h: cache_write_1h.min(cache_write),
        output,
        reasoning,
        input_audio,
        cached_audio,
        output_audio,
        input_image,
        cached_image,
        output_image,
    }
}

/// Takes `part` out of `bucket`, as far as it has so much.
fn part_of(bucket: &mut u64, part: u64) -> u64 {
    let part = part.min(*bucket);
    *bucket = bucket.saturating_sub(part);
    part
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a call with these tokens comes to be charged at; absent where no price is known.
fn price(target: &ResolvedTarget, tokens: TokenBuckets) -> Option<Priced> {
    let prices = target.prices.as_ref()?;
    let rates = *prices.rates_for(tokens.all_input());
    Some(Priced { tokens, rates, version: Arc::clone(&target.price_version) })
}

/// What `places` are charged, where it is anything.
fn charged(places: Vec<HeldIn>, amount: NanoUsd) -> impl Iterator<Item = Charge> {
    places.into_iter().filter(move |_| amount != NanoUsd::ZERO).map(move |held| held.charged(amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_taken_out_of_the_bucket_it_is_part_of_and_no_token_is_lost() {
        let buckets =
            Buckets { input: 30, cached_input: 20, output: 10, reasoning: 5, input_audio: 40, output_audio: 4, ..Buckets::default() };
        let tokens = priced_buckets(&buckets);
        assert_eq!((tokens.input, tokens.input_audio, tokens.cached_input, tokens.cached_audio), (0, 30, 10, 10));
        assert_eq!((tokens.output, tokens.output_audio, tokens.reasoning), (6, 4, 5));
        assert_eq!(tokens.all_input() + tokens.all_output(), buckets.sum());
    }

    #[test]
    fn pictures_are_taken_out_of_the_bucket_they_are_part_of() {
        let buckets = Buckets { input: 30, cached_input: 20, output: 10, input_image: 40, output_image: 9, ..Buckets::default() };
        let tokens = priced_buckets(&buckets);
        assert_eq!((tokens.input, tokens.input_image, tokens.cached_input, tokens.cached_image), (0, 30, 10, 10));
        assert_eq!((tokens.output, tokens.output_image), (1, 9));
        assert_eq!(tokens.all_input() + tokens.all_output(), buckets.sum());
    }

    #[test]
    fn a_report_of_more_sound_than_tokens_adds_none() {
        let buckets = Buckets { input: 3, output: 2, input_audio: 9, output_audio: 9, ..Buckets::default() };
        let tokens = priced_buckets(&buckets);
        assert_eq!((tokens.all_input(), tokens.all_output()), (3, 2));
    }
}
