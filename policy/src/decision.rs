//! The outcome of the engine: a permit or a denial, and the trace of how it came about.
//!
//! A [`Permit`] can only be made by [`crate::engine`] (its fields are private and its constructor is the crate's own); sending anything
//! upstream needs one. A [`Denial`] is a value, not an error: it is logged and counted once, with the rule that said no.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use minicbor::{Decode, Encode};
use serde::Serialize;
use smallvec::SmallVec;

use crate::guardrail::Findings;
use crate::money::{NanoUsd, Usd};
use crate::price::PriceSheet;
use crate::rule::Rule;
use crate::source::{Aggregation, Patience, PeriodKind, RetryOn};

/// Yes or no.
#[derive(Debug)]
pub enum Decision {
    /// Yes: go there, under these budgets.
    Permit(Permit),
    /// No, and why.
    Deny(Denial),
}

/// The engine's yes.
#[derive(Debug)]
pub struct Permit {
    pub(crate) route: Route,
    pub(crate) claims: Arc<[Claim]>,
    pub(crate) downgraded_by: Option<u32>,
    pub(crate) cache: Option<Box<CacheTerms>>,
    pub(crate) trace: Trace,
}

impl Permit {
    /// Where to go, resolved to targets.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Every budget that applies to the request whichever target serves it.
    #[must_use]
    pub fn claims(&self) -> &Arc<[Claim]> {
        &self.claims
    }

    /// The budget that sent the request to a cheaper route, as an index into the bundle.
    #[must_use]
    pub fn downgraded_by(&self) -> Option<u32> {
        self.downgraded_by
    }

    /// On which terms the answer may be one that was kept, and be kept; absent where neither.
    #[must_use]
    pub fn cache(&self) -> Option<&CacheTerms> {
        self.cache.as_deref()
    }

    /// How the decision came about.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Mutable trace, for what admission and attempts add.
    pub fn trace_mut(&mut self) -> &mut Trace {
        &mut self.trace
    }
}

/// On which terms answers are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTerms {
    /// `@slug` of the config whose terms these are: the outermost one with any.
    pub config: Arc<str>,
    /// That config and all that were asked below it, as indices into the bundle's configs; sorted, each once. What is kept under one version of
    /// any of them is no answer under another.
    pub configs: SmallVec<[u32; 4]>,
    /// Seconds for which an answer is kept.
    pub ttl_seconds: u32,
    /// Whether answers are kept that may differ from time to time.
    pub include_sampled: bool,
}

/// The resolved plan of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// One target.
    Target(ResolvedTarget),
    /// One after the other.
    Fallback {
        /// In order; never empty.
        attempts: Vec<RouteAttempt>,
        /// When to go on.
        retry_on: SmallVec<[RetryOn; 4]>,
        /// Milliseconds for all together.
        total_budget_ms: Option<u64>,
    },
    /// Several at once, whose answers become one.
    Ensemble(Ensemble),
    /// One after the other until an answer will do.
    Cascade(Cascade),
}

impl Route {
    /// Whether an answer has to be there as a whole before it is known who gives it.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        match self {
            Self::Target(_) => false,
            Self::Fallback { attempts, .. } => attempts.iter().any(|attempt| attempt.route.is_judged()),
            Self::Ensemble(_) | Self::Cascade(_) => true,
        }
    }
}

/// Several who are asked at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// `@slug`
    pub config: Arc<str>,
    /// How answers become one.
    pub aggregation: Aggregation,
    /// Never empty.
    pub members: Vec<RouteMember>,
    /// Who judges, where somebody does.
    pub judge: Option<Box<Route>>,
    /// Milliseconds until who has not answered does not count.
    pub timeout_ms: Option<u64>,
    /// How many must have answered.
    pub quorum: usize,
}

/// One member of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteMember {
    /// Where.
    pub route: Route,
    /// What its answer counts, in parts per million.
    pub weight_ppm: u32,
}

/// Steps of which each is asked only where the answer before it would not do.
#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    /// `@slug`
    pub config: Arc<str>,
    /// Never empty; whatever the last one answers will do.
    pub steps: Vec<RouteStep>,
}

/// One step of a cascade.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteStep {
    /// Where.
    pub route: Route,
    /// Whether its answer will do; absent where it always will.
    pub accept: Option<Rule>,
}

/// One attempt of a fallback; its route may itself be a fallback.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteAttempt {
    /// Where.
    pub route: Route,
    /// Milliseconds until the response head.
    pub timeout_ms: Option<u64>,
}

/// One model at one provider, with what is known of its price.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedTarget {
    /// Index into the bundle's providers.
    pub provider: u32,
    /// Provider name.
    pub provider_name: Arc<str>,
    /// The provider's model name; empty where what is passed through names none.
    pub model: Arc<str>,
    /// `provider/model`, as traces and messages name it; `provider/*` where no model is named.
    pub label: Arc<str>,
    /// What its tokens cost; absent where unknown.
    pub prices: Option<Arc<PriceSheet>>,
    /// Names the version of the rates; empty where unknown.
    pub price_version: Arc<str>,
    /// Tokens of input and output together; absent where unknown.
    pub context_tokens: Option<u32>,
    /// Output tokens at most; absent where unknown.
    pub max_output_tokens: Option<u32>,
    /// Budgets on this model or provider, beside the permit's.
    pub claims: SmallVec<[Claim; 2]>,
    /// The variant of an `ab_test` that led here; of nested tests all of them from the outermost on, joined with `/`.
    pub variant: Option<Arc<str>>,
    /// How long its answer is waited for.
    pub patience: Patience,
}

/// One budget that applies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Index into the bundle's budgets.
    pub budget: u32,
    /// End user or tag value of a per-value budget; empty otherwise.
    pub scope_value: Arc<str>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// What kind of no.
    pub reason: DenialReason,
    /// Names the rule, the scope and what to do.
    pub message: String,
    /// How the decision came about.
    pub trace: Trace,
}

/// Kinds of no; each maps to one status in `worker/respond`.
#[derive(Debug, Clone, PartialEq)]
pub enum DenialReason {
    /// The key has expired.
    KeyExpired,
    /// The model field can't be understood or names nothing.
    UnknownModel,
    /// What is to be passed through has no provider, or more than one.
    UnknownProvider,
    /// `@slug` names no routing config.
    UnknownConfig,
    /// A rule, an allowlist or the key's models say no.
    Policy,
    /// The caller's address is not allowed.
    IpNotAllowed,
    /// No price is known, and a price is needed.
    Unpriced,
    /// Nothing bounds what the request may cost, and a budget that blocks applies.
    Unbounded,
    /// A blocking budget is used up.
    Budget(BudgetShortfall),
    /// More requests than the key's rate allows.
    RateLimited {
        /// Requests per minute allowed.
        limit: u32,
        /// Milliseconds until the next one is.
        retry_after_ms: u64,
    },
    /// Money can't be reserved because the control plane can't be reached.
    BudgetUnavailable,
}

/// The numbers of a budget that says no.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetShortfall {
    /// Budget name.
    pub name: Arc<str>,
    /// Settled and reserved.
    pub spend: NanoUsd,
    /// The cap.
    pub cap: NanoUsd,
    /// Kind of period.
    pub period: PeriodKind,
    /// When the next one starts; none for `total`.
    pub resets_at: Option<DateTime<Utc>>,
}

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
        /// `ok`, `connect`, `timeout`, `429`, `5xx`, `cut`, `refused`, `cancelled`, `drained`.
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
