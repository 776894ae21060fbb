//! Makes a bundle ready.

use std::collections::HashMap;
use std::sync::Arc;

use super::budgets::BudgetIndex;
use super::prices::PriceBook;
use super::{Engine, LoadedConfig, LoadedRule, index};
use crate::bundle::v1::{Bundle, Config, Project, Strategy, Target};
use crate::catalogue::ANY_MODEL;
use crate::facts::Tags;
use crate::guardrail::Detectors;
use crate::rule::{Rule, RuleKind};

/// Why a bundle can't be made ready. The control plane checks everything before it signs, so this means versions that do not fit.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A time zone is unknown here.
    #[error("time zone `{0}` is unknown to this program")]
    TimeZone(String),
    /// A key hash is no SHA-256.
    #[error("key `{0}` has no usable hash")]
    KeyHash(Arc<str>),
}

impl Engine {
    /// Compiles rules and builds indices. Takes milliseconds; not for the request path.
    ///
    /// A config with a rule that does not compile here (one that asks for something newer) denies whoever reaches it; the rest is served.
    ///
    /// # Errors
    /// When the bundle uses something this program does not have.
    pub fn load(mut bundle: Bundle) -> Result<Self, LoadError> {
        let time_zone = bundle.time_zone.parse().map_err(|_| LoadError::TimeZone(bundle.time_zone.clone()))?;
        let mut keys = HashMap::with_capacity(bundle.keys.len());
        for (position, key) in (0_u32..).zip(&bundle.keys) {
            keys.insert(parse_hash(&key.hash).ok_or_else(|| LoadError::KeyHash(Arc::clone(&key.id)))?, position);
        }
        let configs = load_configs(&mut bundle.configs);
        let uses_estimate = configs.iter().flat_map(|config| &config.rules).any(|loaded| loaded.rule.references().uses_estimate());
        let mut models = vec![HashMap::new(); bundle.providers.len()];
        let mut bare_models: HashMap<Arc<str>, Vec<u32>> = HashMap::new();
        for (position, model) in (0_u32..).zip(&bundle.models) {
            if let Some(of_provider) = models.get_mut(index(model.provider)) {
                of_provider.insert(Arc::clone(&model.name), position);
                if model.name.as_ref() != ANY_MODEL {
                    bare_models.entry(Arc::clone(&model.name)).or_default().push(model.provider);
                }
            }
        }
        Ok(Self {
            time_zone,
            keys,
            tags: bundle.keys.iter().map(|key| bound_tags(&bundle, key.project, &key.tags)).collect(),
            configs,
            slugs: (0_u32..).zip(&bundle.configs).map(|(at, config)| ((config.project, Arc::clone(&config.slug)), at)).collect(),
            providers: (0_u32..).zip(&bundle.providers).map(|(at, provider)| (Arc::clone(&provider.name), at)).collect(),
            models,
            bare_models,
            prices: PriceBook::new(&bundle),
            budgets: BudgetIndex::new(&bundle),
            detectors: bundle.projects.iter().map(detectors).collect(),
            uses_estimate,
            caches: bundle.configs.iter().any(|config| config.cache.is_some()),
            sizes_vectors: bundle.configs.iter().any(|config| config.embedding_dimensions.is_some()),
            bundle,
        })
    }
}

fn detectors(project: &Project) -> Option<Detectors> {
    let detection = project.guardrails.as_ref()?.detection.as_ref()?;
    Some(Detectors::new(&detection.kinds))
}

fn bound_tags(bundle: &Bundle, project: u32, key_tags: &Tags) -> Tags {
    let project_tags = bundle.projects.get(index(project)).map(|project| &project.tags);
    let both = project_tags.into_iter().flat_map(Tags::iter).chain(key_tags.iter());
    both.collect()
}

fn load_configs(configs: &mut [Config]) -> Vec<LoadedConfig> {
    // One batch for all, because the rule compiler has to start a thread for each.
    let mut compiled = Rule::compile_all(configs.iter().flat_map(|config| rules_of(&config.strategy))).into_iter();
    let mut loaded = Vec::with_capacity(configs.len());
    for config in configs {
        let label: Arc<str> = Arc::from(format!("@{}", config.slug));
        let ready = |(&(condition, kind), compiled): (&(&str, RuleKind), Result<Rule, _>)| {
            compiled.ok().map(|rule| LoadedRule { rule, kind, condition: Arc::from(condition) })
        };
        let of_config = rules_of(&config.strategy);
        // All are taken, so that those of the next config stand first.
        let ready: Vec<Option<LoadedRule>> = of_config.iter().zip(compiled.by_ref().take(of_config.len())).map(ready).collect();
        let rules: Option<Vec<LoadedRule>> = ready.into_iter().collect();
        if rules.is_none() {
            config.strategy = Strategy::NotUnderstood;
        }
        loaded.push(LoadedConfig { label, rules: rules.unwrap_or_default() });
    }
    loaded
}

/// The expressions of a config, in the order in which they are asked.
fn rules_of(strategy: &Strategy) -> Vec<(&str, RuleKind)> {
    match strategy {
        Strategy::CustomRules { rules, .. } => rules.iter().map(|rule| (rule.condition.as_str(), kind_of(&rule.then))).collect(),
        Strategy::Cascade { steps } => {
            steps.iter().filter_map(|step| step.accept.as_deref()).map(|accept| (accept, RuleKind::Accepts)).collect()
        }
        Strategy::Single(_)
        | Strategy::Fallback { .. }
        | Strategy::CostOptimized { .. }
        | Strategy::LatencyOptimized { .. }
        | Strategy::Ensemble { .. }
        | Strategy::AbTest { .. }
        | Strategy::Allowlist { .. }
        | Strategy::NotUnderstood => Vec::new(),
    }
}

fn kind_of(then: &Target) -> RuleKind {
    crate::compile::rule_kind(matches!(then, Target::Deny(_)))
}

/// A SHA-256 in hex as bytes.
pub(super) fn parse_hash(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0_u8; 32];
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (slot, [high, low]) in hash.iter_mut().zip(pairs) {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *slot = digit(*high)?.checked_shl(4)? | digit(*low)?;
    }
    Some(hash)
}
