//! The message back: what a worker reports of one exchange.
//!
//! One event per exchange, booked once by its id. It is written before the first upstream byte leaves, as [`EventKind::UnknownOutcome`] at
//! the reserved amount, and again with the truth when the exchange ends; whichever is the last one found on the worker's disk is
//! what is shipped. So a killed worker leaves an amount, never a gap.
//!
//! Left out: prompts, completions, keys, secrets. There is no field they could go into.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::facts::{Surface, Tags};
use crate::money::NanoUsd;
use crate::price::{Rates, TokenBuckets};

/// What is known of the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The exchange ended and its usage is known or estimated.
    Settled,
    /// The worker died in the middle; booked at the reserved amount.
    UnknownOutcome,
    /// Refused before any upstream; costs nothing.
    Refused,
}

/// Where the token counts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider said so.
    Provider,
    /// The provider's answer was cut; counted from what passed.
    PartialEstimate,
    /// Nothing is known but the reservation.
    Reservation,
    /// Nothing was consumed.
    None,
}

/// Id and name of a project or key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Prefixed id.
    pub id: Arc<str>,
    /// Name at the time.
    pub name: Arc<str>,
}

/// One upstream call of the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Provider name.
    pub provider: Arc<str>,
    /// The provider's model name.
    pub model: Arc<str>,
    /// HTTP status, or 0 where none came.
    pub status: u16,
    /// `ok`, `connect`, `timeout`, `status`, `cut`, `cancelled`.
    pub outcome: Arc<str>,
    /// Microseconds until it ended.
    pub latency_us: u64,
    /// What it cost.
    pub cost: NanoUsd,
    /// What the cost comes of; absent where nothing was consumed or no price was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priced: Option<Priced>,
}

/// What a cost comes of: `rates.cost(tokens)` is it, now and in ten years.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priced {
    /// Disjoint token counts of this call.
    pub tokens: TokenBuckets,
    /// Rates applied, those of the long context where it was one.
    pub rates: Rates,
    /// Names the price version.
    pub version: Arc<str>,
}

/// What one budget is charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Which period of which budget.
    pub period: PeriodRef,
    /// The lease it was reserved in; absent for budgets that don't block and had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<Arc<str>>,
    /// How much.
    pub amount: NanoUsd,
}

/// Names one period of one budget, for one scope value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PeriodRef {
    /// `bud_…`
    pub budget_id: Arc<str>,
    /// End user or tag value of a per-value budget; empty otherwise.
    pub scope_value: Arc<str>,
    /// Start of the period.
    #[serde(serialize_with = "crate::time::serialize")]
    pub start: DateTime<Utc>,
}

/// One exchange.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// Provider that answered, or the last one tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// Status the caller got.
    pub status: u16,
    /// Error code the caller got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Arc<str>>,
    /// Whether it was a stream.
    pub stream: bool,
    /// End user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<Arc<str>>,
    /// Tags after precedence.
    pub tags: Tags,
    /// Cost of all attempts.
    pub cost: NanoUsd,
    /// What was reserved at most.
    pub reserved: NanoUsd,
    /// Where the counts come from.
    pub usage_source: UsageSource,
    /// Disjoint token counts of all attempts.
    pub tokens: TokenBuckets,
    /// Rates applied to the last call; each attempt has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// Names the price version; empty where no price was known.
    pub price_version: Arc<str>,
    /// Microseconds from request to end of response.
    pub latency_us: u64,
    /// Microseconds from request to the first byte of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Agent run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Arc<str>>,
    /// Thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<Arc<str>>,
    /// Variant of the `ab_test` that led to the last attempt; absent in events of workers that knew of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ab_variant: Option<Arc<str>>,
    /// Every upstream call.
    pub attempts: Vec<AttemptRecord>,
    /// What each budget is charged.
    pub charges: Vec<Charge>,
    /// The decision trace, as JSON.
    pub trace: Box<RawValue>,
}
