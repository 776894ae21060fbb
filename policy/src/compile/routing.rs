//! Routing configs: targets resolved, rules checked.

use std::sync::Arc;

use super::ensemble::Decision;
use super::{Index, Rejections, references};
use crate::bundle::v1;
use crate::rule::{Rule, RuleKind};
use crate::source::{Attempt, CacheSettings, Organization, Patience, RetryOn, RoutingConfigRecord, RoutingRule, Strategy, Target};

const MAX_RULES: usize = 200;
const MAX_ATTEMPTS: usize = 16;
const MAX_PATTERNS: usize = 1_000;
/// Ten minutes; longer than any provider keeps a request.
const MAX_TIMEOUT_MS: u64 = 600_000;
/// A week; who wants answers for longer than that should keep them.
const MAX_TTL_SECONDS: u32 = 604_800;
/// Sixteen times what any model gives; a number above it is a slip.
const MAX_DIMENSIONS: u32 = 65_536;

/// Compiles all configs, the organization's first, then each project's, in the order in which they were indexed.
pub(super) fn compile_configs(
    organization: &Organization,
    index: &Index<'_>,
    offers: Offers<'_>,
    rejections: &mut Rejections,
) -> Vec<v1::Config> {
    let shared = organization.routing_configs.iter().map(|record| (None, record));
    let own = (0_u32..)
        .zip(&organization.projects)
        .flat_map(|(project, record)| record.routing_configs.iter().map(move |config| (Some(project), config)));
    let compile = |(project, record): (_, &RoutingConfigRecord)| {
        let place = Place { slug: &record.config.slug, project, index, offers, rejections: &mut *rejections };
        compile_config(place, record)
    };
    shared.chain(own).map(compile).collect()
}

/// What the organization's providers offer, as compiled.
#[derive(Clone, Copy)]
pub(super) struct Offers<'a> {
    pub providers: &'a [v1::Provider],
    pub models: &'a [v1::Model],
}

/// One config being compiled: where it stands, and where mistakes go.
pub(super) struct Place<'a, 'b> {
    slug: &'a str,
    project: Option<u32>,
    pub(super) index: &'a Index<'a>,
    pub(super) offers: Offers<'a>,
    rejections: &'b mut Rejections,
}

impl Place<'_, '_> {
    pub(super) fn reject(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.rejections.add("routing_config", self.slug, field, message);
    }
}

fn compile_config(mut place: Place<'_, '_>, record: &RoutingConfigRecord) -> v1::Config {
    let document = &record.config.document;
    let cache = document.cache.map(|cache| place.cache(cache));
    if document.embedding_dimensions.is_some_and(|number| !(1..=MAX_DIMENSIONS).contains(&number)) {
        place.reject("embedding_dimensions", format!("must be 1 to {MAX_DIMENSIONS}"));
    }
    place.check_patience(&document.patience);
    let strategy = match &document.strategy {
        Strategy::Single { model } => v1::Strategy::Single(place.route_target(model, "model")),
        Strategy::Fallback { attempts, retry_on, total_budget_ms } => place.fallback(attempts, retry_on.as_deref(), *total_budget_ms),
        Strategy::CostOptimized { quality_tier, allowed_models } => place.cost_optimized(*quality_tier, allowed_models.as_deref()),
        Strategy::LatencyOptimized { models } => place.latency_optimized(models),
        Strategy::Ensemble { aggregation, members, judge, timeout_ms, quorum } => {
            let decision = Decision { aggregation: *aggregation, judge: judge.as_ref(), timeout_ms: *timeout_ms, quorum: *quorum };
            place.ensemble(members, &decision)
        }
        Strategy::Cascade { steps } => place.cascade(steps),
        Strategy::AbTest { variants, sticky_by } => place.ab_test(variants, *sticky_by),
        Strategy::CustomRules { rules } => place.custom_rules(rules),
        Strategy::Allowlist { models, otherwise } => place.allowlist(models, otherwise),
    };
    v1::Config {
        id: record.id.clone(),
        slug: Arc::from(record.config.slug.as_str()),
        project: place.project,
        version: record.version,
        patience: document.patience,
        cache,
        embedding_dimensions: document.embedding_dimensions,
        strategy,
    }
}

impl Place<'_, '_> {
    fn cache(&mut self, settings: CacheSettings) -> v1::Cache {
        let CacheSettings { mode, ttl_seconds, include_sampled } = settings;
        if !(1..=MAX_TTL_SECONDS).contains(&ttl_seconds) {
            self.reject("cache.ttl_seconds", format!("must be 1 to {MAX_TTL_SECONDS} seconds"));
        }
        v1::Cache { mode, ttl_seconds, include_sampled }
    }

    fn fallback(&mut self, attempts: &[Attempt], retry_on: Option<&[RetryOn]>, total_budget_ms: Option<u64>) -> v1::Strategy {
        if attempts.is_empty() || attempts.len() > MAX_ATTEMPTS {
            self.reject("attempts", format!("a fallback has 1 to {MAX_ATTEMPTS} attempts"));
        }
        self.check_time("total_budget_ms", total_budget_ms);
        let mut compiled = Vec::with_capacity(attempts.len());
        for (position, attempt) in attempts.iter().enumerate() {
            self.check_time(&format!("attempts[{position}].timeout_ms"), attempt.timeout_ms);
            let target = self.route_target(&attempt.model, &format!("attempts[{position}].model"));
            compiled.push(v1::Attempt { target, timeout_ms: attempt.timeout_ms });
        }
        v1::Strategy::Fallback { attempts: compiled, retry_on: retry_on.unwrap_or(&RetryOn::ALL).to_vec(), total_budget_ms }
    }

    fn check_patience(&mut self, patience: &Patience) {
        let Patience { first_byte_timeout_ms, idle_timeout_ms, hedge_after_ms, on_disconnect: _ } = *patience;
        self.check_time("first_byte_timeout_ms", first_byte_timeout_ms.map(u64::from));
        self.check_time("idle_timeout_ms", idle_timeout_ms.map(u64::from));
        self.check_time("hedge_after_ms", hedge_after_ms.map(u64::from));
        if hedge_after_ms.zip(first_byte_timeout_ms).is_some_and(|(hedge, limit)| hedge >= limit) {
            self.reject("hedge_after_ms", "must be less than `first_byte_timeout_ms`, or nobody is ever asked as well");
        }
    }

    pub(super) fn check_time(&mut self, field: &str, milliseconds: Option<u64>) {
        if milliseconds.is_some_and(|milliseconds| !(1..=MAX_TIMEOUT_MS).contains(&milliseconds)) {
            self.reject(field, format!("must be 1 to {MAX_TIMEOUT_MS} milliseconds"));
        }
    }

    fn custom_rules(&mut self, rules: &[RoutingRule]) -> v1::Strategy {
        if rules.len() > MAX_RULES {
            self.reject("rules", format!("at most {MAX_RULES} rules"));
        }
        let checked = self.check_conditions(rules);
        let mut compiled = Vec::with_capacity(rules.len());
        let mut otherwise = None;
        for (position, rule) in rules.iter().enumerate() {
            if otherwise.is_some() {
                self.reject(format!("rules[{position}]"), "nothing can follow `else`; move it up or remove it");
                break;
            }
            match rule {
                RoutingRule::If { condition, then } => {
                    let then = self.target(then, &format!("rules[{position}].then"));
                    compiled.push(v1::Rule { condition: condition.clone(), then });
                }
                RoutingRule::Else(target) => otherwise = Some(self.target(target, &format!("rules[{position}].else"))),
            }
        }
        if otherwise.is_none() {
            self.reject("rules", "the list needs a last `else`, so that every request has a way");
        }
        for (field, message) in checked {
            self.reject(field, message);
        }
        v1::Strategy::CustomRules { rules: compiled, otherwise: otherwise.unwrap_or(v1::Target::Pass) }
    }

    /// Compiles every expression once to see that it can be; answers field and message of those that can't.
    fn check_conditions(&self, rules: &[RoutingRule]) -> Vec<(String, String)> {
        let conditions: Vec<(usize, &str, RuleKind)> = rules
            .iter()
            .enumerate()
            .filter_map(|(position, rule)| match rule {
                RoutingRule::If { condition, then } => Some((position, condition.as_str(), kind_of(matches!(then, Target::Deny(_))))),
                RoutingRule::Else(_) => None,
            })
            .collect();
        let compiled = Rule::compile_all(conditions.iter().map(|(_, condition, kind)| (*condition, *kind)));
        let mut wrong = Vec::new();
        for ((position, _, _), rule) in conditions.iter().zip(compiled) {
            let field = format!("rules[{position}].if");
            match rule {
                Err(error) => wrong.push((field, error.to_string())),
                Ok(rule) => {
                    let unknown = rule.references().budgets().find(|name| !self.index.budgets.contains_key(name));
                    wrong.extend(unknown.map(|name| (field, format!("there is no budget `{name}`"))));
                }
            }
        }
        wrong
    }

    fn allowlist(&mut self, models: &[String], otherwise: &Target) -> v1::Strategy {
        self.check_patterns("models", models);
        v1::Strategy::Allowlist { models: models.to_vec(), otherwise: self.target(otherwise, "otherwise") }
    }

    pub(super) fn check_patterns(&mut self, field: &str, patterns: &[String]) {
        if patterns.len() > MAX_PATTERNS || patterns.iter().any(|pattern| pattern.is_empty() || pattern.len() > 256) {
            self.reject(field, format!("at most {MAX_PATTERNS} patterns of 1 to 256 bytes"));
        }
    }

    /// A target that must lead to a model.
    pub(super) fn route_target(&mut self, target: &Target, field: &str) -> v1::Target {
        if matches!(target, Target::Pass | Target::Deny(_)) {
            self.reject(field, "must be a model or `@slug`; `pass` and `deny` belong into `custom_rules` and `allowlist`");
        }
        self.target(target, field)
    }

    fn target(&mut self, target: &Target, field: &str) -> v1::Target {
        match target {
            Target::Pass => v1::Target::Pass,
            Target::Deny(message) => v1::Target::Deny(Arc::from(message.as_str())),
            Target::Config(slug) => match references::find_config(slug, self.project, self.index) {
                Some(config) => v1::Target::Config(config),
                None => {
                    self.reject(field, format!("there is no routing config `@{slug}`"));
                    v1::Target::Pass
                }
            },
            Target::Model(model) => self.model(model, field),
        }
    }

    pub(super) fn model(&mut self, model: &str, field: &str) -> v1::Target {
        let resolved = match model.split_once('/') {
            Some((provider, name)) if !name.is_empty() => match self.index.providers.get(provider) {
                Some(&provider) => Ok(v1::Target::Model { provider, name: Arc::from(name) }),
                None => Err(format!("there is no provider `{provider}`")),
            },
            Some(_) => Err(format!("`{model}` names no model; write `provider/model`")),
            None => match self.index.providers_of(model) {
                Some([provider]) => Ok(v1::Target::Model { provider: *provider, name: Arc::from(model) }),
                Some(_) => Err(format!("several providers serve `{model}`; write `provider/model`")),
                None => Err(format!("no provider is known to serve `{model}`; write `provider/model`")),
            },
        };
        resolved.unwrap_or_else(|message| {
            self.reject(field, message);
            v1::Target::Pass
        })
    }
}

/// A rule that denies fails closed.
pub(crate) const fn kind_of(denies: bool) -> RuleKind {
    if denies { RuleKind::Denies } else { RuleKind::Routes }
}
