//! An event as it is written: what is known when the exchange begins, what came of it, and how it was decided; three CBOR items in a row.
//!
//! In three because a worker writes an exchange down twice, at its beginning and at its end, and should not write twice what did not change:
//! only the beginning has an [`Opening`], and who ships the end puts it in front. For the same reason an outcome leaves out what
//! follows from the rest: its charges, where the budgets that were held from at first are charged alike, and what its last attempt says.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use minicbor::{Decode, Encode};

use super::{AttemptRecord, CacheOutcome, Charge, EventKind, LoggedFacts, Named, PeriodRef, TraceRecord, UsageEvent, UsageSource};
use crate::decision::Trace;
use crate::facts::{Surface, Tags};
use crate::money::NanoUsd;
use crate::price::{Rates, TokenBuckets};

/// What is known of an exchange when its first attempt begins, and stays so.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Opening {
    /// `evt_…`
    #[cbor(n(0), with = "crate::cbor::text")]
    pub id: Arc<str>,
    /// `org_…`
    #[cbor(n(1), with = "crate::cbor::text")]
    pub org_id: Arc<str>,
    /// `req_…`
    #[cbor(n(2), with = "crate::cbor::text")]
    pub request_id: Arc<str>,
    /// `wrk_…`
    #[cbor(n(3), with = "crate::cbor::text")]
    pub worker_id: Arc<str>,
    /// Revision that decided.
    #[n(4)]
    pub bundle_revision: u64,
    /// When the request arrived.
    #[cbor(n(5), with = "crate::cbor::time")]
    pub time: DateTime<Utc>,
    /// Project.
    #[n(6)]
    pub project: Named,
    /// Key.
    #[n(7)]
    pub key: Named,
    /// Wire format of the caller.
    #[n(8)]
    pub surface: Surface,
    /// `model` as asked.
    #[cbor(n(9), with = "crate::cbor::text")]
    pub requested_model: Arc<str>,
    /// Whether it is a stream.
    #[n(10)]
    pub stream: bool,
    /// End user.
    #[cbor(n(11), with = "crate::cbor::optional_text", has_nil)]
    pub end_user: Option<Arc<str>>,
    /// Tags after precedence.
    #[n(12)]
    pub tags: Tags,
    /// Agent run.
    #[cbor(n(13), with = "crate::cbor::optional_text", has_nil)]
    pub trace_id: Option<Arc<str>>,
    /// Thread.
    #[cbor(n(14), with = "crate::cbor::optional_text", has_nil)]
    pub conversation_id: Option<Arc<str>>,
    /// What else rules could see of the request; absent where it could not be read.
    #[n(15)]
    pub facts: Option<LoggedFacts>,
    /// What the first attempt that held money holds it in.
    #[n(16)]
    pub held_in: Vec<HeldIn>,
}

/// One budget that money is held in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HeldIn {
    /// Which period of which budget.
    #[n(0)]
    pub period: PeriodRef,
    /// The lease; absent for budgets that don't block and have none.
    #[cbor(n(1), with = "crate::cbor::optional_text", has_nil)]
    pub lease_id: Option<Arc<str>>,
}

impl HeldIn {
    /// It is charged so much.
    #[must_use]
    pub fn charged(self, amount: NanoUsd) -> Charge {
        Charge { period: self.period, lease_id: self.lease_id, amount }
    }
}

/// Who served, or was asked last, and at which price.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Served {
    /// Provider name.
    #[cbor(n(0), with = "crate::cbor::optional_text", has_nil)]
    pub provider: Option<Arc<str>>,
    /// The provider's model name.
    #[cbor(n(1), with = "crate::cbor::optional_text", has_nil)]
    pub model: Option<Arc<str>>,
    /// Rates applied.
    #[n(2)]
    pub rates: Option<Rates>,
    /// Names the price version; empty where no price was known.
    #[cbor(n(3), with = "crate::cbor::text")]
    pub price_version: Arc<str>,
}

/// What came of an exchange; before its end, what is booked should nothing more be heard of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// What is known.
    #[n(0)]
    pub kind: EventKind,
    /// Status the caller got.
    #[n(1)]
    pub status: u16,
    /// Error code the caller got.
    #[cbor(n(2), with = "crate::cbor::optional_text", has_nil)]
    pub error_code: Option<Arc<str>>,
    /// Cost of all attempts.
    #[n(3)]
    pub cost: NanoUsd,
    /// What was reserved at most.
    #[n(4)]
    pub reserved: NanoUsd,
    /// Where the counts come from.
    #[n(5)]
    pub usage_source: UsageSource,
    /// Microseconds from request to end of response.
    #[n(6)]
    pub latency_us: u64,
    /// Microseconds from request to the first byte of the answer.
    #[n(7)]
    pub first_byte_us: Option<u64>,
    /// Every upstream call.
    #[n(8)]
    pub attempts: Vec<AttemptRecord>,
    /// What each of those that the opening names is charged.
    #[n(9)]
    pub charge_each: NanoUsd,
    /// What other budgets are charged, or these once more.
    #[n(10)]
    pub charges: Vec<Charge>,
    /// Variant of the `ab_test` that led to the last attempt.
    #[cbor(n(11), with = "crate::cbor::optional_text", has_nil)]
    pub ab_variant: Option<Arc<str>>,
    /// What the response cache had.
    #[n(12)]
    pub cache: Option<CacheOutcome>,
    /// Something was consumed that nobody could count or price.
    #[cbor(n(13), with = "crate::cbor::flag", has_nil)]
    pub unpriced: bool,
    /// Tokens of an answer that was kept.
    #[n(14)]
    pub kept_tokens: Option<TokenBuckets>,
    /// Who served; absent where the last attempt says it all.
    #[n(15)]
    pub served: Option<Served>,
}

impl Outcome {
    /// Of an exchange of which nothing is known yet.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            kind: EventKind::Refused,
            status: 0,
            error_code: None,
            cost: NanoUsd::ZERO,
            reserved: NanoUsd::ZERO,
            usage_source: UsageSource::None,
            latency_us: 0,
            first_byte_us: None,
            attempts: Vec::new(),
            charge_each: NanoUsd::ZERO,
            charges: Vec::new(),
            ab_variant: None,
            cache: None,
            unpriced: false,
            kept_tokens: None,
            served: None,
        }
    }

    /// Whether the answer was one that was kept, so that nothing was consumed.
    #[must_use]
    pub fn is_hit(&self) -> bool {
        self.cache == Some(CacheOutcome::Hit)
    }

    /// What all attempts consumed; of a hit what the answer had consumed when it was made.
    #[must_use]
    pub fn tokens(&self) -> TokenBuckets {
        let consumed = self.attempts.iter().filter_map(AttemptRecord::tokens);
        self.kept_tokens.iter().chain(consumed).fold(TokenBuckets::default(), |sum, tokens| sum.plus(tokens))
    }

    /// Leaves out what the last attempt says as well.
    pub fn shorten(&mut self) {
        if let (Some(served), Some(last)) = (&self.served, self.attempts.last())
            && *served == Served::by(last)
        {
            self.served = None;
        }
    }
}

impl Served {
    /// What an attempt says of it.
    fn by(attempt: &AttemptRecord) -> Self {
        Self {
            provider: Some(Arc::clone(&attempt.provider)),
            model: Some(Arc::clone(&attempt.model)),
            rates: attempt.priced.as_ref().map(|priced| priced.rates),
            price_version: attempt.priced.as_ref().map_or_else(Arc::default, |priced| Arc::clone(&priced.version)),
        }
    }

    fn nobody() -> Self {
        Self { provider: None, model: None, rates: None, price_version: Arc::default() }
    }
}

impl Opening {
    /// Appends it to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        write(self, out);
    }
}

impl Outcome {
    /// Appends it and the steps of its trace to `out`: behind an [`Opening`] that is an event.
    pub fn write(&self, trace: &Trace, out: &mut Vec<u8>) {
        write(self, out);
        write_steps(trace, out);
    }
}

/// Appends the steps of `trace` to `out`.
pub(super) fn write_steps(trace: &Trace, out: &mut Vec<u8>) {
    write(&trace.steps, out);
}

fn write(value: impl Encode<()>, out: &mut Vec<u8>) {
    let written = minicbor::encode(value, InMemory(out));
    debug_assert!(written.is_ok(), "writing to memory can't fail, and an event is made of what CBOR has");
}

/// Writing to memory can't fail, and says so.
struct InMemory<'v>(&'v mut Vec<u8>);

impl minicbor::encode::Write for InMemory<'_> {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl UsageEvent {
    /// The event of an exchange that began and ended like this.
    #[must_use]
    pub fn of(opening: Opening, outcome: Outcome, trace: TraceRecord) -> Self {
        let tokens = outcome.tokens();
        let served = outcome.served.or_else(|| outcome.attempts.last().map(Served::by)).unwrap_or_else(Served::nobody);
        let Served { provider, model, rates, price_version } = served;
        let each = outcome.charge_each;
        let alike = opening.held_in.into_iter().filter(|_| each != NanoUsd::ZERO).map(|held| held.charged(each));
        let mut charges = Vec::new();
        for charge in alike.chain(outcome.charges) {
            add(&mut charges, charge);
        }
        Self {
            id: opening.id,
            kind: outcome.kind,
            org_id: opening.org_id,
            request_id: opening.request_id,
            worker_id: opening.worker_id,
            bundle_revision: opening.bundle_revision,
            time: opening.time,
            project: opening.project,
            key: opening.key,
            surface: opening.surface,
            requested_model: opening.requested_model,
            model,
            provider,
            status: outcome.status,
            error_code: outcome.error_code,
            stream: opening.stream,
            end_user: opening.end_user,
            tags: opening.tags,
            cost: outcome.cost,
            reserved: outcome.reserved,
            usage_source: outcome.usage_source,
            tokens,
            rates,
            price_version,
            latency_us: outcome.latency_us,
            first_byte_us: outcome.first_byte_us,
            trace_id: opening.trace_id,
            conversation_id: opening.conversation_id,
            ab_variant: outcome.ab_variant,
            attempts: outcome.attempts,
            charges,
            trace,
            facts: opening.facts,
            cache: outcome.cache,
            unpriced: outcome.unpriced,
        }
    }
}

impl UsageEvent {
    /// Appends the event to `out`, as a worker would have written it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (opening, outcome) = self.split();
        opening.write(out);
        write(&outcome, out);
        out.extend_from_slice(&self.trace.0);
    }

    /// What a worker would have written of it, but for its trace.
    #[must_use]
    pub fn split(&self) -> (Opening, Outcome) {
        let event = self.clone();
        let opening = Opening {
            id: event.id,
            org_id: event.org_id,
            request_id: event.request_id,
            worker_id: event.worker_id,
            bundle_revision: event.bundle_revision,
            time: event.time,
            project: event.project,
            key: event.key,
            surface: event.surface,
            requested_model: event.requested_model,
            stream: event.stream,
            end_user: event.end_user,
            tags: event.tags,
            trace_id: event.trace_id,
            conversation_id: event.conversation_id,
            facts: event.facts,
            held_in: Vec::new(),
        };
        let served = Served { provider: event.provider, model: event.model, rates: event.rates, price_version: event.price_version };
        let outcome = Outcome {
            kind: event.kind,
            status: event.status,
            error_code: event.error_code,
            cost: event.cost,
            reserved: event.reserved,
            usage_source: event.usage_source,
            latency_us: event.latency_us,
            first_byte_us: event.first_byte_us,
            attempts: event.attempts,
            charge_each: NanoUsd::ZERO,
            charges: event.charges,
            ab_variant: event.ab_variant,
            cache: event.cache,
            unpriced: event.unpriced,
            kept_tokens: None,
            served: Some(served),
        };
        let kept_tokens = Some(event.tokens).filter(|tokens| *tokens != outcome.tokens());
        (opening, Outcome { kept_tokens, ..outcome })
    }
}

/// One charge for one period and lease, however many attempts there were.
fn add(charges: &mut Vec<Charge>, more: Charge) {
    match charges.iter_mut().find(|known| known.period == more.period && known.lease_id == more.lease_id) {
        Some(known) => known.amount = known.amount.saturating_add(more.amount),
        None => charges.push(more),
    }
}
