//! The message back: what a worker reports of one exchange.
//!
//! One event per exchange, booked once by its id. It is written before the first upstream byte leaves, as [`EventKind::UnknownOutcome`] at
//! the reserved amount, and again with the truth when the exchange ends; whichever is the last one found on the worker's disk is
//! what is shipped. So a killed worker leaves an amount, never a gap.
//!
//! On disk and on the link it is CBOR whose fields are numbers ([`wire`], [`UsageEvent::read`]): it is written twice for each
//! request, and names and digits as text would cost more than the decision. Compatibility: a number is never given a second meaning; a
//! reader passes over numbers it does not know, and a field added later is absent in what was written before.
//!
//! Left out: prompts, completions, keys, secrets. There is no field they could go into.

mod facts;
pub mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub use facts::LoggedFacts;

use crate::decision::{Trace, TraceStep};
use crate::facts::{Surface, Tags};
use crate::money::NanoUsd;
use crate::price::{Rates, TokenBuckets};

/// What is known of the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum EventKind {
    /// The exchange ended and its usage is known or estimated.
    #[n(0)]
    Settled,
    /// The worker died in the middle; booked at the reserved amount.
    #[n(1)]
    UnknownOutcome,
    /// Refused before any upstream; costs nothing.
    #[n(2)]
    Refused,
}

/// Where the token counts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum UsageSource {
    /// The provider said so.
    #[n(0)]
    Provider,
    /// The provider's answer was cut; counted from what passed.
    #[n(1)]
    PartialEstimate,
    /// Nothing is known but the reservation.
    #[n(2)]
    Reservation,
    /// Nothing was consumed.
    #[n(3)]
    None,
}

/// What the response cache had for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum CacheOutcome {
    /// An answer, and the caller got it: nothing was consumed.
    #[n(0)]
    Hit,
    /// None.
    #[n(1)]
    Miss,
    /// It was not looked into.
    #[n(2)]
    Bypass,
}

impl CacheOutcome {
    /// The word in logs and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// Id and name of a project or key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct Named {
    /// Prefixed id.
    #[cbor(n(0), with = "crate::cbor::text")]
    pub id: Arc<str>,
    /// Name at the time.
    #[cbor(n(1), with = "crate::cbor::text")]
    pub name: Arc<str>,
}

/// One upstream call of the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct AttemptRecord {
    /// Provider name.
    #[cbor(n(0), with = "crate::cbor::text")]
    pub provider: Arc<str>,
    /// The provider's model name.
    #[cbor(n(1), with = "crate::cbor::text")]
    pub model: Arc<str>,
    /// HTTP status, or 0 where none came.
    #[n(2)]
    pub status: u16,
    /// `ok`, `connect`, `timeout`, `status`, `cut`, `unreadable`, `cancelled`, `drained`.
    #[n(3)]
    pub outcome: Cow<'static, str>,
    /// Microseconds until it ended.
    #[n(4)]
    pub latency_us: u64,
    /// What it cost.
    #[n(5)]
    pub cost: NanoUsd,
    /// What the cost comes of; absent where nothing was consumed or no price was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub priced: Option<Priced>,
    /// What was consumed where no price was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(7)]
    pub unpriced: Option<TokenBuckets>,
}

impl AttemptRecord {
    /// What was consumed.
    #[must_use]
    pub fn tokens(&self) -> Option<&TokenBuckets> {
        self.priced.as_ref().map(|priced| &priced.tokens).or(self.unpriced.as_ref())
    }
}

/// What a cost comes of: `rates.cost(tokens)` is it, now and in ten years.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct Priced {
    /// Disjoint token counts of this call.
    #[n(0)]
    pub tokens: TokenBuckets,
    /// Rates applied, those of the long context where it was one.
    #[n(1)]
    pub rates: Rates,
    /// Names the price version.
    #[cbor(n(2), with = "crate::cbor::text")]
    pub version: Arc<str>,
}

/// What one budget is charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct Charge {
    /// Which period of which budget.
    #[n(0)]
    pub period: PeriodRef,
    /// The lease it was reserved in; absent for budgets that don't block and had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(1), with = "crate::cbor::optional_text", has_nil)]
    pub lease_id: Option<Arc<str>>,
    /// How much.
    #[n(2)]
    pub amount: NanoUsd,
}

/// Names one period of one budget, for one scope value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
pub struct PeriodRef {
    /// `bud_…`
    #[cbor(n(0), with = "crate::cbor::text")]
    pub budget_id: Arc<str>,
    /// End user or tag value of a per-value budget; empty otherwise.
    #[cbor(n(1), with = "crate::cbor::text")]
    pub scope_value: Arc<str>,
    /// Start of the period.
    #[serde(serialize_with = "crate::time::serialize")]
    #[cbor(n(2), with = "crate::cbor::time")]
    pub start: DateTime<Utc>,
}

/// One exchange.
#[derive(Debug, Clone, Serialize)]
pub struct UsageEvent {
    /// `evt_…`; booking one twice changes nothing.
    pub id: Arc<str>,
    /// Outcome.
    pub kind: EventKind,
    /// `org_…`
    pub org_id: Arc<str>,
    /// `req_…`, the decision id the caller saw.
    pub request_id: Arc<str>,
    /// `wrk_…`
    pub worker_id: Arc<str>,
    /// Revision that decided.
    pub bundle_revision: u64,
    /// When the request arrived.
    #[serde(serialize_with = "crate::time::serialize")]
    pub time: DateTime<Utc>,
    /// Project.
    pub project: Named,
    /// Key.
    pub key: Named,
    /// Wire format of the caller.
    pub surface: Surface,
    /// `model` as asked.
    pub requested_model: Arc<str>,
    /// Provider's model that answered, or the last one tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// Provider that answered, or the last one tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// Status the caller got.
    pub status: u16,
    /// Error code the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Arc<str>>,
    /// Whether it was a stream.
    pub stream: bool,
    /// End user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<Arc<str>>,
    /// Tags after precedence.
    pub tags: Tags,
    /// Cost of all attempts.
    pub cost: NanoUsd,
    /// What was reserved at most.
    pub reserved: NanoUsd,
    /// Where the counts come from.
    pub usage_source: UsageSource,
    /// Disjoint token counts of all attempts. Of a hit those of the answer when it was made, which nobody pays again.
    pub tokens: TokenBuckets,
    /// Rates applied to the last call; each attempt has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// Names the price version; empty where no price was known.
    pub price_version: Arc<str>,
    /// Microseconds from request to end of response.
    pub latency_us: u64,
    /// Microseconds from request to the first byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Agent run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Arc<str>>,
    /// Thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<Arc<str>>,
    /// Variant of the `ab_test` that led to the last attempt; absent in events of workers that knew of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ab_variant: Option<Arc<str>>,
    /// Every upstream call.
    pub attempts: Vec<AttemptRecord>,
    /// What each budget is charged.
    pub charges: Vec<Charge>,
    /// The decision trace.
    pub trace: TraceRecord,
    /// What else rules could see of the request; absent where it could not be read, and in events of workers that did not record it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<LoggedFacts>,
    /// What the response cache had; absent where the config has none, and in events of workers that had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheOutcome>,
    /// Something was consumed that nobody could count or price: it is booked as free and is not. Beside `usage_source`, so that a control
    /// plane that knows nothing of it can read the event.
    pub unpriced: bool,
}

/// Why bytes are no usage event.
#[derive(Debug, thiserror::Error)]
#[error("not a usage event: {0}")]
pub struct NoEvent(#[from] minicbor::decode::Error);

impl UsageEvent {
    /// Whether the answer was one that was kept, so that nothing was consumed.
    #[must_use]
    pub fn is_hit(&self) -> bool {
        self.cache == Some(CacheOutcome::Hit)
    }

    /// Where the token counts come from, in the word of the request log.
    #[must_use]
    pub fn usage_word(&self) -> &'static str {
        match self.usage_source {
            _ if self.is_hit() => "cache",
            _ if self.unpriced => "unpriced",
            UsageSource::Provider => "provider",
            UsageSource::PartialEstimate => "partial_estimate",
            UsageSource::Reservation => "reservation",
            UsageSource::None => "none",
        }
    }

    /// Reads an event.
    ///
    /// # Errors
    /// When the bytes are none, or something follows it.
    pub fn read(bytes: &[u8]) -> Result<Self, NoEvent> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let (opening, outcome) = (decoder.decode()?, decoder.decode()?);
        let trace = decoder.position();
        decoder.skip()?;
        match (bytes.get(trace..), decoder.position() == bytes.len()) {
            (Some(steps), true) => Ok(Self::of(opening, outcome, TraceRecord(steps.to_vec()))),
            _ => Err(minicbor::decode::Error::message("something follows it").into()),
        }
    }
}

/// A decision trace as it is kept: steps whose fields are numbers, as the event's are. A reader passes over what it does not know of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRecord(Vec<u8>);

impl Default for TraceRecord {
    fn default() -> Self {
        Self::of(&Trace::default())
    }
}

impl TraceRecord {
    /// Records a trace.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        let mut bytes = Vec::new();
        wire::write_steps(trace, &mut bytes);
        Self(bytes)
    }

    /// The trace as JSON. A step of a kind that this version does not know is there without its fields; so is all of what can't be read.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut steps = Vec::new();
        // What can't be read ends the list: there is nothing to go on from.
        self.read_into(&mut steps).ok();
        serde_json::json!({ "steps": steps })
    }

    fn read_into(&self, steps: &mut Vec<serde_json::Value>) -> Result<(), minicbor::decode::Error> {
        let mut decoder = minicbor::Decoder::new(&self.0);
        let mut left = decoder.array()?.unwrap_or(0);
        while left > 0 {
            let start = decoder.position();
            match decoder.decode::<TraceStep>() {
                Ok(step) => steps.push(serde_json::to_value(step).unwrap_or_default()),
                Err(_) => {
                    decoder.set_position(start);
                    decoder.skip()?;
                    steps.push(serde_json::json!({"step": "unknown"}));
                }
            }
            left = left.saturating_sub(1);
        }
        Ok(())
    }
}

impl Serialize for TraceRecord {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> LoggedFacts {
        LoggedFacts {
            input_tokens: 12,
            input_tokens_bound: 99,
            max_output_tokens: None,
            choices: 1,
            has_tools: true,
            has_images: false,
            client: Some("curl".into()),
            peer: [127, 0, 0, 1].into(),
            kept_input: false,
            provider_tool: None,
            findings: crate::guardrail::Findings::default(),
            passthrough: Some(crate::facts::Passthrough {
                operation: "POST /openai/v1/batches".into(),
                interface: crate::catalogue::Interface::Openai,
                spends: crate::facts::Spends::Unknown,
                provider: None,
            }),
        }
    }

    /// An event as a worker may write it, each field with something in it.
    fn event() -> UsageEvent {
        let tokens = TokenBuckets { input: 1, cached_input: 2, output: 3, output_image: 4, ..TokenBuckets::default() };
        let rates = Rates { request: Some(-7), ..Rates::flat(5, 6) };
        let start = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap_or_default();
        let mut trace = Trace::default();
        trace.push(TraceStep::Reserved { target: "openai/gpt-test".into(), usd: crate::money::Usd(NanoUsd::from_nanos(1_500_000)) });
        UsageEvent {
            id: "evt_1".into(),
            kind: EventKind::Settled,
            org_id: "org_1".into(),
            request_id: "req_1".into(),
            worker_id: "wrk_1".into(),
            bundle_revision: u64::MAX,
            time: start,
            project: Named { id: "prj_1".into(), name: "日本".into() },
            key: Named { id: "key_1".into(), name: "ci".into() },
            surface: Surface::Gemini,
            requested_model: "@cheap".into(),
            model: Some("gpt-test".into()),
            provider: None,
            status: 200,
            error_code: None,
            stream: true,
            end_user: Some("".into()),
            tags: [("team", "support"), ("a", "b")].into_iter().collect(),
            cost: NanoUsd::from_nanos(-1),
            reserved: NanoUsd::MAX,
            usage_source: UsageSource::PartialEstimate,
            tokens,
            rates: Some(rates),
            price_version: "".into(),
            latency_us: 1,
            first_byte_us: None,
            trace_id: None,
            conversation_id: Some("c".into()),
            ab_variant: None,
            attempts: vec![AttemptRecord {
                provider: "openai".into(),
                model: "gpt-test".into(),
                status: 0,
                outcome: "cut".into(),
                latency_us: 9,
                cost: NanoUsd::ZERO,
                priced: Some(Priced { tokens, rates, version: "prc_1".into() }),
                unpriced: None,
            }],
            charges: vec![Charge {
                period: PeriodRef { budget_id: "bud_1".into(), scope_value: "".into(), start },
                lease_id: None,
                amount: NanoUsd::from_nanos(3),
            }],
            trace: TraceRecord::of(&trace),
            facts: Some(facts()),
            cache: Some(CacheOutcome::Miss),
            unpriced: true,
        }
    }

    /// What a later version adds to an opening or an outcome is passed over; what an earlier one did not have is absent.
    #[test]
    fn an_event_of_another_version_is_read() {
        let (written, mut bytes) = (UsageEvent { cache: None, unpriced: false, ..event() }, Vec::new());
        written.write(&mut bytes);
        let mut decoder = minicbor::Decoder::new(&bytes);
        let fields = decoder.array().unwrap().unwrap();
        let start = decoder.position();
        (0..fields).for_each(|_| decoder.skip().unwrap());
        let end = decoder.position();
        let longer = [&[0x80 | 18], &bytes[start..end], b"\x61x", &bytes[end..]].concat();
        assert_eq!(fields, 17);
        let read = UsageEvent::read(&longer).unwrap();
        assert_eq!((read.charges, read.facts, read.trace), (written.charges, written.facts, written.trace));
    }

    #[test]
    fn budgets_that_are_charged_alike_and_twice_are_charged_the_sum() {
        let event = event();
        let (mut opening, mut outcome) = event.split();
        let hold = |charge: &Charge| wire::HeldIn { period: charge.period.clone(), lease_id: charge.lease_id.clone() };
        opening.held_in = event.charges.iter().map(hold).collect();
        outcome.charge_each = NanoUsd::from_nanos(40);
        let read = UsageEvent::of(opening, outcome, TraceRecord::default());
        assert_eq!(read.charges, [Charge { amount: NanoUsd::from_nanos(43), ..event.charges[0].clone() }]);
    }

    #[test]
    fn what_the_last_attempt_says_is_left_out_and_found_again() {
        let event = event();
        let priced = event.attempts[0].priced.clone().unwrap();
        let told = UsageEvent {
            provider: Some("openai".into()),
            rates: Some(priced.rates),
            price_version: priced.version,
            trace: TraceRecord::default(),
            ..event.clone()
        };
        for (event, is_shorter) in [(event, false), (told, true)] {
            let (opening, mut outcome) = event.split();
            outcome.shorten();
            assert_eq!(outcome.served.is_none(), is_shorter);
            let mut bytes = Vec::new();
            opening.write(&mut bytes);
            outcome.write(&Trace::default(), &mut bytes);
            let read = UsageEvent::read(&bytes).unwrap();
            assert_eq!(
                (read.provider, read.model, read.rates, read.price_version),
                (event.provider, event.model, event.rates, event.price_version)
            );
        }
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let (written, mut bytes) = (event(), Vec::new());
        written.write(&mut bytes);
        let read = UsageEvent::read(&bytes).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&written).unwrap());
        assert_eq!((read.time, read.charges, read.facts, read.cache), (written.time, written.charges, written.facts, written.cache));
        assert_eq!(
            read.trace.to_json(),
            serde_json::json!({"steps": [{"step": "reserved", "target": "openai/gpt-test", "usd": "0.0015"}]})
        );
    }

    #[test]
    fn a_step_that_this_version_does_not_know_hides_none_of_the_others() {
        let step = TraceStep::Allowlist { config: "@list".into(), allowed: true };
        let mut bytes = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut bytes);
        encoder.array(3).unwrap().encode(&step).unwrap();
        // A kind of a later version.
        encoder.array(2).unwrap().u32(9_999).unwrap().array(1).unwrap().str("x").unwrap();
        encoder.encode(&step).unwrap();
        let known = serde_json::json!({"step": "allowlist", "config": "@list", "allowed": true});
        let steps = serde_json::json!({"steps": [known, {"step": "unknown"}, known]});
        assert_eq!(TraceRecord(bytes).to_json(), steps);
    }

    #[test]
    fn bytes_that_are_cut_or_go_on_are_no_event() {
        let mut bytes = Vec::new();
        event().write(&mut bytes);
        for cut in 0..bytes.len() {
            assert!(UsageEvent::read(&bytes[..cut]).is_err(), "{cut}");
        }
        bytes.push(0);
        assert!(UsageEvent::read(&bytes).is_err());
    }
}
