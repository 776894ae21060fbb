//! Budgets as operators write them: whose money, per which period, how much, and what happens at the cap.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::money::Usd;

/// Whose spend a budget counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of the organization.
    Organization,
    /// One project.
    Project(String),
    /// One key, as `project/key`.
    Key(String),
    /// One end user.
    EndUser(String),
    /// Each end user on its own.
    EachEndUser,
    /// Requests with this tag and value.
    Tag(String, String),
    /// Each value of this tag on its own.
    EachTag(String),
    /// Models that match a pattern with `*`.
    Model(String),
    /// One provider.
    Provider(String),
}

/// The written form: a word, or an object with one subject.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeObject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
}

impl ScopeObject {
    fn into_scope(self) -> Result<Scope, String> {
        match self {
            Self { project: Some(name), key: None, end_user: None, tag: None, value: None, model: None, provider: None } => {
                Ok(Scope::Project(name))
            }
            Self { project: None, key: Some(key), end_user: None, tag: None, value: None, model: None, provider: None } => {
                Ok(Scope::Key(key))
            }
            Self { project: None, key: None, end_user: Some(user), tag: None, value: None, model: None, provider: None } => {
                Ok(Scope::EndUser(user))
            }
            Self { project: None, key: None, end_user: None, tag: Some(tag), value, model: None, provider: None } => Ok(match value {
                Some(value) => Scope::Tag(tag, value),
                None => Scope::EachTag(tag),
            }),
            Self { project: None, key: None, end_user: None, tag: None, value: None, model: Some(pattern), provider: None } => {
                Ok(Scope::Model(pattern))
            }
            Self { project: None, key: None, end_user: None, tag: None, value: None, model: None, provider: Some(name) } => {
                Ok(Scope::Provider(name))
            }
            _ => Err("a scope names one of project, key, end_user, tag (with or without value), model, provider".to_owned()),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Organization => serializer.serialize_str("organization"),
            Self::EachEndUser => serializer.serialize_str("end_user"),
            Self::Project(name) => serializer.collect_map([("project", name)]),
            Self::Key(name) => serializer.collect_map([("key", name)]),
            Self::EndUser(id) => serializer.collect_map([("end_user", id)]),
            Self::Tag(tag, value) => serializer.collect_map([("tag", tag), ("value", value)]),
            Self::EachTag(tag) => serializer.collect_map([("tag", tag)]),
            Self::Model(pattern) => serializer.collect_map([("model", pattern)]),
            Self::Provider(name) => serializer.collect_map([("provider", name)]),
        }
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScopeVisitor;
        impl<'de> serde::de::Visitor<'de> for ScopeVisitor {
            type Value = Scope;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`organization`, `end_user`, or an object such as `{project: NAME}` or `{tag: KEY, value: VALUE}`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Scope, E> {
                match text {
                    "organization" => Ok(Scope::Organization),
                    "end_user" => Ok(Scope::EachEndUser),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Scope, A::Error> {
                let object = ScopeObject::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                object.into_scope().map_err(serde::de::Error::custom)
            }
        }
        deserializer.deserialize_any(ScopeVisitor)
    }
}

/// How long a period lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodKind {
    /// From midnight to midnight.
    Daily,
    /// Seven days from the anchor (1 = Monday).
    Weekly,
    /// From the anchor day of each month.
    Monthly,
    /// From the anchor day of January, April, July, October.
    Quarterly,
    /// From the anchor day of January.
    Yearly,
    /// One period without an end.
    Total,
}

impl PeriodKind {
    /// The word used in manifests, errors and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Yearly => "yearly",
            Self::Total => "total",
        }
    }
}

/// What happens at the cap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtCap {
    /// Refuse; settled and reserved never pass the cap.
    #[default]
    Block,
    /// Send to this config (`@slug`) instead.
    Downgrade(String),
    /// Only say so.
    WarnOnly,
}

/// Whether a budget acts or only watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetMode {
    /// Acts.
    #[default]
    Enforce,
    /// Records in the trace what it would have done.
    Shadow,
}

/// One budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Unique in the organization.
    pub name: String,
    /// Whose spend.
    pub scope: Scope,
    /// Per which period.
    pub period: PeriodKind,
    /// Day on which a period starts: 1 to 7 for weekly, 1 to 28 for longer ones; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_day: Option<NonZeroU32>,
    /// IANA time zone of the period; default: the organization's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The cap in USD.
    pub cap_usd: Usd,
    /// Fractions of the cap at which somebody is told; default 0.8.
    #[serde(default = "default_thresholds")]
    pub thresholds: Vec<Fraction>,
    /// What happens at the cap; default block.
    #[serde(default)]
    pub at_cap: AtCap,
    /// Fraction of the cap from which a downgrade applies; default 1.0.
    #[serde(default = "Fraction::whole", skip_serializing_if = "Fraction::is_whole")]
    pub downgrade_at: Fraction,
    /// Act or watch; default enforce.
    #[serde(default, skip_serializing_if = "is_enforce")]
    pub mode: BudgetMode,
    /// Lower the output limit to what is affordable rather than refuse.
    #[serde(default, skip_serializing_if = "is_false")]
    pub clamp_output: bool,
}

fn default_thresholds() -> Vec<Fraction> {
    vec![Fraction::from_ppm(800_000)]
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde calls")]
fn is_enforce(mode: &BudgetMode) -> bool {
    *mode == BudgetMode::Enforce
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde calls")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A share such as 0.8, kept as parts per million so that it compares exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fraction(u32);

impl Fraction {
    const WHOLE: u32 = 1_000_000;

    /// All of it.
    #[must_use]
    pub const fn whole() -> Self {
        Self(Self::WHOLE)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde calls")]
    pub(super) const fn is_whole(&self) -> bool {
        self.0 == Self::WHOLE
    }

    /// From parts per million.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(ppm)
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// Whether `part` of `whole` has reached this share. A whole of zero has always been reached.
    #[must_use]
    pub fn reached_by(self, part: crate::money::NanoUsd, whole: crate::money::NanoUsd) -> bool {
        let needed = i128::from(whole.nanos()).saturating_mul(i128::from(self.0));
        i128::from(part.nanos()).saturating_mul(i128::from(Self::WHOLE)) >= needed
    }
}

impl Serialize for Fraction {
    #[expect(clippy::float_arithmetic, reason = "a share is written as a decimal; it is kept and compared as an integer")]
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / f64::from(Self::WHOLE))
    }
}

impl<'de> Deserialize<'de> for Fraction {
    #[expect(
        clippy::float_arithmetic,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked on the line before; kept as an integer from here"
    )]
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(deserializer)?;
        if !(0.0..=10.0).contains(&share) {
            return Err(serde::de::Error::custom(format!("`{share}` is not a fraction between 0 and 10 (0.8 means 80 %)")));
        }
        Ok(Self((share * f64::from(Self::WHOLE)).round() as u32))
    }
}
