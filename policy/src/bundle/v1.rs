//! Format 1 of the bundle. Never edited once released: a change is `v2` beside it.
//!
//! References are resolved to indices here, so that a worker needs no names to decide; names are kept for traces and logs.
//! A reader ignores fields it does not know, so that an older worker reads a newer control plane's additions.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::facts::Tags;
use crate::guardrail::FindingKind;
use crate::money::NanoUsd;
use crate::price::{LongContext, Rates};
use crate::source::{
    Aggregation, AtCap, BudgetMode, CacheMode, DetectionAction, FailMode, Fraction, GuardrailMode, Patience, PeriodKind, RetryOn,
    SealedSecret, StickyBy, Tier, UnpricedModels, WebhookContent,
};

/// Index into [`Bundle::providers`].
pub type ProviderIndex = u32;
/// Index into [`Bundle::configs`].
pub type ConfigIndex = u32;
/// Index into [`Bundle::models`].
pub type ModelIndex = u32;

/// One organization's policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// Always 1.
    pub format: u32,
    /// Whose.
    pub org: Org,
    /// Counts up by one with every change.
    pub revision: u64,
    /// When it was compiled.
    pub created_at: DateTime<Utc>,
    /// IANA time zone for `request.hour` and `request.weekday`.
    pub time_zone: String,
    /// Config that runs on every request.
    pub entry_policy: Option<ConfigIndex>,
    /// Networks from which requests are taken; empty means all.
    pub ip_allowlist: Vec<IpNet>,
    /// Refuse upstreams on loopback and private networks.
    pub deny_private_upstreams: bool,
    /// What happens to models without a price. Under `ceiling` this says `deny`, for readers that do not know [`Bundle::unpriced_rates`].
    pub unpriced_models: UnpricedModels,
    /// Rates of models without a price of their own; absent where they have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpriced_rates: Option<Rates>,
    /// Providers, in the order of their names.
    pub providers: Vec<Provider>,
    /// Priced models, in the order of `provider/model`.
    pub models: Vec<Model>,
    /// Routing configs of the organization and of all projects.
    pub configs: Vec<Config>,
    /// Projects.
    pub projects: Vec<Project>,
    /// Keys.
    pub keys: Vec<Key>,
    /// Budgets, in the order of their names.
    pub budgets: Vec<Budget>,
}

/// Whose bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Org {
    /// `org_…`
    pub id: Arc<str>,
    /// Slug.
    pub slug: String,
}

/// A provider with its sealed secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// `prv_…`
    pub id: String,
    /// Name, the part before the `/`.
    pub name: Arc<str>,
    /// Vendor word.
    pub vendor: String,
    /// Where it is; always set (the compiler fills in the vendor's own), except for `simulated`.
    pub base_url: Option<String>,
    /// Secret, sealed to the worker pool.
    pub api_key: Option<SealedSecret>,
    /// How workers look by themselves if it is there; absent where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
}

/// A GET that no model answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Seconds from one to the next.
    pub interval_seconds: u32,
    /// Milliseconds until there is no answer.
    pub timeout_ms: u32,
    /// Behind the path of the provider's address; always set.
    pub path: String,
}

/// A model with its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Of which provider.
    pub provider: ProviderIndex,
    /// The provider's name for it; `*` at the end matches any rest.
    pub name: Arc<str>,
    /// Price per bucket; absent where unknown.
    pub rates: Option<Rates>,
    /// Other rates for calls with long inputs.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub long_context: Arc<[LongContext]>,
    /// What it will cost, by the instant from which on; in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<LaterPrices>,
    /// Names the version of the rates in logs.
    pub price_version: Arc<str>,
    /// Tokens of input and output together.
    pub context_tokens: Option<u32>,
    /// Tokens of output at most.
    pub max_output_tokens: Option<u32>,
    /// Quality class.
    pub tier: Option<Tier>,
}

/// Prices that begin to hold at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaterPrices {
    /// First instant at which they hold.
    pub from: DateTime<Utc>,
    /// Price per bucket.
    pub rates: Rates,
    /// Other rates for calls with long inputs.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub long_context: Arc<[LongContext]>,
}

fn is_empty(long_context: &Arc<[LongContext]>) -> bool {
    long_context.is_empty()
}

/// A routing config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `cfg_…`
    pub id: String,
    /// Slug without the `@`.
    pub slug: Arc<str>,
    /// Of which project; absent for the organization's.
    pub project: Option<u32>,
    /// Version number, for logs.
    pub version: u64,
    /// How long it waits for answers.
    #[serde(default, skip_serializing_if = "Patience::is_silent")]
    pub patience: Patience,
    /// For how long its answers are kept; absent where they are not.
    #[serde(default, deserialize_with = "cached_or_not", skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// How many numbers a vector has that it is asked for; absent where the caller or the model decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_dimensions: Option<u32>,
    /// What it does.
    #[serde(deserialize_with = "known_or_not")]
    pub strategy: Strategy,
}

/// A strategy of a newer control plane is one config that can't be served, not a bundle that can't be read.
fn known_or_not<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Strategy, D::Error> {
    let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or(Strategy::NotUnderstood))
}

/// For how long answers are kept, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// When a kept answer is the answer.
    pub mode: CacheMode,
    /// Seconds.
    pub ttl_seconds: u32,
    /// Those too that may differ from time to time.
    pub include_sampled: bool,
}

/// A cache of a newer control plane that is not understood here keeps nothing: that costs money, and is never wrong.
fn cached_or_not<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Cache>, D::Error> {
    let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// Where to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Another config.
    Config(ConfigIndex),
    /// A provider's model.
    Model {
        /// Of which provider.
        provider: ProviderIndex,
        /// The provider's name for it.
        name: Arc<str>,
    },
    /// What was asked for.
    Pass,
    /// Refusal with a message.
    Deny(Arc<str>),
}

/// How a config finds its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One target.
    Single(Target),
    /// One after the other.
    Fallback {
        /// In order.
        attempts: Vec<Attempt>,
        /// When to go on.
        retry_on: Vec<RetryOn>,
        /// Milliseconds for all together.
        total_budget_ms: Option<u64>,
    },
    /// The likely cheapest first.
    CostOptimized {
        /// The tier that was asked for, for messages.
        tier: Tier,
        /// Priced models of that tier, at least one.
        candidates: Vec<ModelIndex>,
    },
    /// The one that has answered fastest first.
    LatencyOptimized {
        /// Each a model, at least one.
        models: Vec<Target>,
    },
    /// Several at once.
    Ensemble {
        /// How answers become one.
        aggregation: Aggregation,
        /// At least two.
        members: Vec<Member>,
        /// Who judges, where somebody does.
        judge: Option<Target>,
        /// Milliseconds until who has not answered does not count.
        timeout_ms: Option<u64>,
        /// How many must have answered.
        quorum: u32,
    },
    /// One after the other until an answer will do.
    Cascade {
        /// In order; every one but the last says what it accepts.
        steps: Vec<Step>,
    },
    /// One drawn by weight.
    AbTest {
        /// In the order in which shares are laid out; at least one.
        variants: Vec<Variant>,
        /// Who stays with what was drawn.
        sticky_by: StickyBy,
    },
    /// First rule that holds.
    CustomRules {
        /// In order.
        rules: Vec<Rule>,
        /// What applies when none holds.
        otherwise: Target,
    },
    /// Patterns, and where the rest goes.
    Allowlist {
        /// Patterns with `*`.
        models: Vec<String>,
        /// Where the rest goes.
        otherwise: Target,
    },
    /// One that this program does not know, or of which it does not know a part. Denies; never written by the compiler.
    NotUnderstood,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Where.
    pub target: Target,
    /// Milliseconds until the response head.
    pub timeout_ms: Option<u64>,
}

/// One who is asked in an ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where.
    pub target: Target,
    /// What its answer counts, in parts per million.
    pub weight_ppm: u32,
}

/// One step of a cascade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where.
    pub target: Target,
    /// CEL source over the response, checked by the compiler.
    pub accept: Option<String>,
}

/// One arm of an A/B test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// What logs and the response header call it.
    pub name: Arc<str>,
    /// Its share, relative to the others'; at least 1.
    pub weight: u32,
    /// Where.
    pub target: Target,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// CEL source, checked by the compiler.
    pub condition: String,
    /// Where to go when it holds.
    pub then: Target,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// `prj_…`
    pub id: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Bound tags.
    pub tags: Tags,
    /// Entry policy that narrows the organization's.
    pub entry_policy: Option<ConfigIndex>,
    /// Whether bare model names are looked up.
    pub auto_resolve_bare_model: bool,
    /// Whether fields the upstream can't take refuse the request.
    pub strict_capabilities: bool,
    /// What guards its requests; absent where nothing does.
    #[serde(default, deserialize_with = "guarded_or_not", skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<Guardrails>,
}

/// Guardrails of a newer control plane are one project that can't be served, not a bundle that can't be read.
fn guarded_or_not<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Guardrails>, D::Error> {
    let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
    let not_understood = || Some(Guardrails { models: None, detection: None, webhook: None, not_understood: true });
    Ok(serde_json::from_str(raw.get()).unwrap_or_else(|_| not_understood()))
}

/// What guards the requests of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrails {
    /// Which models may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<ModelGuardrail>,
    /// What is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection: Option<DetectionGuardrail>,
    /// Who is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookGuardrail>,
    /// This program does not know a part of it. Denies; never written by the compiler.
    #[serde(skip)]
    pub not_understood: bool,
}

/// Which models may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelGuardrail {
    /// Patterns of which one has to match.
    pub allow: Vec<String>,
    /// Patterns of which none must match.
    pub deny: Vec<String>,
    /// Act or watch.
    pub mode: GuardrailMode,
}

/// What is looked for in requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectionGuardrail {
    /// What is done about it; never `off`.
    pub action: DetectionAction,
    /// Which kinds.
    pub kinds: Vec<FindingKind>,
    /// Act or watch.
    pub mode: GuardrailMode,
}

/// Who is asked about requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookGuardrail {
    /// Where.
    pub url: String,
    /// What questions are signed with, sealed to the worker pool.
    pub secret: Option<SealedSecret>,
    /// Milliseconds until there is no verdict.
    pub timeout_ms: u32,
    /// What holds then.
    pub fail: FailMode,
    /// What it is told.
    pub sends: WebhookContent,
    /// Act or watch.
    pub mode: GuardrailMode,
}

/// A proxy key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `key_…`
    pub id: Arc<str>,
    /// SHA-256 of the presented key, lower-case hex.
    pub hash: String,
    /// Of which project.
    pub project: u32,
    /// Name.
    pub name: Arc<str>,
    /// E-mail of its owner, or empty.
    pub owner: Arc<str>,
    /// Bound tags; they win over the project's.
    pub tags: Tags,
    /// Requests per minute.
    pub rpm: Option<u32>,
    /// When it stops working.
    pub expires: Option<DateTime<Utc>>,
    /// Patterns of models; `*` alone allows all.
    pub allowed_models: Vec<String>,
    /// Networks; empty means all.
    pub ip_allowlist: Vec<IpNet>,
}

/// Whose spend a budget counts, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All.
    Organization,
    /// One project.
    Project(u32),
    /// One key.
    Key(u32),
    /// One end user.
    EndUser(Arc<str>),
    /// Each end user.
    EachEndUser,
    /// One tag value.
    Tag(Arc<str>, Arc<str>),
    /// Each value of a tag.
    EachTag(Arc<str>),
    /// Models by pattern.
    Model(String),
    /// One provider.
    Provider(ProviderIndex),
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// `bud_…`
    pub id: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Whose spend.
    pub scope: Scope,
    /// Which period.
    pub period: PeriodKind,
    /// Day the period starts on.
    pub anchor_day: u32,
    /// IANA time zone.
    pub time_zone: String,
    /// The cap.
    pub cap: NanoUsd,
    /// What happens at the cap; `downgrade` as resolved below.
    pub at_cap: AtCap,
    /// Where a downgrade goes.
    pub downgrade_to: Option<ConfigIndex>,
    /// From which share of the cap it applies.
    pub downgrade_at: Fraction,
    /// Act or watch.
    pub mode: BudgetMode,
    /// Lower the output limit rather than refuse.
    pub clamp_output: bool,
}
