//! The message back: what a worker reports of one exchange.
//!
//! One event per exchange, booked once by its id. It is written before the first upstream byte leaves, as [`EventKind::UnknownOutcome`] at
//! the reserved amount, and again with the truth when the exchange ends; whichever is the last one found on the worker's disk is
//! what is shipped. So a killed worker leaves an amount, never a gap.
//!
//! On disk and on the link it is CBOR whose fields are numbers ([`UsageEvent::write`], [`UsageEvent::read`]): it is written twice for each
//! request, and names and digits as text would cost more than the decision. Compatibility: a number is never given a second meaning; a
//! reader passes over numbers it does not know, and a field added later is absent in what was written before.
//!
//! Left out: prompts, completions, keys, secrets. There is no field they could go into.

mod facts;

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
    /// `ok`, `connect`, `timeout`, `status`, `cut`, `cancelled`.
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
#[derive(Debug, Clone, Serialize, Encode, Decode)]
pub struct UsageEvent {
    /// `evt_…`; booking one twice changes nothing.
    #[cbor(n(0), with = "crate::cbor::text")]
    pub id: Arc<str>,
    /// Outcome.
    #[n(1)]
    pub kind: EventKind,
    /// `org_…`
    #[cbor(n(2), with = "crate::cbor::text")]
    pub org_id: Arc<str>,
    /// `req_…`, the decision id the caller saw.
    #[cbor(n(3), with = "crate::cbor::text")]
    pub request_id: Arc<str>,
    /// `wrk_…`
    #[cbor(n(4), with = "crate::cbor::text")]
    pub worker_id: Arc<str>,
    /// Revision that decided.
    #[n(5)]
    pub bundle_revision: u64,
    /// When the request arrived.
    #[serde(serialize_with = "crate::time::serialize")]
    #[cbor(n(6), with = "crate::cbor::time")]
    pub time: DateTime<Utc>,
    /// Project.
    #[n(7)]
    pub project: Named,
    /// Key.
    #[n(8)]
    pub key: Named,
    /// Wire format of the caller.
    #[n(9)]
    pub surface: Surface,
    /// `model` as asked.
    #[cbor(n(10), with = "crate::cbor::text")]
    pub requested_model: Arc<str>,
    /// Provider's model that answered, or the last one tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(11), with = "crate::cbor::optional_text", has_nil)]
    pub model: Option<Arc<str>>,
    /// Provider that answered, or the last one tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(12), with = "crate::cbor::optional_text", has_nil)]
    pub provider: Option<Arc<str>>,
    /// Status the caller got.
    #[n(13)]
    pub status: u16,
    /// Error code the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(14), with = "crate::cbor::optional_text", has_nil)]
    pub error_code: Option<Arc<str>>,
    /// Whether it was a stream.
    #[n(15)]
    pub stream: bool,
    /// End user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(16), with = "crate::cbor::optional_text", has_nil)]
    pub end_user: Option<Arc<str>>,
    /// Tags after precedence.
    #[n(17)]
    pub tags: Tags,
    /// Cost of all attempts.
    #[n(18)]
    pub cost: NanoUsd,
    /// What was reserved at most.
    #[n(19)]
    pub reserved: NanoUsd,
    /// Where the counts come from.
    #[n(20)]
    pub usage_source: UsageSource,
    /// Disjoint token counts of all attempts. Of a hit those of the answer when it was made, which nobody pays again.
    #[n(21)]
    pub tokens: TokenBuckets,
    /// Rates applied to the last call; each attempt has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(22)]
    pub rates: Option<Rates>,
    /// Names the price version; empty where no price was known.
    #[cbor(n(23), with = "crate::cbor::text")]
    pub price_version: Arc<str>,
    /// Microseconds from request to end of response.
    #[n(24)]
    pub latency_us: u64,
    /// Microseconds from request to the first byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(25)]
    pub first_byte_us: Option<u64>,
    /// Agent run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(26), with = "crate::cbor::optional_text", has_nil)]
    pub trace_id: Option<Arc<str>>,
    /// Thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(27), with = "crate::cbor::optional_text", has_nil)]
    pub conversation_id: Option<Arc<str>>,
    /// Variant of the `ab_test` that led to the last attempt; absent in events of workers that knew of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(28), with = "crate::cbor::optional_text", has_nil)]
    pub ab_variant: Option<Arc<str>>,
    /// Every upstream call.
    #[n(29)]
    pub attempts: Vec<AttemptRecord>,
    /// What each budget is charged.
    #[n(30)]
    pub charges: Vec<Charge>,
    /// The decision trace. (31 was one that said its own names.)
    #[cbor(n(32), default)]
    pub trace: TraceRecord,
    /// What else rules could see of the request; absent where it could not be read, and in events of workers that did not record it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(33)]
    pub facts: Option<LoggedFacts>,
    /// What the response cache had; absent where the config has none, and in events of workers that had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(34)]
    pub cache: Option<CacheOutcome>,
    /// Something was consumed that nobody could count or price: it is booked as free and is not. Beside `usage_source`, so that a control
    /// plane that knows nothing of it can read the event.
    #[cbor(n(35), with = "crate::cbor::flag", has_nil)]
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

    /// Appends the event to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let written = minicbor::encode(self, InMemory(out));
        debug_assert!(written.is_ok(), "writing to memory can't fail, and an event is made of what CBOR has");
    }

    /// Reads an event.
    ///
    /// # Errors
    /// When the bytes are none, or something follows it.
    pub fn read(bytes: &[u8]) -> Result<Self, NoEvent> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let event = decoder.decode()?;
        match decoder.position() == bytes.len() {
            true => Ok(event),
            false => Err(minicbor::decode::Error::message("something follows it").into()),
        }
    }
}

/// A decision trace as it is kept: steps whose fields are numbers, as the event's are. A reader passes over what it does not know of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct TraceRecord(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);

/// Bytes that most traces do not exceed.
const USUAL_TRACE: usize = 512;

impl TraceRecord {
    /// Records a trace.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_TRACE);
        let written = minicbor::encode(&trace.steps, InMemory(&mut bytes));
        debug_assert!(written.is_ok(), "a trace is made of what CBOR has");
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

/// Writing to memory can't fail, and says so.
struct InMemory<'v>(&'v mut Vec<u8>);

impl minicbor::encode::Write for InMemory<'_> {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
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

    /// A worker of before the facts ended its event with the trace.
    #[test]
    fn an_event_without_facts_is_read() {
        let (written, mut bytes) = (UsageEvent { facts: None, cache: None, unpriced: false, ..event() }, Vec::new());
        written.write(&mut bytes);
        assert_eq!(bytes[..2], [0x98, 33], "what is absent at the end is not written");
        let read = UsageEvent::read(&bytes).unwrap();
        assert_eq!((read.facts, read.cache, read.unpriced, read.trace), (None, None, false, written.trace));
    }

    #[test]
    fn an_event_from_before_traces_were_numbers_is_read_without_one() {
        let (written, mut bytes) = (event(), Vec::new());
        written.write(&mut bytes);
        let mut decoder = minicbor::Decoder::new(&bytes);
        decoder.array().unwrap();
        for _ in 0..31 {
            decoder.skip().unwrap();
        }
        let end = decoder.position();
        bytes.truncate(end);
        bytes[1] = 31;
        let read = UsageEvent::read(&bytes).unwrap();
        assert_eq!((read.trace, read.cost), (TraceRecord::default(), written.cost));
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
        let mut encoder = minicbor::Encoder::new(InMemory(&mut bytes));
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
