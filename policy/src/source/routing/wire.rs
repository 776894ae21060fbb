//! A routing document as it is written: one flat object, in which `strategy` decides what else may stand.
//!
//! Flat because people write it that way. Read by hand instead of with a tagged enum, so that a member of another strategy is refused with
//! the ones that this strategy takes, and one that is missing by its name.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::{
    Aggregation, Attempt, CacheSettings, CascadeStep, EnsembleMember, OnDisconnect, Patience, RetryOn, RoutingDocument, RoutingRule,
    StickyBy, Strategy, Target, Variant,
};
use crate::source::{RoutingConfig, Tier};

/// Every strategy with its own members.
const STRATEGIES: [(&str, &[&str]); 9] = [
    ("single", &["model"]),
    ("fallback", &["attempts", "retry_on", "total_budget_ms"]),
    ("cost_optimized", &["quality_tier", "allowed_models"]),
    ("latency_optimized", &["models"]),
    ("ensemble", &["aggregation", "members", "judge", "timeout_ms", "quorum"]),
    ("cascade", &["steps"]),
    ("ab_test", &["variants", "sticky_by"]),
    ("custom_rules", &["rules"]),
    ("allowlist", &["models", "otherwise"]),
];

/// The members of all strategies and those that any may have.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    /// Of a config in a manifest, where it stands beside the document's own members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
    strategy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<Attempt>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_on: Option<Vec<RetryOn>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_budget_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quality_tier: Option<Tier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allowed_models: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aggregation: Option<Aggregation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<Vec<EnsembleMember>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    judge: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quorum: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<CascadeStep>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<Variant>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sticky_by: Option<StickyBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<RoutingRule>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    otherwise: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_byte_timeout_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle_timeout_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hedge_after_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_disconnect: Option<OnDisconnect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache: Option<CacheSettings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embedding_dimensions: Option<u32>,
}

impl From<&RoutingDocument> for Flat {
    fn from(document: &RoutingDocument) -> Self {
        let RoutingDocument { strategy, patience, cache, embedding_dimensions } = document;
        let Patience { first_byte_timeout_ms, idle_timeout_ms, hedge_after_ms, on_disconnect } = *patience;
        let common = Self {
            strategy: strategy.name().to_owned(),
            first_byte_timeout_ms,
            idle_timeout_ms,
            hedge_after_ms,
            on_disconnect,
            cache: *cache,
            embedding_dimensions: *embedding_dimensions,
            ..Self::default()
        };
        match strategy.clone() {
            Strategy::Single { model } => Self { model: Some(model), ..common },
            Strategy::Fallback { attempts, retry_on, total_budget_ms } => {
                Self { attempts: Some(attempts), retry_on, total_budget_ms, ..common }
            }
            Strategy::CostOptimized { quality_tier, allowed_models } => Self { quality_tier: Some(quality_tier), allowed_models, ..common },
            Strategy::LatencyOptimized { models } => Self { models: Some(models), ..common },
            Strategy::Ensemble { aggregation, members, judge, timeout_ms, quorum } => {
                Self { aggregation: Some(aggregation), members: Some(members), judge, timeout_ms, quorum, ..common }
            }
            Strategy::Cascade { steps } => Self { steps: Some(steps), ..common },
            Strategy::AbTest { variants, sticky_by } => Self { variants: Some(variants), sticky_by, ..common },
            Strategy::CustomRules { rules } => Self { rules: Some(rules), ..common },
            Strategy::Allowlist { models, otherwise } => Self { models: Some(models), otherwise: Some(otherwise), ..common },
        }
    }
}

impl Flat {
    /// The first member present that is not among `own`.
    fn stranger(&self, own: &[&str]) -> Option<&'static str> {
        let present = [
            ("model", self.model.is_some()),
            ("attempts", self.attempts.is_some()),
            ("retry_on", self.retry_on.is_some()),
            ("total_budget_ms", self.total_budget_ms.is_some()),
            ("quality_tier", self.quality_tier.is_some()),
            ("allowed_models", self.allowed_models.is_some()),
            ("aggregation", self.aggregation.is_some()),
            ("members", self.members.is_some()),
            ("judge", self.judge.is_some()),
            ("timeout_ms", self.timeout_ms.is_some()),
            ("quorum", self.quorum.is_some()),
            ("steps", self.steps.is_some()),
            ("variants", self.variants.is_some()),
            ("sticky_by", self.sticky_by.is_some()),
            ("rules", self.rules.is_some()),
            ("models", self.models.is_some()),
            ("otherwise", self.otherwise.is_some()),
        ];
        present.into_iter().find(|(name, present)| *present && !own.contains(name)).map(|(name, _)| name)
    }

    fn into_document(self) -> Result<RoutingDocument, String> {
        let Some((name, own)) = STRATEGIES.into_iter().find(|(name, _)| *name == self.strategy) else {
            let known: Vec<_> = STRATEGIES.iter().map(|(name, _)| *name).collect();
            return Err(format!("unknown strategy `{}`; known are {}", self.strategy, known.join(", ")));
        };
        if self.slug.is_some() {
            return Err("`slug` is not part of a document".to_owned());
        }
        if let Some(stranger) = self.stranger(own) {
            return Err(format!("`{stranger}` does not belong to strategy `{name}`, which takes {}", own.join(", ")));
        }
        let (cache, embedding_dimensions) = (self.cache, self.embedding_dimensions);
        let Self { first_byte_timeout_ms, idle_timeout_ms, hedge_after_ms, on_disconnect, .. } = self;
        let patience = Patience { first_byte_timeout_ms, idle_timeout_ms, hedge_after_ms, on_disconnect };
        Ok(RoutingDocument { strategy: self.into_strategy(name)?, patience, cache, embedding_dimensions })
    }

    fn into_strategy(self, name: &str) -> Result<Strategy, String> {
        fn need<T>(value: Option<T>, strategy: &str, member: &str) -> Result<T, String> {
            value.ok_or_else(|| format!("strategy `{strategy}` needs `{member}`"))
        }
        Ok(match name {
            "single" => Strategy::Single { model: need(self.model, name, "model")? },
            "fallback" => Strategy::Fallback {
                attempts: need(self.attempts, name, "attempts")?,
                retry_on: self.retry_on,
                total_budget_ms: self.total_budget_ms,
            },
            "cost_optimized" => Strategy::CostOptimized {
                quality_tier: need(self.quality_tier, name, "quality_tier")?,
                allowed_models: self.allowed_models,
            },
            "latency_optimized" => Strategy::LatencyOptimized { models: need(self.models, name, "models")? },
            "ensemble" => Strategy::Ensemble {
                aggregation: need(self.aggregation, name, "aggregation")?,
                members: need(self.members, name, "members")?,
                judge: self.judge,
                timeout_ms: self.timeout_ms,
                quorum: self.quorum,
            },
            "cascade" => Strategy::Cascade { steps: need(self.steps, name, "steps")? },
            "ab_test" => Strategy::AbTest { variants: need(self.variants, name, "variants")?, sticky_by: self.sticky_by },
            "custom_rules" => Strategy::CustomRules { rules: need(self.rules, name, "rules")? },
            _ => Strategy::Allowlist { models: need(self.models, name, "models")?, otherwise: need(self.otherwise, name, "otherwise")? },
        })
    }
}

impl Serialize for RoutingConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Flat { slug: Some(self.slug.clone()), ..Flat::from(&self.document) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RoutingConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = Flat::deserialize(deserializer)?;
        let slug = flat.slug.take().ok_or_else(|| D::Error::missing_field("slug"))?;
        let document = flat.into_document().map_err(|problem| D::Error::custom(format!("routing config `{slug}`: {problem}")))?;
        Ok(Self { slug, document })
    }
}

impl Serialize for RoutingDocument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Flat::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RoutingDocument {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Flat::deserialize(deserializer)?.into_document().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(document: Value) -> Result<RoutingDocument, String> {
        serde_json::from_value(document).map_err(|error: serde_json::Error| error.to_string())
    }

    /// what was written is what is shown again.
    #[test]
    fn every_strategy_is_written_as_it_was_read() {
        for document in [
            json!({"strategy": "single", "model": "openai/gpt-4o"}),
            json!({"strategy": "fallback", "attempts": [{"model": "@a", "timeout_ms": 5}], "retry_on": ["429", "5xx"], "total_budget_ms": 9}),
            json!({"strategy": "single", "model": "x/y", "first_byte_timeout_ms": 9, "idle_timeout_ms": 5, "on_disconnect": "drain"}),
            json!({"strategy": "single", "model": "x/y", "cache": {"mode": "exact", "ttl_seconds": 300, "include_sampled": false}}),
            json!({"strategy": "fallback", "attempts": [{"model": "x/y"}], "hedge_after_ms": 400}),
            json!({"strategy": "single", "model": "x/y", "embedding_dimensions": 512}),
            json!({"strategy": "cost_optimized", "quality_tier": "standard"}),
            json!({"strategy": "cost_optimized", "quality_tier": "premium", "allowed_models": ["openai/*"]}),
            json!({"strategy": "latency_optimized", "models": ["openai/gpt-4o", "gpt-5"]}),
            json!({"strategy": "ab_test", "variants": [{"name": "a", "weight": 80, "config": "@a"}, {"name": "b", "weight": 20, "config": "x/y"}],
                "sticky_by": "conversation"}),
            json!({"strategy": "ab_test", "variants": [{"name": "a", "weight": 1, "config": "@a"}]}),
            json!({"strategy": "ensemble", "aggregation": "llm_judge", "members": [{"model": "@a", "weight": 0.5}, {"model": "x/y"}],
                "judge": "x/z", "timeout_ms": 5000, "quorum": 2}),
            json!({"strategy": "cascade", "steps": [{"model": "@a", "accept": "!response.refused"}, {"model": "x/y"}]}),
            json!({"strategy": "custom_rules", "rules": [{"if": "true", "then": "pass"}, {"else": {"deny": "no"}}]}),
            json!({"strategy": "allowlist", "models": ["claude-*"], "otherwise": "@a"}),
        ] {
            let read = read(document.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), document);
        }
    }

    #[test]
    fn what_does_not_belong_or_is_missing_is_named() {
        for (document, expected) in [
            (
                json!({"strategy": "nope"}),
                "unknown strategy `nope`; known are single, fallback, cost_optimized, latency_optimized, ensemble, cascade, ab_test",
            ),
            (
                json!({"strategy": "single", "model": "x/y", "cache": {"mode": "semantic", "ttl_seconds": 5}}),
                "unknown variant `semantic`, expected `exact`",
            ),
            (json!({"strategy": "single", "model": "x/y", "cache": {"mode": "exact"}}), "missing field `ttl_seconds`"),
            (json!({"strategy": "cost_optimized"}), "strategy `cost_optimized` needs `quality_tier`"),
            (json!({"strategy": "cost_optimized", "quality_tier": "best"}), "unknown variant `best`, expected one of `economy`"),
            (
                json!({"strategy": "cost_optimized", "quality_tier": "economy", "models": ["x"]}),
                "`models` does not belong to strategy `cost_optimized`, which takes quality_tier, allowed_models",
            ),
            (json!({"strategy": "latency_optimized"}), "needs `models`"),
            (json!({"strategy": "latency_optimized", "models": [], "otherwise": "x/y"}), "`otherwise` does not belong"),
            (json!({"strategy": "ab_test"}), "needs `variants`"),
            (json!({"strategy": "ab_test", "variants": [], "sticky_by": "key"}), "unknown variant `key`, expected one of `end_user`"),
            (json!({"strategy": "ab_test", "variants": [{"name": "a", "weight": 1}]}), "missing field `config`"),
            (json!({"strategy": "ab_test", "variants": [{"name": "a", "weight": -1, "config": "@a"}]}), "expected u32"),
            (json!({"strategy": "ab_test", "variants": [{"name": "a", "weight": 1, "config": "@a", "share": 1}]}), "unknown field `share`"),
        ] {
            let error = read(document.clone()).unwrap_err();
            assert!(error.contains(expected), "{document}: {error}");
        }
    }
}
