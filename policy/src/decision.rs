//! The outcome of the engine: a permit or a denial, and the trace of how it came about.
//!
//! A [`Permit`] can only be made by [`crate::engine`] (its fields are private and its constructor is the crate's own); sending anything
//! upstream needs one. A [`Denial`] is a value, not an error: it is logged and counted once, with the rule that said no.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use smallvec::SmallVec;

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
    /// The provider's model name.
    pub model: Arc<str>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// `provider/model`
    pub target: Arc<str>,
    /// What its place comes from, in words: `0.0012 USD`, `840 ms`, `not measured`, `unhealthy`, `context too small`, …
    pub standing: String,
}

/// What became of a member of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberOutcome {
    /// `provider/model` that answered; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Arc<str>>,
    /// `chosen`, `answered`, `invalid`, `failed` or `cancelled`.
    pub outcome: &'static str,
}

/// What became of a step of a cascade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepOutcome {
    /// `provider/model` that answered; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Arc<str>>,
    /// `accepted`, `rejected`, `errored` (the expression failed, which accepts nothing), `unreadable` or `failed`.
    pub outcome: &'static str,
    /// Why the expression failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One step of a trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum TraceStep {
    /// A caller tried to set a bound tag.
    TagOverrideIgnored {
        /// Which tag.
        tag: Arc<str>,
        /// What was asked for.
        asked: Arc<str>,
        /// What is bound.
        bound: Arc<str>,
    },
    /// A rule list was run and this rule decided.
    Rule {
        /// `@slug`
        config: Arc<str>,
        /// Version of the config.
        version: u64,
        /// Position from 1; absent for `else`.
        rule: Option<u32>,
        /// Its expression, or `else`.
        condition: Arc<str>,
        /// Where it leads.
        then: Arc<str>,
    },
    /// An expression failed at run time.
    RuleErrored {
        /// `@slug`
        config: Arc<str>,
        /// Position from 1.
        rule: u32,
        /// What went wrong.
        error: String,
        /// Whether it was counted as true (a rule that denies) or false.
        counted_as: bool,
    },
    /// A config was entered.
    Config {
        /// `@slug`
        config: Arc<str>,
        /// Version of the config.
        version: u64,
        /// Strategy word.
        strategy: &'static str,
    },
    /// Targets were put in order by what they would likely cost, or by how fast they have been.
    Ordered {
        /// `@slug`
        config: Arc<str>,
        /// `cost` or `latency`
        by: &'static str,
        /// The first ones, the best first; those that can't be taken at the end.
        candidates: Vec<Candidate>,
    },
    /// A variant of an `ab_test` was drawn.
    Variant {
        /// `@slug`
        config: Arc<str>,
        /// Its name.
        variant: Arc<str>,
        /// What the draw hangs on: `end_user`, `conversation`, `trace`, or `none` where it is the request itself.
        sticky_by: &'static str,
    },
    /// An allowlist was asked.
    Allowlist {
        /// `@slug`
        config: Arc<str>,
        /// Whether the model is on it.
        allowed: bool,
    },
    /// A project's entry policy wanted to leave what the organization's decided; it can only narrow.
    RedirectIgnored {
        /// `@slug`
        config: Arc<str>,
        /// Where it led.
        then: Arc<str>,
    },
    /// A target was left out because key or policy do not allow it, or because it rests.
    TargetRefused {
        /// `provider/model`
        target: Arc<str>,
        /// By what: `allowed_models`, `allowlist`, `vendor`, `price`, `bound`, `breaker`.
        by: &'static str,
    },
    /// A budget applies.
    Budget {
        /// Its name.
        name: Arc<str>,
        /// Settled and reserved, USD.
        used_usd: Usd,
        /// Cap, USD.
        cap_usd: Usd,
        /// `ok`, `downgrade`, `warn_only`, `block`, or `would_…` in shadow mode.
        action: &'static str,
    },
    /// A target was resolved.
    Target {
        /// `provider/model`
        target: Arc<str>,
        /// Price version; empty where unknown.
        price_version: Arc<str>,
    },
    /// Money was reserved for an attempt.
    Reserved {
        /// `provider/model`
        target: Arc<str>,
        /// Worst-case cost, USD.
        usd: Usd,
    },
    /// An attempt ended.
    Attempt {
        /// `provider/model`
        target: Arc<str>,
        /// `ok`, `connect`, `timeout`, `429`, `5xx`, `cut`, `refused`.
        outcome: Arc<str>,
        /// Milliseconds it took.
        ms: u64,
    },
    /// The answers of an ensemble became one.
    Ensemble {
        /// `@slug`
        config: Arc<str>,
        /// How.
        aggregation: &'static str,
        /// In order of the config.
        members: Vec<MemberOutcome>,
        /// What decided, where it was not what the config says: `weight`, as the judge could not be asked or said nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        instead: Option<&'static str>,
    },
    /// A cascade came to its end.
    Cascade {
        /// `@slug`
        config: Arc<str>,
        /// Those that were asked, in order.
        steps: Vec<StepOutcome>,
    },
    /// The request was refused.
    Denied {
        /// What kind of no, as the error code the caller sees.
        code: &'static str,
        /// In words.
        message: String,
    },
}
