//! The outcome of the engine: a permit or a denial, and the trace of how it came about.
//!
//! A [`Permit`] can only be made by [`crate::engine`] (its fields are private and its constructor is the crate's own); sending anything
//! upstream needs one. A [`Denial`] is a value, not an error: it is logged and counted once, with the rule that said no.

mod trace;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use smallvec::SmallVec;

use crate::money::NanoUsd;
use crate::price::PriceSheet;
use crate::rule::Rule;
use crate::source::{Aggregation, Patience, PeriodKind, RetryOn};

pub use trace::{Candidate, MemberOutcome, StepOutcome, Trace, TraceStep};

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
    /// How many numbers a vector has, where texts are embedded; absent where no config says so.
    pub dimensions: Option<Dimensions>,
}

/// How many numbers a vector has, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// So many.
    pub number: u32,
    /// Index into the bundle's configs.
    pub config: u32,
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
