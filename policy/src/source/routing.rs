//! Routing configs as operators write them: a strategy with its members, and targets that name where to go.

mod patience;
mod wire;

use serde::{Deserialize, Serialize};

pub use self::patience::{OnDisconnect, Patience};
use super::{Fraction, Tier};

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

/// One arm of an `ab_test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// What logs and the response header call it; unique in its test.
    pub name: String,
    /// Its share of the callers, relative to the other variants' weights; at least 1.
    pub weight: u32,
    /// A model or `@slug`.
    pub config: Target,
}

/// Whose requests of an `ab_test` always meet the same variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StickyBy {
    /// Those of one end user.
    EndUser,
    /// Those of one thread.
    Conversation,
    /// Those of one agent run.
    Trace,
    /// Nobody's: each request is drawn on its own.
    None,
}

impl StickyBy {
    /// The word in the document and in traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndUser => "end_user",
            Self::Conversation => "conversation",
            Self::Trace => "trace",
            Self::None => "none",
        }
    }
}

/// One who is asked in an `ensemble`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleMember {
    /// A model or `@slug`.
    pub model: Target,
    /// What its answer counts beside the others'; above 0 and at most 10.
    #[serde(default = "Fraction::whole", skip_serializing_if = "Fraction::is_whole")]
    pub weight: Fraction,
}

/// One step of a `cascade`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CascadeStep {
    /// A model or `@slug`.
    pub model: Target,
    /// CEL over `response`, must give a bool: whether its answer will do. The last step has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
}

/// How the answers of an `ensemble` become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The first one that can be used; the others are cancelled.
    FirstValid,
    /// What most weight agrees on.
    WeightedVote,
    /// The weighted mean of answers that are numbers.
    WeightedAverage,
    /// What another model finds best.
    LlmJudge,
}

impl Aggregation {
    /// The word in the document and in traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstValid => "first_valid",
            Self::WeightedVote => "weighted_vote",
            Self::WeightedAverage => "weighted_average",
            Self::LlmJudge => "llm_judge",
        }
    }
}

/// When a kept answer is the answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheMode {
    /// Where the request says the same, but for spaces, the order of members, and members that only name the caller.
    Exact,
}

/// The response cache of a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSettings {
    /// `exact`.
    pub mode: CacheMode,
    /// Seconds an answer is kept.
    pub ttl_seconds: u32,
    /// Whether answers are kept too that may differ from time to time: all but embeddings and those with a temperature of 0.
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
    /// The model of a quality tier that is likely the cheapest for the request at hand, and the next ones where it fails.
    CostOptimized {
        /// Exactly this tier: neither a worse model nor a better one is taken for being cheaper.
        quality_tier: Tier,
        /// Patterns with `*` that narrow the tier; all of it where left out.
        allowed_models: Option<Vec<String>>,
    },
    /// The model that has answered fastest of late, and the next ones where it fails.
    LatencyOptimized {
        /// Models to choose from, each `provider/model` or a bare name.
        models: Vec<String>,
    },
    /// Several at once, whose answers become one.
    Ensemble {
        /// How.
        aggregation: Aggregation,
        /// At least two.
        members: Vec<EnsembleMember>,
        /// Who judges, with `llm_judge`.
        judge: Option<Target>,
        /// Milliseconds until who has not answered does not count.
        timeout_ms: Option<u64>,
        /// How many must have answered; one where left out.
        quorum: Option<u32>,
    },
    /// One after the other until an answer will do.
    Cascade {
        /// In order; at least two.
        steps: Vec<CascadeStep>,
    },
    /// One of several, drawn by weight.
    AbTest {
        /// At least one.
        variants: Vec<Variant>,
        /// Who stays with what was drawn; nobody where left out.
        sticky_by: Option<StickyBy>,
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
            Self::CostOptimized { .. } => "cost_optimized",
            Self::LatencyOptimized { .. } => "latency_optimized",
            Self::Ensemble { .. } => "ensemble",
            Self::Cascade { .. } => "cascade",
            Self::AbTest { .. } => "ab_test",
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
    /// How long answers are waited for.
    pub patience: Patience,
    /// Response cache, where wanted.
    pub cache: Option<CacheSettings>,
    /// How many numbers a vector has, whoever embeds the text; what the caller or the model says where left out.
    pub embedding_dimensions: Option<u32>,
}
