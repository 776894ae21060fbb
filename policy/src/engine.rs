//! Decides one request against one bundle.
//!
//! [`Engine::load`] makes a bundle ready once: rules compiled, keys hashed into a map, budgets sorted by scope. [`Engine::decide`] then
//! answers in microseconds, without I/O, clock or lock, and only from its arguments, so that a decision can be replayed.
//!
//! Order of a decision: the key itself (expiry, addresses) → the organization's entry policy → the project's, which can only narrow it →
//! the `model` asked for → downgrades by budgets → what key and allowlists permit. Money is not reserved here: a permit says which budgets
//! apply, and admission reserves for each attempt.
//!
//! The engine denies what it does not understand: an unknown model form, a vendor it can't serve, a chain that does not end.

mod budgets;
mod caching;
mod cascade;
mod dimensions;
mod draw;
mod ensemble;
mod entry;
mod guardrails;
mod load;
mod order;
mod parts;
mod passthrough;
mod patience;
mod prices;
mod resolve;
mod stand_in;

use std::collections::HashMap;
use std::sync::Arc;

use crate::bundle::v1;
use crate::decision::{Claim, Decision, Denial, DenialReason, Permit, Trace, TraceStep};
use crate::facts::{Facts, HealthView, RequestFacts, Subject, SubjectNames, Tags};
use crate::guardrail::Detectors;
use crate::money::NanoUsd;
use crate::rule::Rule;
use crate::source::GuardrailMode;

pub(crate) use budgets::blocks;
pub use load::LoadError;
pub(crate) use resolve::pattern_matches;

/// What is known of money at this instant.
pub trait BudgetView {
    /// Settled and reserved of the account, over all workers as last known.
    fn used(&self, claim: &Claim) -> NanoUsd;
}

/// A bundle made ready for decisions.
#[derive(Debug)]
pub struct Engine {
    bundle: v1::Bundle,
    time_zone: chrono_tz::Tz,
    keys: HashMap<[u8; 32], u32>,
    /// By key: tags of its project, overridden by its own.
    tags: Vec<Tags>,
    configs: Vec<LoadedConfig>,
    slugs: HashMap<(Option<u32>, Arc<str>), u32>,
    providers: HashMap<Arc<str>, u32>,
    /// By provider: models by name.
    models: Vec<HashMap<Arc<str>, u32>>,
    bare_models: HashMap<Arc<str>, Vec<u32>>,
    prices: prices::PriceBook,
    budgets: budgets::BudgetIndex,
    /// By project.
    detectors: Vec<Option<Detectors>>,
    /// Whether any rule asks for `estimate`.
    uses_estimate: bool,
    /// Whether any config keeps answers.
    caches: bool,
    /// Whether any config says how long vectors are.
    sizes_vectors: bool,
}

/// A config with its rules compiled and its labels made.
#[derive(Debug)]
struct LoadedConfig {
    /// `@slug`
    label: Arc<str>,
    rules: Vec<LoadedRule>,
}

#[derive(Debug)]
struct LoadedRule {
    rule: Rule,
    kind: crate::rule::RuleKind,
    condition: Arc<str>,
}

/// One decision being made.
struct Deciding<'a> {
    engine: &'a Engine,
    subject: &'a Subject,
    request: &'a RequestFacts,
    facts: Facts<'a>,
    trace: Trace,
    /// Allowlists that every target has to be on.
    allowlists: smallvec::SmallVec<[u32; 2]>,
    /// A budget that must not pass its cap, so that a price and a bound are needed.
    blocking: Option<&'a str>,
    caching: caching::Caching,
}

impl Engine {
    /// The bundle this was made of.
    #[must_use]
    pub fn bundle(&self) -> &v1::Bundle {
        &self.bundle
    }

    /// Who presents the key with this SHA-256.
    #[must_use]
    pub fn identify(&self, key_hash: &[u8]) -> Option<Subject> {
        let key = *self.keys.get(key_hash)?;
        let project = self.key(key)?.project;
        Some(Subject { key, project })
    }

    /// Who has the key with this id.
    #[must_use]
    pub fn find_subject(&self, key_id: &str) -> Option<Subject> {
        let at = self.bundle.keys.iter().position(|key| key.id.as_ref() == key_id)?;
        let project = self.bundle.keys.get(at)?.project;
        Some(Subject { key: u32::try_from(at).ok()?, project })
    }

    /// Tags bound to the subject: the project's, overridden by the key's.
    #[must_use]
    pub fn bound_tags(&self, subject: &Subject) -> Option<&Tags> {
        self.tags.get(index(subject.key))
    }

    /// The subject's key.
    #[must_use]
    pub fn key(&self, key: u32) -> Option<&v1::Key> {
        self.bundle.keys.get(index(key))
    }

    /// The subject's project.
    #[must_use]
    pub fn project(&self, project: u32) -> Option<&v1::Project> {
        self.bundle.projects.get(index(project))
    }

    /// A budget by its index.
    #[must_use]
    pub fn budget(&self, budget: u32) -> Option<&v1::Budget> {
        self.bundle.budgets.get(index(budget))
    }

    /// A provider by its index.
    #[must_use]
    pub fn provider(&self, provider: u32) -> Option<&v1::Provider> {
        self.bundle.providers.get(index(provider))
    }

    /// Every model name that the subject may ask for, as `provider/model`, and the `@slug`s it can see; for `GET /v1/models`.
    #[must_use]
    pub fn visible_models(&self, subject: &Subject) -> Vec<String> {
        let Some(key) = self.key(subject.key) else { return Vec::new() };
        let named = self.bundle.models.iter().filter(|model| model.name.as_ref() != crate::catalogue::ANY_MODEL);
        let models = named.filter_map(|model| {
            let provider = self.provider(model.provider)?;
            let guarded = self.guarded(subject.project, &provider.name, &model.name) == Some(GuardrailMode::Enforce);
            (!guarded && resolve::allowed(&key.allowed_models, &provider.name, &model.name))
                .then(|| format!("{}/{}", provider.name, model.name))
        });
        let configs = self.bundle.configs.iter().filter(|config| config.project.is_none_or(|project| project == subject.project));
        let mut names: Vec<String> = configs.map(|config| format!("@{}", config.slug)).chain(models).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The decision on one request. `trace` holds what was noted before, such as bound tags a caller tried to set.
    pub fn decide(
        &self,
        subject: &Subject,
        request: &RequestFacts,
        budgets: &dyn BudgetView,
        health: &dyn HealthView,
        trace: Trace,
    ) -> Decision {
        let (Some(key), Some(project)) = (self.key(subject.key), self.project(subject.project)) else {
            // A subject of another bundle; nothing in this one is known about it.
            return Decision::Deny(denial(DenialReason::Policy, "the key belongs to no project".to_owned(), trace));
        };
        let claims = self.budgets.claims(subject, request);
        let budget_facts = self.budget_facts(&claims, budgets);
        let names = SubjectNames { key: &key.name, owner: &key.owner, project: &project.name, org: &self.bundle.org.slug };
        let facts = Facts {
            request,
            subject: names,
            budgets: &budget_facts,
            most_constraining: budgets::most_constraining(&budget_facts),
            estimate: NanoUsd::ZERO,
            health,
            time_zone: self.time_zone,
        };
        let blocking = self.first_blocking(&claims);
        let (allowlists, caching) = (smallvec::SmallVec::new(), caching::Caching::default());
        let mut deciding = Deciding { engine: self, subject, request, facts, trace, allowlists, blocking, caching };
        if self.uses_estimate {
            deciding.facts.estimate = deciding.estimate();
        }
        match deciding.route(&claims, budgets) {
            Ok((route, downgraded_by)) => {
                let cache = deciding.cache_terms();
                Decision::Permit(Permit { route, claims, downgraded_by, cache, trace: deciding.trace })
            }
            Err((reason, message)) => Decision::Deny(denial(reason, message, deciding.trace)),
        }
    }
}

/// A reason with its message, before it becomes a [`Denial`].
type Refusal = (DenialReason, String);

impl Engine {
    /// Why nothing is done for this key: it has expired, or is used from where it must not be.
    #[must_use]
    pub fn refuses_key(&self, subject: &Subject, request: &RequestFacts) -> Option<(DenialReason, String)> {
        let Some(key) = self.key(subject.key) else {
            return Some((DenialReason::Policy, "the key is not in this bundle".to_owned()));
        };
        if key.expires.is_some_and(|expires| expires <= request.time) {
            return Some((DenialReason::KeyExpired, format!("key `{}` has expired; ask its owner for a new one", key.name)));
        }
        for (allowlist, whose) in [(&self.bundle.ip_allowlist, "the organization"), (&key.ip_allowlist, "the key")] {
            if !allowlist.is_empty() && !allowlist.iter().any(|network| network.contains(&request.peer)) {
                let message = format!("address {} is not on the IP allowlist of {whose}", request.peer);
                return Some((DenialReason::IpNotAllowed, message));
            }
        }
        None
    }
}

impl Deciding<'_> {
    fn route(&mut self, claims: &[Claim], view: &dyn BudgetView) -> Result<(crate::decision::Route, Option<u32>), Refusal> {
        if let Some(refusal) = self.engine.refuses_key(self.subject, self.request) {
            return Err(refusal);
        }
        self.check_guardrails()?;
        self.note_passthrough();
        let wanted = self.entry()?;
        let downgrade = self.note_budgets(claims);
        let downgrade = self.follow(downgrade)?;
        let wanted = downgrade.map_or(wanted, |(_, config)| v1::Target::Config(config));
        self.begin_caching();
        let route = self.resolve_permitted(&wanted)?;
        // Who stands in for a target answers in the place of the config that led there.
        self.branch();
        let (mut route, on_target) = self.stand_in(route, view)?;
        self.hold_to_dimensions(&mut route);
        Ok((route, downgrade.map(|(budget, _)| budget).or(on_target)))
    }
}

fn denial(reason: DenialReason, message: String, mut trace: Trace) -> Denial {
    trace.push(TraceStep::Denied { code: reason.code().into(), message: message.clone() });
    Denial { reason, message, trace }
}

impl Denial {
    /// A refusal that admission found: no money, too fast.
    #[must_use]
    pub fn at_admission(reason: DenialReason, message: String, trace: Trace) -> Self {
        denial(reason, message, trace)
    }
}

impl DenialReason {
    /// The error code that the caller sees and the log keeps.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyExpired => "key_expired",
            Self::UnknownModel => "model_not_found",
            Self::UnknownProvider => "provider_not_found",
            Self::UnknownConfig => "routing_config_not_found",
            Self::Policy => "policy_denied",
            Self::IpNotAllowed => "ip_not_allowed",
            Self::Unpriced => "model_unpriced",
            Self::Unbounded => "cost_unbounded",
            Self::Budget(_) => "budget_exceeded",
            Self::RateLimited { .. } => "rate_limit_exceeded",
            Self::BudgetUnavailable => "budget_unavailable",
        }
    }
}

/// Indices in a bundle are `u32`; a slice wants `usize`, which is at least as wide on every platform this runs on.
fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
