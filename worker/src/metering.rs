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
use policy::event::{AttemptRecord, CacheOutcome, Charge, EventKind, LoggedFacts, Named, Priced, TraceRecord, UsageEvent, UsageSource};
use policy::facts::{RequestFacts, Surface, Tags};
use policy::money::NanoUsd;
use policy::price::TokenBuckets;

use crate::cache::Kept;
use crate::enforce::Admission;
use crate::exchange::attempts::First;
use crate::exchange::{Arrival, Context};
use crate::identity::Caller;
use crate::policy_feed::OrgPolicy;
use crate::spool::SpoolFull;
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
    /// `ok`, `connect`, `timeout`, `status`, `cut`, `cancelled`, `drained`.
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
    event: UsageEvent,
    started: Instant,
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
    charges: Vec<Charge>,
}

impl<'c> Booking<'c> {
    /// The caller is known.
    pub(crate) fn begin(context: &'c Context, caller: &Caller, arrival: &Arrival, surface: Surface) -> Self {
        let bundle = caller.policy.engine.bundle();
        let key = usize::try_from(caller.subject.key).ok().and_then(|index| bundle.keys.get(index));
        let project = usize::try_from(caller.subject.project).ok().and_then(|index| bundle.projects.get(index));
        let nobody = || Named { id: Arc::default(), name: Arc::default() };
        let event = UsageEvent {
            id: arrival.event_id(),
            kind: EventKind::Refused,
            org_id: Arc::clone(&bundle.org.id),
            request_id: Arc::clone(&arrival.request_id),
            worker_id: context.worker_id(),
            bundle_revision: bundle.revision,
            time: arrival.time,
            project: project.map_or_else(nobody, |project| Named { id: Arc::clone(&project.id), name: Arc::clone(&project.name) }),
            key: key.map_or_else(nobody, |key| Named { id: Arc::clone(&key.id), name: Arc::clone(&key.name) }),
            surface,
            requested_model: Arc::default(),
            model: None,
            provider: None,
            status: 0,
            error_code: None,
            stream: false,
            end_user: None,
            tags: Tags::default(),
            cost: NanoUsd::ZERO,
            reserved: NanoUsd::ZERO,
            usage_source: UsageSource::None,
            tokens: TokenBuckets::default(),
            rates: None,
            price_version: Arc::default(),
            latency_us: 0,
            first_byte_us: None,
            trace_id: None,
            conversation_id: None,
            ab_variant: None,
            attempts: Vec::new(),
            charges: Vec::new(),
            trace: TraceRecord::default(),
            facts: None,
            cache: None,
            unpriced: false,
        };
        let traced = context.otlp.as_ref().map(|_| Box::default());
        Self { context, event, started: arrival.started, held: Vec::new(), position: None, traced }
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
        let event = &mut self.event;
        event.requested_model = Arc::clone(&facts.model);
        event.surface = facts.surface;
        event.stream = facts.stream;
        event.end_user.clone_from(&facts.end_user);
        event.tags = facts.tags.clone();
        event.trace_id.clone_from(&facts.trace_id);
        event.conversation_id.clone_from(&facts.conversation_id);
        event.facts = Some(LoggedFacts::from(facts));
    }

    /// Writes down what is lost should this process die now. Before the first byte of the attempt leaves.
    pub(crate) fn journal(&mut self, admission: &Admission<'_>) -> Result<(), SpoolFull> {
        let event = &mut self.event;
        let target = admission.target();
        event.kind = EventKind::UnknownOutcome;
        event.model = Some(Arc::clone(&target.model)).filter(|model| !model.is_empty());
        event.provider = Some(Arc::clone(&target.provider_name));
        event.rates = target.prices.as_ref().map(|prices| prices.rates);
        event.price_version = Arc::clone(&target.price_version);
        event.ab_variant.clone_from(&target.variant);
        let (cost, source, settled) = (event.cost, event.usage_source, event.charges.len());
        event.cost = cost.saturating_add(admission.amount());
        event.usage_source = UsageSource::Reservation;
        event.charges.extend(admission.charges_if_lost());
        for beside in &self.held {
            event.cost = event.cost.saturating_add(beside.amount);
            event.charges.extend(beside.charges.iter().cloned());
        }
        event.reserved = event.reserved.max(event.cost);
        let written = self.context.spool.open(event);
        event.cost = cost;
        event.usage_source = source;
        event.charges.truncate(settled);
        written
    }

    /// Keeps in mind what an attempt that was journaled holds, for those that are journaled beside it.
    pub(crate) fn hold(&mut self, ticket: u64, admission: &Admission<'_>) {
        self.held.push(Held { ticket, amount: admission.amount(), charges: admission.charges_if_lost() });
    }

    /// The attempt with this ticket and span is the next to be settled.
    pub(crate) fn settles_next(&mut self, ticket: u64, span: Option<u64>) {
        self.held.retain(|held| held.ticket != ticket);
        let (next, traced) = (self.event.attempts.len(), self.traced.as_mut().map(|traced| &mut traced.attempts));
        if let Some((attempts, at)) = traced.and_then(|attempts| {
            let at = attempts.iter().position(|attempt| Some(attempt.span) == span)?;
            (at > next).then_some((attempts, at))
        }) {
            attempts.swap(next, at);
        }
    }

    /// Of several that answered this one is passed on.
    pub(crate) fn served_by(&mut self, target: &ResolvedTarget) {
        let event = &mut self.event;
        event.model = Some(Arc::clone(&target.model));
        event.provider = Some(Arc::clone(&target.provider_name));
        event.price_version = Arc::clone(&target.price_version);
        event.ab_variant.clone_from(&target.variant);
        event.rates = target.prices.as_ref().map(|prices| prices.rates);
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
        let Some(attempt) = self.traced.as_mut().and_then(|traced| traced.attempts.get_mut(self.event.attempts.len())) else { return };
        let named = |data: &[u8]| spoken.read_model(data).filter(|model| model.len() <= MODEL_NAME_LIMIT).map(Cow::into_owned);
        attempt.answered_by = match first {
            First::Whole(body) => named(body),
            First::Piece(piece) => Event::first(piece).data.and_then(|data| named(&data)),
        };
    }

    /// An attempt ended: settles or releases what it held. Answers its cost.
    pub(crate) fn settle(&mut self, admission: Admission<'_>, end: &AttemptEnd) -> NanoUsd {
        let event = &mut self.event;
        let target = admission.target();
        let (provider, model) = (Arc::clone(&target.provider_name), Arc::clone(&target.model));
        let priced = end.consumed.and_then(|consumed| price(target, consumed.tokens));
        let cost = match end.consumed {
            None => {
                admission.release();
                NanoUsd::ZERO
            }
            Some(consumed) => {
                let cost = priced.as_ref().map_or(NanoUsd::ZERO, |priced| priced.rates.cost(&priced.tokens));
                event.rates = priced.as_ref().map(|priced| priced.rates);
                if priced.is_none() {
                    self.context.metrics.unpriced();
                }
                merge(&mut event.charges, admission.settle(cost));
                event.tokens = event.tokens.plus(&consumed.tokens);
                event.usage_source = match (event.usage_source, consumed.estimated) {
                    (UsageSource::PartialEstimate, _) | (_, true) => UsageSource::PartialEstimate,
                    _ => UsageSource::Provider,
                };
                self.context.metrics.consumed(&consumed.tokens, cost, consumed.estimated);
                cost
            }
        };
        if let (Some(consumed), Some(traced)) =
            (end.consumed, self.traced.as_mut().and_then(|traced| traced.attempts.get_mut(event.attempts.len())))
        {
            traced.tokens = consumed.tokens;
        }
        event.cost = event.cost.saturating_add(cost);
        self.context.metrics.attempted(&provider, end.outcome);
        let latency_us = micros(end.took);
        let outcome = end.outcome.into();
        event.attempts.push(AttemptRecord { provider, model, status: end.status, outcome, latency_us, cost, priced });
        cost
    }

    /// What the response cache had.
    pub(crate) fn cached(&mut self, outcome: CacheOutcome) {
        self.event.cache = Some(outcome);
    }

    /// What the answer's head says of the cache: a config without one is passed by as well.
    pub(crate) fn cache_word(&self) -> &'static str {
        match self.event.cache {
            Some(CacheOutcome::Hit) => "HIT",
            Some(CacheOutcome::Miss) => "MISS",
            Some(CacheOutcome::Bypass) | None => "BYPASS",
        }
    }

    /// The answer is one that was kept: nothing was consumed, and what it had consumed is told, not booked.
    pub(crate) fn answered_from(&mut self, kept: &Kept) {
        let event = &mut self.event;
        event.provider = Some(Arc::clone(&kept.provider));
        event.model = Some(Arc::clone(&kept.model));
        event.ab_variant.clone_from(&kept.variant);
        event.tokens = kept.tokens;
    }

    /// What all attempts so far consumed, and what it cost.
    pub(crate) fn spent(&self) -> (TokenBuckets, NanoUsd) {
        (self.event.tokens, self.event.cost)
    }

    /// Something was consumed that nobody could count or price.
    pub(crate) fn unpriced(&mut self) {
        self.event.unpriced = true;
        self.context.metrics.unpriced();
    }

    /// Whether the cost so far is all that was consumed.
    pub(crate) fn is_priced(&self) -> bool {
        !self.event.unpriced
    }

    /// The first byte of the answer goes out.
    pub(crate) fn first_byte(&mut self) {
        let took = crate::clock::instant().saturating_duration_since(self.started);
        self.event.first_byte_us = Some(micros(took));
        self.context.metrics.first_byte(took);
    }

    /// When the exchange has to be over, whichever stage it is in: what it holds is given up for lost soon after.
    pub(crate) fn limit(&self) -> Option<Instant> {
        self.started.checked_add(self.context.exchange_limit())
    }

    /// Cost of all attempts so far.
    pub(crate) fn cost(&self) -> NanoUsd {
        self.event.cost
    }

    /// The answer is out: the event gets its final form.
    pub(crate) fn close(mut self, status: u16, error_code: Option<&str>, trace: &Trace) {
        let event = &mut self.event;
        event.kind = if event.attempts.is_empty() && !event.is_hit() { EventKind::Refused } else { EventKind::Settled };
        event.status = status;
        event.error_code = error_code.map(Arc::from);
        event.latency_us = micros(crate::clock::instant().saturating_duration_since(self.started));
        event.trace = TraceRecord::of(trace);
        self.context.spool.close(&self.event);
        if let (Some(otlp), Some(traced), Some(position)) = (&self.context.otlp, self.traced, self.position) {
            otlp.record(Box::new(Finished { event: self.event, position, traced }));
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

/// One charge for one period and lease, however many attempts there were.
fn merge(charges: &mut Vec<Charge>, more: Vec<Charge>) {
    if charges.is_empty() {
        *charges = more;
        return;
    }
    for charge in more {
        match charges.iter_mut().find(|known| known.period == charge.period && known.lease_id == charge.lease_id) {
            Some(known) => known.amount = known.amount.saturating_add(charge.amount),
            None => charges.push(charge),
        }
    }
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
