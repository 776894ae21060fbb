//! How a decision came about, step by step.
//!
//! Written for each request and read for few: cheap to build, numbered on disk and on the link as the event is, named only when somebody looks. A
//! number is never given a second meaning; the next free one is 22.

use std::borrow::Cow;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::guardrail::Findings;
use crate::money::Usd;

/// Steps that most requests do not exceed.
const USUAL_STEPS: usize = 12;

/// How a decision came about, in order. Cheap to build (indices and shared strings); rendered only when somebody reads it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Trace {
    /// Steps in order. A request's has about ten; a vector moves cheaply from stage to stage, ten steps in place would not.
    pub steps: Vec<TraceStep>,
}

impl Trace {
    /// Adds a step.
    pub fn push(&mut self, step: TraceStep) {
        if self.steps.capacity() == 0 {
            self.steps.reserve(USUAL_STEPS);
        }
        self.steps.push(step);
    }

    /// The trace as JSON, for logs, dry runs and `mlx:trace`.
    #[must_use]
    pub fn to_json(&self) -> Box<serde_json::value::RawValue> {
        serde_json::value::to_raw_value(self).unwrap_or_default()
    }
}

/// A target as it stands among others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct Candidate {
    /// `provider/model`
    #[cbor(n(0), with = "crate::cbor::text")]
    pub target: Arc<str>,
    /// What its place comes from, in words: `0.0012 USD`, `840 ms`, `not measured`, `unhealthy`, `context too small`, …
    #[n(1)]
    pub standing: String,
}

/// What became of a member of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct MemberOutcome {
    /// `provider/model` that answered; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(0), with = "crate::cbor::optional_text", has_nil)]
    pub target: Option<Arc<str>>,
    /// `chosen`, `answered`, `invalid`, `failed` or `cancelled`.
    #[n(1)]
    pub outcome: Cow<'static, str>,
}

/// What became of a step of a cascade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct StepOutcome {
    /// `provider/model` that answered; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(0), with = "crate::cbor::optional_text", has_nil)]
    pub target: Option<Arc<str>>,
    /// `accepted`, `rejected`, `errored` (the expression failed, which accepts nothing), `unreadable` or `failed`.
    #[n(1)]
    pub outcome: Cow<'static, str>,
    /// Why the expression failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub error: Option<String>,
}

/// One step of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Encode, Decode)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum TraceStep {
    /// A caller tried to set a bound tag.
    #[n(0)]
    TagOverrideIgnored {
        /// Which tag.
        #[cbor(n(0), with = "crate::cbor::text")]
        tag: Arc<str>,
        /// What was asked for.
        #[cbor(n(1), with = "crate::cbor::text")]
        asked: Arc<str>,
        /// What is bound.
        #[cbor(n(2), with = "crate::cbor::text")]
        bound: Arc<str>,
    },
    /// A guardrail of the project had something to say. What was found is told by kind and count only.
    #[n(16)]
    Guardrail {
        /// `models`, `detection` or `webhook`.
        #[n(0)]
        guardrail: Cow<'static, str>,
        /// `passed`, `tagged`, `redacted`, `denied`, `failed_open` or `failed_closed`; `would_deny` and the like in shadow mode.
        #[n(1)]
        outcome: Cow<'static, str>,
        /// How many of each kind. Boxed, so that steps stay small.
        #[serde(skip_serializing_if = "Findings::is_empty")]
        #[n(2)]
        findings: Box<Findings>,
        /// `provider/model`, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cbor(n(3), with = "crate::cbor::optional_text", has_nil)]
        target: Option<Arc<str>>,
        /// Why a webhook gave no verdict.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[n(4)]
        problem: Option<Cow<'static, str>>,
    },
    /// What is asked for is no answer of a model and is passed through.
    #[n(20)]
    Passthrough {
        /// `POST /openai/v1/batches`
        #[cbor(n(0), with = "crate::cbor::text")]
        operation: Arc<str>,
        /// What is known of its cost: `nothing`, `nothing_at_its_vendor`, `tokens` or `unknown`.
        #[n(1)]
        spends: Cow<'static, str>,
        /// The provider that the caller named.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cbor(n(2), with = "crate::cbor::optional_text", has_nil)]
        provider: Option<Arc<str>>,
    },
    /// A rule list was run and this rule decided.
    #[n(1)]
    Rule {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// Version of the config.
        #[n(1)]
        version: u64,
        /// Position from 1; absent for `else`.
        #[n(2)]
        rule: Option<u32>,
        /// Its expression, or `else`.
        #[cbor(n(3), with = "crate::cbor::text")]
        condition: Arc<str>,
        /// Where it leads.
        #[cbor(n(4), with = "crate::cbor::text")]
        then: Arc<str>,
    },
    /// What a rule list that asks for `health` could see of a target; absent where nothing was measured.
    #[n(17)]
    Measured {
        /// `provider/model`
        #[cbor(n(0), with = "crate::cbor::text")]
        target: Arc<str>,
        /// Median latency in whole milliseconds.
        #[n(1)]
        p50_ms: u64,
        /// Whether it was considered usable.
        #[n(2)]
        ok: bool,
    },
    /// What the response cache of a config had for the request.
    #[n(18)]
    Cache {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// `hit`, `miss`, or `bypass` where it was not looked into.
        #[n(1)]
        outcome: Cow<'static, str>,
        /// Of a hit: `memory` or `redis`. Of a bypass, why: `no_cache` or `no_store` (the caller said so), `provider_key`, `provider_state`,
        /// `provider_tool`, `background` or `sampled`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[n(2)]
        detail: Option<Cow<'static, str>>,
    },
    /// An expression failed at run time.
    #[n(2)]
    RuleErrored {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// Position from 1.
        #[n(1)]
        rule: u32,
        /// What went wrong.
        #[n(2)]
        error: String,
        /// Whether it was counted as true (a rule that denies) or false.
        #[n(3)]
        counted_as: bool,
    },
    /// A config was entered.
    #[n(3)]
    Config {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// Version of the config.
        #[n(1)]
        version: u64,
        /// Strategy word.
        #[n(2)]
        strategy: Cow<'static, str>,
    },
    /// Targets were put in order by what they would likely cost, or by how fast they have been.
    #[n(4)]
    Ordered {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// `cost` or `latency`
        #[n(1)]
        by: Cow<'static, str>,
        /// The first ones, the best first; those that can't be taken at the end.
        #[n(2)]
        candidates: Vec<Candidate>,
    },
    /// A variant of an `ab_test` was drawn.
    #[n(5)]
    Variant {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// Its name.
        #[cbor(n(1), with = "crate::cbor::text")]
        variant: Arc<str>,
        /// What the draw hangs on: `end_user`, `conversation`, `trace`, or `none` where it is the request itself.
        #[n(2)]
        sticky_by: Cow<'static, str>,
    },
    /// An allowlist was asked.
    #[n(6)]
    Allowlist {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// Whether the model is on it.
        #[n(1)]
        allowed: bool,
    },
    /// A project's entry policy wanted to leave what the organization's decided; it can only narrow.
    #[n(7)]
    RedirectIgnored {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// Where it led.
        #[cbor(n(1), with = "crate::cbor::text")]
        then: Arc<str>,
    },
    /// A target was left out because key or policy do not allow it, or because it rests.
    #[n(8)]
    TargetRefused {
        /// `provider/model`
        #[cbor(n(0), with = "crate::cbor::text")]
        target: Arc<str>,
        /// By what: `allowed_models`, `guardrail`, `allowlist`, `vendor`, `price`, `bound`, `breaker`, `health_check`.
        #[n(1)]
        by: Cow<'static, str>,
    },
    /// A budget applies.
    #[n(9)]
    Budget {
        /// Its name.
        #[cbor(n(0), with = "crate::cbor::text")]
        name: Arc<str>,
        /// Settled and reserved, USD.
        #[n(1)]
        used_usd: Usd,
        /// Cap, USD.
        #[n(2)]
        cap_usd: Usd,
        /// `ok`, `downgrade`, `warn_only`, `block`, or `would_…` in shadow mode.
        #[n(3)]
        action: Cow<'static, str>,
    },
    /// A target was resolved.
    #[n(10)]
    Target {
        /// `provider/model`
        #[cbor(n(0), with = "crate::cbor::text")]
        target: Arc<str>,
        /// Price version; empty where unknown.
        #[cbor(n(1), with = "crate::cbor::text")]
        price_version: Arc<str>,
    },
    /// The input was counted, as the worst case by its length did not fit into what is left of a budget.
    #[n(21)]
    Counted {
        /// `provider/model`
        #[cbor(n(0), with = "crate::cbor::text")]
        target: Arc<str>,
        /// Input tokens at most, by counting.
        #[n(1)]
        tokens: u64,
        /// Input tokens at most, by length.
        #[n(2)]
        bound: u64,
    },
    /// The output limit was lowered to what is left of the budgets that say so.
    #[n(22)]
    Clamped {
        /// `provider/model`
        #[cbor(n(0), with = "crate::cbor::text")]
        target: Arc<str>,
        /// Output tokens at most of each answer, as lowered.
        #[n(1)]
        tokens: u32,
        /// The budget that was short.
        #[cbor(n(2), with = "crate::cbor::text")]
        budget: Arc<str>,
    },
    /// Money was reserved for an attempt.
    #[n(11)]
    Reserved {
        /// `provider/model`
        #[cbor(n(0), with = "crate::cbor::text")]
        target: Arc<str>,
        /// Worst-case cost, USD.
        #[n(1)]
        usd: Usd,
    },
    /// An attempt ended.
    #[n(12)]
    Attempt {
        /// `provider/model`
        #[cbor(n(0), with = "crate::cbor::text")]
        target: Arc<str>,
        /// `ok`, `connect`, `timeout`, `429`, `5xx`, `cut` (it broke off, or an error came in the stream), `unreadable` (what came is no answer),
        /// `refused`, `cancelled`, `drained`.
        #[n(1)]
        outcome: Cow<'static, str>,
        /// Milliseconds it took.
        #[n(2)]
        ms: u64,
    },
    /// An attempt was slow, and another one was to be made beside it.
    #[n(19)]
    Hedged {
        /// `provider/model` that was slow.
        #[cbor(n(0), with = "crate::cbor::text")]
        target: Arc<str>,
        /// `provider/model` to be asked as well; the same one where there is no other.
        #[cbor(n(1), with = "crate::cbor::text")]
        second: Arc<str>,
        /// Milliseconds that the first one had.
        #[n(2)]
        after_ms: u32,
        /// `first` or `second`: whose answer it is. `neither`: both failed. `open`: the caller left before. Where the second was not
        /// asked: `not_held`, as there is no money for both, or `breaker`, as it rests.
        #[n(3)]
        outcome: Cow<'static, str>,
    },
    /// The answers of an ensemble became one.
    #[n(13)]
    Ensemble {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// How.
        #[n(1)]
        aggregation: Cow<'static, str>,
        /// In order of the config.
        #[n(2)]
        members: Vec<MemberOutcome>,
        /// What decided, where it was not what the config says: `weight`, as the judge could not be asked or said nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[n(3)]
        instead: Option<Cow<'static, str>>,
    },
    /// A cascade came to its end.
    #[n(14)]
    Cascade {
        /// `@slug`
        #[cbor(n(0), with = "crate::cbor::text")]
        config: Arc<str>,
        /// Those that were asked, in order.
        #[n(1)]
        steps: Vec<StepOutcome>,
    },
    /// The request was refused.
    #[n(15)]
    Denied {
        /// What kind of no, as the error code the caller sees.
        #[n(0)]
        code: Cow<'static, str>,
        /// In words.
        #[n(1)]
        message: String,
    },
}
