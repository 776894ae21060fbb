//! Routing configs as operators write them: a strategy with its members, and targets that name where to go.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Where a rule or an attempt leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `@slug`: another routing config.
    Config(String),
    /// `provider/model` or a bare model name.
    Model(String),
    /// Serve what was asked for.
    Pass,
    /// Refuse with this message.
    Deny(String),
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Config(slug) => serializer.collect_str(&format_args!("@{slug}")),
            Self::Model(model) => serializer.serialize_str(model),
            Self::Pass => serializer.serialize_str("pass"),
            Self::Deny(message) => serializer.collect_map([("deny", message)]),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TargetVisitor;
        impl<'de> serde::de::Visitor<'de> for TargetVisitor {
            type Value = Target;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`\"@slug\"`, `\"provider/model\"`, `\"pass\"` or `{\"deny\": \"message\"}`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Target, E> {
                match (text, text.strip_prefix('@')) {
                    ("pass", _) => Ok(Target::Pass),
                    (_, Some("")) | ("", _) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                    (_, Some(slug)) => Ok(Target::Config(slug.to_owned())),
                    (model, None) => Ok(Target::Model(model.to_owned())),
                }
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Target, A::Error> {
                use serde::de::Error;
                let Some((name, message)) = map.next_entry::<String, String>()? else {
                    return Err(A::Error::custom("an empty target; write `{\"deny\": \"message\"}`"));
                };
                if name != "deny" {
                    return Err(A::Error::unknown_field(&name, &["deny"]));
                }
                if let Some(more) = map.next_key::<String>()? {
                    return Err(A::Error::unknown_field(&more, &["deny"]));
                }
                Ok(Target::Deny(message))
            }
        }
        deserializer.deserialize_any(TargetVisitor)
    }
}

/// One line of a `custom_rules` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutingRule {
    /// `{"if": "<expression>", "then": <target>}`
    If {
        /// CEL, must give a bool.
        condition: String,
        /// Where to go when it holds.
        then: Target,
    },
    /// `{"else": <target>}`, always last.
    Else(Target),
}

impl Serialize for RoutingRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::If { condition, then } => {
                map.serialize_entry("if", condition)?;
                map.serialize_entry("then", then)?;
            }
            Self::Else(target) => map.serialize_entry("else", target)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RoutingRule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            #[serde(rename = "if")]
            condition: Option<String>,
            then: Option<Target>,
            #[serde(rename = "else")]
            otherwise: Option<Target>,
        }
        match Wire::deserialize(deserializer)? {
            Wire { condition: Some(condition), then: Some(then), otherwise: None } => Ok(Self::If { condition, then }),
            Wire { condition: None, then: None, otherwise: Some(target) } => Ok(Self::Else(target)),
            _ => Err(D::Error::custom("a rule is either `if` with `then`, or `else` alone")),
        }
    }
}

/// A condition on which the next attempt is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryOn {
    /// The provider answered 429.
    #[serde(rename = "429")]
    TooManyRequests,
    /// The provider answered 500 to 599.
    #[serde(rename = "5xx")]
    ServerError,
    /// No answer within the attempt's time.
    #[serde(rename = "timeout")]
    Timeout,
    /// The connection could not be made or broke before an answer.
    #[serde(rename = "connect")]
    Connect,
}

impl RetryOn {
    /// What applies where `retry_on` is left out: all of them.
    pub const ALL: [Self; 4] = [Self::TooManyRequests, Self::ServerError, Self::Timeout, Self::Connect];
}

/// One attempt of a `fallback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// A model or `@slug`.
    pub model: Target,
    /// Milliseconds until the response head must be there; default: the worker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// The response cache of a config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSettings {
    /// `exact`.
    pub mode: String,
    /// Seconds an answer is kept.
    pub ttl_seconds: u64,
    /// Whether sampled (temperature above 0) answers are kept too.
    #[serde(default)]
    pub include_sampled: bool,
}

/// How a config finds its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// One model.
    Single {
        /// Where to go.
        model: Target,
    },
    /// One after the other until one answers.
    Fallback {
        /// In order; at least one.
        attempts: Vec<Attempt>,
        /// When to go on; all conditions where left out.
        retry_on: Option<Vec<RetryOn>>,
        /// Milliseconds for all attempts together.
        total_budget_ms: Option<u64>,
    },
    /// The first rule that holds.
    CustomRules {
        /// In order, the last one an `else`.
        rules: Vec<RoutingRule>,
    },
    /// What is on the list is served, the rest goes elsewhere.
    Allowlist {
        /// Patterns with `*`.
        models: Vec<String>,
        /// Where what is not on the list goes.
        otherwise: Target,
    },
}

impl Strategy {
    /// The `strategy` word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Single { .. } => "single",
            Self::Fallback { .. } => "fallback",
            Self::CustomRules { .. } => "custom_rules",
            Self::Allowlist { .. } => "allowlist",
        }
    }
}

/// The whole document of a routing config, as stored in a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingDocument {
    /// How a target is found.
    pub strategy: Strategy,
    /// Response cache, where wanted.
    pub cache: Option<CacheSettings>,
    /// Dimensions asked of embedding models.
    pub embedding_dimensions: Option<u32>,
}

/// The flat form on the wire: `strategy` decides which of the other fields may be there.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
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
    rules: Option<Vec<RoutingRule>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    otherwise: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache: Option<CacheSettings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embedding_dimensions: Option<u32>,
}

impl From<&RoutingDocument> for Flat {
    fn from(document: &RoutingDocument) -> Self {
        let RoutingDocument { strategy, cache, embedding_dimensions } = document;
        let common = Self {
            strategy: strategy.name().to_owned(),
            cache: cache.clone(),
            embedding_dimensions: *embedding_dimensions,
            ..Self::default()
        };
        match strategy.clone() {
            Strategy::Single { model } => Self { model: Some(model), ..common },
            Strategy::Fallback { attempts, retry_on, total_budget_ms } => {
                Self { attempts: Some(attempts), retry_on, total_budget_ms, ..common }
            }
            Strategy::CustomRules { rules } => Self { rules: Some(rules), ..common },
            Strategy::Allowlist { models, otherwise } => Self { models: Some(models), otherwise: Some(otherwise), ..common },
        }
    }
}

impl Flat {
    /// The fields present besides the common ones, to refuse those that the strategy does not have.
    fn present(&self) -> IndexMap<&'static str, bool> {
        IndexMap::from([
            ("model", self.model.is_some()),
            ("attempts", self.attempts.is_some()),
            ("retry_on", self.retry_on.is_some()),
            ("total_budget_ms", self.total_budget_ms.is_some()),
            ("rules", self.rules.is_some()),
            ("models", self.models.is_some()),
            ("otherwise", self.otherwise.is_some()),
        ])
    }

    fn refuse_strangers(&self, own: &[&str]) -> Result<(), String> {
        match self.present().into_iter().find(|(name, present)| *present && !own.contains(name)) {
            Some((name, _)) => Err(format!("`{name}` does not belong to strategy `{}`, which takes {}", self.strategy, own.join(", "))),
            None => Ok(()),
        }
    }

    fn into_document(self) -> Result<RoutingDocument, String> {
        fn need<T>(value: Option<T>, strategy: &str, field: &str) -> Result<T, String> {
            value.ok_or_else(|| format!("strategy `{strategy}` needs `{field}`"))
        }
        let own: &[&str] = match self.strategy.as_str() {
            "single" => &["model"],
            "fallback" => &["attempts", "retry_on", "total_budget_ms"],
            "custom_rules" => &["rules"],
            "allowlist" => &["models", "otherwise"],
            other => return Err(format!("unknown strategy `{other}`; known are single, fallback, custom_rules, allowlist")),
        };
        self.refuse_strangers(own)?;
        let name = self.strategy;
        let strategy = match name.as_str() {
            "single" => Strategy::Single { model: need(self.model, &name, "model")? },
            "fallback" => Strategy::Fallback {
                attempts: need(self.attempts, &name, "attempts")?,
                retry_on: self.retry_on,
                total_budget_ms: self.total_budget_ms,
            },
            "custom_rules" => Strategy::CustomRules { rules: need(self.rules, &name, "rules")? },
            _ => Strategy::Allowlist { models: need(self.models, &name, "models")?, otherwise: need(self.otherwise, &name, "otherwise")? },
        };
        Ok(RoutingDocument { strategy, cache: self.cache, embedding_dimensions: self.embedding_dimensions })
    }
}

impl Serialize for RoutingDocument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Flat::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RoutingDocument {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Flat::deserialize(deserializer)?.into_document().map_err(serde::de::Error::custom)
    }
}
