//! Strategies that select among models: what may be selected is settled here, so that a worker only has to put it in order.
//!
//! A set that can only be empty is refused with the reason, because a config that no request can use is a mistake of its author's.

use std::collections::HashSet;
use std::sync::Arc;

use super::routing::Place;
use crate::bundle::v1;
use crate::catalogue;
use crate::engine::pattern_matches;
use crate::source::{StickyBy, Tier, Variant};

const MAX_MODELS: usize = 64;
const MAX_VARIANTS: usize = 16;
const MAX_WEIGHT: u32 = 1_000_000;
const MAX_NAME: usize = 64;

impl Place<'_, '_> {
    /// Every priced model of exactly this tier that the patterns name.
    pub(super) fn cost_optimized(&mut self, tier: Tier, patterns: Option<&[String]>) -> v1::Strategy {
        if let Some(patterns) = patterns {
            self.check_patterns("allowed_models", patterns);
        }
        let is_of_tier = |model: &v1::Model| model.tier == Some(tier) && is_one_model(model) && self.is_there(model);
        let of_tier: Vec<_> = (0_u32..).zip(self.offers.models).filter(|(_, model)| is_of_tier(model)).collect();
        let usable: Vec<_> = of_tier.iter().filter(|(_, model)| model.rates.is_some()).collect();
        let named = |model: &v1::Model| {
            let provider = self.provider_of(model).map(|provider| provider.name.as_ref()).unwrap_or_default();
            patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern_matches(pattern, provider, &model.name)))
        };
        let candidates: Vec<u32> = usable.iter().filter(|(_, model)| named(model)).map(|(at, _)| *at).collect();
        if candidates.is_empty() {
            let word = tier.as_str();
            if of_tier.is_empty() {
                let message =
                    format!("no model is of tier `{word}`; declare a provider that has some, or set `quality_tier` under `models`");
                self.reject("quality_tier", message);
            } else if usable.is_empty() {
                let message = format!("no model of tier `{word}` has a price; the tier has {}", self.names(&of_tier));
                self.reject("quality_tier", message);
            } else {
                let usable: Vec<_> = usable.iter().map(|(at, model)| (*at, *model)).collect();
                self.reject("allowed_models", format!("names no priced model of tier `{word}`; the tier has {}", self.names(&usable)));
            }
        }
        v1::Strategy::CostOptimized { tier, candidates }
    }

    fn provider_of(&self, model: &v1::Model) -> Option<&v1::Provider> {
        usize::try_from(model.provider).ok().and_then(|at| self.offers.providers.get(at))
    }

    fn vendor_of(&self, model: &v1::Model) -> Option<&'static catalogue::Vendor> {
        self.provider_of(model).and_then(|provider| catalogue::find_vendor(&provider.vendor))
    }

    /// Where customers name the models, the catalogue can't know which there are: what is declared is.
    fn is_there(&self, model: &v1::Model) -> bool {
        let declared = || self.index.declared_models.contains(&(model.provider, model.name.as_ref()));
        !self.vendor_of(model).is_some_and(|vendor| vendor.named_by_customers) || declared()
    }

    /// The first few, for a message.
    fn names(&self, models: &[(u32, &v1::Model)]) -> String {
        let name = |(_, model): &(u32, &v1::Model)| {
            let provider = self.provider_of(model).map(|provider| provider.name.as_ref()).unwrap_or_default();
            format!("`{provider}/{}`", model.name)
        };
        let shown: Vec<_> = models.iter().take(5).map(name).collect();
        match models.len().saturating_sub(shown.len()) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    pub(super) fn latency_optimized(&mut self, models: &[String]) -> v1::Strategy {
        if models.is_empty() || models.len() > MAX_MODELS {
            self.reject("models", format!("1 to {MAX_MODELS} models to choose from"));
        }
        let mut compiled = Vec::with_capacity(models.len());
        for (position, model) in models.iter().enumerate() {
            let field = format!("models[{position}]");
            if model.starts_with('@') || model.contains('*') {
                self.reject(field, "latency is measured by model; write `provider/model`, neither a config nor a pattern");
                continue;
            }
            let target = self.model(model, &field);
            if matches!(target, v1::Target::Model { .. }) && compiled.contains(&target) {
                self.reject(field, format!("`{model}` is there twice"));
            }
            compiled.push(target);
        }
        v1::Strategy::LatencyOptimized { models: compiled }
    }

    pub(super) fn ab_test(&mut self, variants: &[Variant], sticky_by: Option<StickyBy>) -> v1::Strategy {
        if variants.is_empty() || variants.len() > MAX_VARIANTS {
            self.reject("variants", format!("a test has 1 to {MAX_VARIANTS} variants"));
        }
        let mut names = HashSet::new();
        let mut compiled = Vec::with_capacity(variants.len());
        for (position, Variant { name, weight, config }) in variants.iter().enumerate() {
            let field = |member: &str| format!("variants[{position}].{member}");
            if !is_variant_name(name) {
                let message = format!("`{name}` can't be a name, which is 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`");
                self.reject(field("name"), message);
            } else if !names.insert(name.as_str()) {
                self.reject(field("name"), format!("variant `{name}` is there twice"));
            }
            if !(1..=MAX_WEIGHT).contains(weight) {
                self.reject(field("weight"), format!("must be 1 to {MAX_WEIGHT}; to end a variant, leave it out"));
            }
            let target = self.route_target(config, &field("config"));
            compiled.push(v1::Variant { name: Arc::from(name.as_str()), weight: *weight, target });
        }
        v1::Strategy::AbTest { variants: compiled, sticky_by: sticky_by.unwrap_or(StickyBy::None) }
    }
}

/// Not the line of the catalogue that stands for all models of a vendor, nor a pattern of the organization's.
fn is_one_model(model: &v1::Model) -> bool {
    !model.name.ends_with(catalogue::ANY_MODEL)
}

/// A name goes into a response header and, joined with `/`, into paths of nested tests.
fn is_variant_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}
