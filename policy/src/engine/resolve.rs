//! From a target to the models that can serve it.

use std::sync::Arc;

use smallvec::SmallVec;

use super::dimensions::note_dimensions;
use super::parts::{Kept, replace_targets};
use super::patience::note_patience;
use super::{Deciding, Refusal, ensemble, index};
use crate::bundle::v1::{Strategy, Target};
use crate::catalogue;
use crate::decision::{DenialReason, ResolvedTarget, Route, RouteAttempt, TraceStep};
use crate::facts::RequestFacts;
use crate::money::NanoUsd;
use crate::price::TokenBuckets;
use crate::source::{GuardrailMode, Patience, UnpricedModels};

/// More than the compiler allows; a bundle that nests deeper was not made by it.
const MAX_DEPTH: u32 = 10;

impl Deciding<'_> {
    /// Resolves `wanted` and leaves out every target that key, allowlists or missing prices forbid.
    pub(super) fn resolve_permitted(&mut self, wanted: &Target) -> Result<Route, Refusal> {
        let route = match wanted {
            Target::Pass => self.resolve_asked()?,
            other => self.resolve(other, 0)?,
        };
        let route = self.of_one_provider(route)?;
        replace_targets(route, &mut |target| {
            let checked = self.check_target(&target);
            let label = Arc::clone(&target.label);
            if checked.is_ok() && self.guarded(&target).is_some() {
                // One that acts has refused it above.
                let (guardrail, outcome, target) = ("models".into(), "would_deny".into(), Some(Arc::clone(&label)));
                self.trace.push(TraceStep::Guardrail { guardrail, outcome, findings: Box::default(), target, problem: None });
            }
            self.trace.push(match &checked {
                Ok(()) => TraceStep::Target { target: label, price_version: Arc::clone(&target.price_version) },
                Err((by, _)) => TraceStep::TargetRefused { target: label, by: (*by).into() },
            });
            checked.map(|()| Route::Target(target)).map_err(|(_, refusal)| refusal)
        })
    }

    pub(super) fn check_target(&self, target: &ResolvedTarget) -> Result<(), (&'static str, Refusal)> {
        let engine = self.engine;
        let label = &target.label;
        if let Some(key) = engine.key(self.subject.key)
            && !self.admits(&key.allowed_models, target)
        {
            let what = self.in_words(target);
            let message = format!("key `{}` may not use {what}; its allowed_models are {}", key.name, key.allowed_models.join(", "));
            return Err(("allowed_models", (DenialReason::Policy, message)));
        }
        if self.guarded(target) == Some(GuardrailMode::Enforce) {
            return Err(("guardrail", (DenialReason::Policy, self.guarded_message(&self.in_words(target)))));
        }
        for &list in &self.allowlists {
            let config = engine.bundle.configs.get(index(list));
            if let Some(Strategy::Allowlist { models, .. }) = config.map(|config| &config.strategy)
                && !self.admits(models, target)
            {
                let name = engine.configs.get(index(list)).map(|config| config.label.as_ref()).unwrap_or_default();
                return Err(("allowlist", (DenialReason::Policy, format!("{} is not on allowlist `{name}`", self.in_words(target)))));
            }
        }
        let vendor = engine.provider(target.provider).map(|provider| provider.vendor.as_str()).unwrap_or_default();
        let Some(vendor) = catalogue::find_vendor(vendor) else {
            let message = format!("provider `{}` is of vendor `{vendor}`, which this version can't serve yet", target.provider_name);
            return Err(("vendor", (DenialReason::UnknownModel, message)));
        };
        let blocking = self.blocking.or_else(|| engine.first_blocking(&target.claims));
        if let Some(checked) = self.check_spending(target, blocking) {
            return checked;
        }
        if target.prices.is_none() && (blocking.is_some() || engine.bundle.unpriced_models == UnpricedModels::Deny) {
            let message = format!("no price is known for `{}`, and a budget that blocks applies; declare its price under `models`", label);
            return Err(("price", (DenialReason::Unpriced, message)));
        }
        match blocking.and_then(|budget| self.unbounded(target, vendor, budget)) {
            Some(message) => Err(("bound", (DenialReason::Unbounded, message))),
            None => Ok(()),
        }
    }

    /// Why nothing bounds what this may cost at `target`, which `budget` must not be passed by.
    fn unbounded(&self, target: &ResolvedTarget, vendor: &catalogue::Vendor, budget: &str) -> Option<String> {
        let way_out = format!("let budget `{budget}` not block (`at_cap: warn_only`)");
        let label = &target.label;
        if let Some(tool) = self.request.provider_tool.as_ref().filter(|_| vendor.takes_as_written(self.request.surface)) {
            return Some(format!(
                "tool `{tool}` is run by the provider as often as `{label}` likes, so nothing bounds its cost, and budget `{budget}` blocks; \
                 leave the tool out, or {way_out}"
            ));
        }
        // The simulated provider keeps nothing.
        if let Some(message) = self.unbounded_operation(target, budget) {
            return Some(message);
        }
        let kept = self.request.kept_input.filter(|_| target.input_bound(self.request).is_none() && vendor.name != "simulated")?;
        Some(format!(
            "`{kept}` adds to the prompt what only the provider knows, the context of `{label}` is not known, and budget `{budget}` blocks; \
             declare `context_tokens` of the model under `models`, leave `{kept}` out, or {way_out}"
        ))
    }

    /// What the caller asked for, by the form of its `model` field.
    pub(super) fn resolve_asked(&mut self) -> Result<Route, Refusal> {
        let asked = Arc::clone(&self.request.model);
        if let Some(slug) = asked.strip_prefix('@') {
            let missing = || (DenialReason::UnknownConfig, format!("there is no routing config `@{slug}` for this project"));
            return self.resolve(&Target::Config(self.config_named(slug).ok_or_else(missing)?), 0);
        }
        let target = self.asked_model(&asked)?;
        self.resolve(&target, 0)
    }

    /// The config that the caller means by `@slug`.
    pub(super) fn config_named(&self, slug: &str) -> Option<u32> {
        let slugs = &self.engine.slugs;
        slugs.get(&(Some(self.subject.project), Arc::from(slug))).or_else(|| slugs.get(&(None, Arc::from(slug)))).copied()
    }

    /// `provider/model`, or a bare name where the project lets it be looked up.
    fn asked_model(&self, asked: &str) -> Result<Target, Refusal> {
        let engine = self.engine;
        if asked.is_empty()
            && let Some(passthrough) = &self.request.passthrough
        {
            return self.provider_for(passthrough);
        }
        if let Some((provider, name)) = asked.split_once('/')
            && let Some(&provider) = engine.providers.get(provider)
            && !name.is_empty()
        {
            return Ok(Target::Model { provider, name: Arc::from(name) });
        }
        let lookup = engine.project(self.subject.project).is_some_and(|project| project.auto_resolve_bare_model);
        let named = |name| engine.bare_models.get(name).filter(|_| lookup);
        let served = named(asked).or_else(|| named(catalogue::undated(asked)?));
        match served.and_then(|providers| self.first_usable(providers, asked)) {
            Some(provider) => Ok(Target::Model { provider, name: Arc::from(asked) }),
            None if lookup && self.request.passthrough.is_some() => self.place_for(asked),
            None if asked.contains('/') => {
                Err((DenialReason::UnknownModel, format!("no provider serves `{asked}`; `provider/model` needs a declared provider")))
            }
            None if !lookup => Err((
                DenialReason::UnknownModel,
                format!(
                    "model `{asked}` names no provider, and this project does not look bare names up; write `provider/model` or `@slug`"
                ),
            )),
            None => {
                Err((DenialReason::UnknownModel, format!("no provider is known to serve `{asked}`; write `provider/model` or `@slug`")))
            }
        }
    }

    /// Of several providers of a model the first that the key may use, by name.
    fn first_usable(&self, providers: &[u32], model: &str) -> Option<u32> {
        let key = self.engine.key(self.subject.key)?;
        let usable = |&&provider: &&u32| self.engine.provider(provider).is_some_and(|of| allowed(&key.allowed_models, &of.name, model));
        let mut suited = providers.iter().filter(|provider| self.suits(**provider));
        suited.clone().find(usable).or_else(|| suited.next()).copied()
    }

    pub(super) fn resolve(&mut self, target: &Target, depth: u32) -> Result<Route, Refusal> {
        if depth > MAX_DEPTH {
            return Err((DenialReason::Policy, "the routing configs nest too deep for this worker".to_owned()));
        }
        match target {
            Target::Model { provider, name } => self.resolve_model(*provider, name).map(Route::Target),
            Target::Config(config) => {
                self.note_cache(*config);
                let mut route = self.resolve_config(*config, depth)?;
                let patience = self.engine.bundle.configs.get(index(*config)).map(|config| config.patience).unwrap_or_default();
                if !patience.is_silent() {
                    note_patience(&mut route, patience);
                }
                note_dimensions(&mut route, self.dimensions_of(*config));
                Ok(route)
            }
            Target::Deny(message) => Err((DenialReason::Policy, format!("denied by policy: {message}"))),
            Target::Pass => self.resolve_pass(depth),
        }
    }

    /// `pass` inside a config: what was asked for, unless a config was asked for, which can't mean itself.
    fn resolve_pass(&mut self, depth: u32) -> Result<Route, Refusal> {
        let asked = Arc::clone(&self.request.model);
        if asked.starts_with('@') {
            let message = format!("the routing config says `pass`, but `{asked}` was asked for, which names no model to pass to");
            return Err((DenialReason::Policy, message));
        }
        let target = self.asked_model(&asked)?;
        self.resolve(&target, depth.saturating_add(1))
    }

    fn resolve_config(&mut self, at: u32, depth: u32) -> Result<Route, Refusal> {
        let engine = self.engine;
        let (Some(config), Some(loaded)) = (engine.bundle.configs.get(index(at)), engine.configs.get(index(at))) else {
            return Err((DenialReason::UnknownConfig, "a routing config is not in this bundle".to_owned()));
        };
        let deeper = depth.saturating_add(1);
        let enter = |deciding: &mut Self, strategy: &'static str| {
            let (label, strategy) = (Arc::clone(&loaded.label), strategy.into());
            deciding.trace.push(TraceStep::Config { config: label, version: config.version, strategy });
        };
        match &config.strategy {
            Strategy::Single(target) => {
                enter(self, "single");
                self.resolve(target, deeper)
            }
            Strategy::CustomRules { otherwise, .. } => {
                let then = self.first_rule(at, otherwise);
                self.resolve(&then, deeper)
            }
            Strategy::CostOptimized { tier, candidates } => {
                enter(self, "cost_optimized");
                self.resolve_cheapest(&loaded.label, *tier, candidates)
            }
            Strategy::LatencyOptimized { models } => {
                enter(self, "latency_optimized");
                self.resolve_fastest(config, &loaded.label, models)
            }
            Strategy::Ensemble { aggregation, members, judge, timeout_ms, quorum } => {
                enter(self, "ensemble");
                let plan = ensemble::Plan { aggregation: *aggregation, judge: judge.as_ref(), timeout_ms: *timeout_ms, quorum: *quorum };
                self.resolve_ensemble(&loaded.label, members, &plan, deeper)
            }
            Strategy::Cascade { steps } => {
                enter(self, "cascade");
                self.resolve_cascade(&loaded.label, steps, &loaded.rules, deeper)
            }
            Strategy::AbTest { variants, sticky_by } => {
                enter(self, "ab_test");
                let Some(variant) = self.draw_variant(config, &loaded.label, variants, *sticky_by) else {
                    return Err((DenialReason::Policy, format!("`{}` has no variant for this worker", loaded.label)));
                };
                let mut route = self.resolve(&variant.target, deeper)?;
                note_variant(&mut route, &variant.name);
                Ok(route)
            }
            Strategy::NotUnderstood => {
                enter(self, "not_understood");
                let message = format!("`{}` asks for what this worker does not know; upgrade it, or change the config", loaded.label);
                Err((DenialReason::Policy, message))
            }
            Strategy::Allowlist { models, otherwise } => self.resolve_allowlist(at, models, otherwise, deeper),
            Strategy::Fallback { attempts, retry_on, total_budget_ms } => {
                enter(self, "fallback");
                self.branch();
                let resolved = attempts
                    .iter()
                    .map(|attempt| Ok(RouteAttempt { route: self.resolve(&attempt.target, deeper)?, timeout_ms: attempt.timeout_ms }));
                let attempts = resolved.collect::<Kept<_>>().any()?;
                Ok(Route::Fallback { attempts, retry_on: retry_on.iter().copied().collect(), total_budget_ms: *total_budget_ms })
            }
        }
    }

    /// An allowlist that is not an entry policy: what was asked for, if it is on the list.
    fn resolve_allowlist(&mut self, at: u32, models: &[String], otherwise: &Target, depth: u32) -> Result<Route, Refusal> {
        let passed = self.resolve_pass(depth);
        let on_list = |route: &Route| any_target(route, &mut |target| self.admits(models, target));
        let allowed = passed.as_ref().is_ok_and(on_list);
        let config = self.engine.configs.get(index(at)).map(|config| Arc::clone(&config.label)).unwrap_or_default();
        self.trace.push(TraceStep::Allowlist { config, allowed });
        if allowed { passed } else { self.resolve(otherwise, depth) }
    }

    pub(super) fn resolve_model(&self, provider: u32, name: &Arc<str>) -> Result<ResolvedTarget, Refusal> {
        let engine = self.engine;
        let Some(of) = engine.provider(provider) else {
            return Err((DenialReason::UnknownModel, "a provider is not in this bundle".to_owned()));
        };
        let models = engine.models.get(index(provider));
        let dated = || catalogue::undated(name);
        let known =
            models.and_then(|models| models.get(name).or_else(|| models.get(dated()?)).or_else(|| models.get(catalogue::ANY_MODEL)));
        let position = known.map(|&at| index(at));
        let model = position.and_then(|position| engine.bundle.models.get(position));
        let (prices, price_version) = engine.prices.find(position, self.request.time).unzip();
        Ok(self.passed_through(ResolvedTarget {
            provider,
            provider_name: Arc::clone(&of.name),
            model: Arc::clone(name),
            label: label(&of.name, if name.is_empty() { catalogue::ANY_MODEL } else { name }),
            prices,
            price_version: price_version.unwrap_or_default(),
            context_tokens: model.and_then(|model| model.context_tokens),
            max_output_tokens: model.and_then(|model| model.max_output_tokens),
            claims: engine.budgets.target_claims(provider, &of.name, name),
            variant: None,
            patience: Patience::default(),
            dimensions: None,
        }))
    }

    /// Expected cost of what was asked, for rules; zero where it is not known before rules have run.
    pub(super) fn estimate(&self) -> NanoUsd {
        let asked = self.asked_model(&self.request.model);
        let Ok(Target::Model { provider, name }) = asked else { return NanoUsd::ZERO };
        let Ok(target) = self.resolve_model(provider, &name) else { return NanoUsd::ZERO };
        target.expected_cost(self.request.input_tokens, self.request.max_output_tokens)
    }
}

/// `provider/model`. Made once for each target of a request, by hand: formatting would cost as much as the rule that led there.
fn label(provider: &str, model: &str) -> Arc<str> {
    let mut label = String::with_capacity(provider.len().saturating_add(model.len()).saturating_add(1));
    label.push_str(provider);
    label.push('/');
    label.push_str(model);
    Arc::from(label)
}

impl ResolvedTarget {
    /// Whether both are one model of one provider, whichever way they were found.
    #[must_use]
    pub fn is_same_model(&self, other: &Self) -> bool {
        self.provider == other.provider && self.model == other.model
    }

    /// The most this target can cost for `input` tokens and the output asked for, over `choices` answers; `None` where no price is known.
    #[must_use]
    pub fn worst_case(&self, input: u64, max_output: Option<u64>, choices: u32) -> Option<NanoUsd> {
        let limit = self.output_limit(max_output).saturating_mul(u64::from(choices.max(1)));
        self.prices.as_ref().map(|prices| prices.worst_case(input, limit))
    }

    /// Input tokens of `request` at most: what its own length allows, or the whole context where the provider adds to it. `None` where it
    /// does and the context is not known.
    #[must_use]
    pub fn input_bound(&self, request: &RequestFacts) -> Option<u64> {
        match request.kept_input {
            None => Some(request.input_tokens_bound),
            Some(_) => self.context_tokens.map(|context| request.input_tokens_bound.max(u64::from(context))),
        }
    }

    /// What it will likely cost, with nothing read from a cache and all the output that may come; zero where no price is known.
    #[must_use]
    pub fn expected_cost(&self, input: u64, max_output: Option<u64>) -> NanoUsd {
        let tokens = TokenBuckets { input, output: self.output_limit(max_output), ..TokenBuckets::default() };
        self.prices.as_ref().map_or(NanoUsd::ZERO, |prices| prices.cost(&tokens))
    }

    /// Output tokens of one answer at most: what was asked, the model's limit, or 16,384 where neither is known.
    #[must_use]
    pub fn output_limit(&self, max_output: Option<u64>) -> u64 {
        match (max_output, self.max_output_tokens.map(u64::from)) {
            (Some(asked), Some(model)) => asked.min(model),
            (Some(asked), None) => asked,
            (None, Some(model)) => model,
            (None, None) => 16_384,
        }
    }
}

/// Says of every target that a variant leads to it.
fn note_variant(route: &mut Route, name: &Arc<str>) {
    match route {
        Route::Target(target) => {
            let inner = target.variant.take();
            target.variant = Some(inner.map_or_else(|| Arc::clone(name), |inner| Arc::from(format!("{name}/{inner}"))));
        }
        Route::Fallback { attempts, .. } => attempts.iter_mut().for_each(|attempt| note_variant(&mut attempt.route, name)),
        Route::Ensemble(ensemble) => ensemble.members.iter_mut().for_each(|member| note_variant(&mut member.route, name)),
        Route::Cascade(cascade) => cascade.steps.iter_mut().for_each(|step| note_variant(&mut step.route, name)),
    }
}

/// Whether any target of `route` satisfies `wanted`.
pub(super) fn any_target(route: &Route, wanted: &mut dyn FnMut(&ResolvedTarget) -> bool) -> bool {
    match route {
        Route::Target(target) => wanted(target),
        Route::Fallback { attempts, .. } => attempts.iter().any(|attempt| any_target(&attempt.route, wanted)),
        Route::Ensemble(ensemble) => ensemble.members.iter().any(|member| any_target(&member.route, wanted)),
        Route::Cascade(cascade) => cascade.steps.iter().any(|step| any_target(&step.route, wanted)),
    }
}

/// Whether any pattern matches.
pub(super) fn allowed(patterns: &[String], provider: &str, model: &str) -> bool {
    patterns.iter().any(|pattern| pattern_matches(pattern, provider, model))
}

/// Whether a pattern that matches any model of `provider` can be among these.
pub(super) fn reaches(patterns: &[String], provider: &str) -> bool {
    patterns.iter().any(|pattern| pattern.split_once('/').is_none_or(|(of, _)| glob(of, provider)))
}

/// A pattern with a `/` is about `provider/model`, one without about the model's name; `*` stands for any characters.
pub(crate) fn pattern_matches(pattern: &str, provider: &str, model: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        Some((provider_pattern, model_pattern)) if glob(provider_pattern, provider) && glob(model_pattern, model) => true,
        // A bare model name may itself hold a slash (`meta/llama`).
        _ => glob(pattern, model),
    }
}

/// `*` matches any run of characters; linear in pattern and text, because it only ever goes back to the last star.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts: SmallVec<[&str; 4]> = pattern.split('*').collect();
    let Some(last) = parts.pop() else { return false };
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { return last == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_models_with_and_without_provider() {
        for (pattern, matches) in [
            ("*", true),
            ("gpt-4o-mini", true),
            ("gpt-*", true),
            ("*mini", true),
            ("g*o*i", true),
            ("openai/*", true),
            ("openai/gpt-4o-mini", true),
            ("open*/gpt-4o*", true),
            ("azure/*", false),
            ("gpt-4o", false),
            ("claude-*", false),
            ("", false),
            ("gpt-4o-mini*x", false),
        ] {
            assert_eq!(pattern_matches(pattern, "openai", "gpt-4o-mini"), matches, "{pattern}");
        }
        assert!(pattern_matches("meta/llama-*", "openrouter", "meta/llama-3"));
    }
}
