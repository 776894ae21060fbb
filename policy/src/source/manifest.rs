//! The declarative document of one organization: what `plan`, `apply` and `export` read and write.
//!
//! Every list is optional; a part left out of a manifest is left alone by `apply` (unless `--prune`). Defaults are filled in on
//! reading, so that an exported document read back is equal to what was exported.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use indexmap::IndexMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Budget, FurtherPrices, Guardrails, HealthCheck, RoutingDocument};
use crate::money::Usd;

/// All that an organization can declare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The organization's slug.
    pub org: String,
    /// Organization-wide settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// Where models are served.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// Additions to, and overrides of, the built-in catalogue.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Organization-wide routing configs.
    #[serde(default)]
    pub routing_configs: Vec<RoutingConfig>,
    /// Projects with their keys.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// Budgets.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// People and their roles.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Webhooks; none are known yet, so only an empty list is accepted.
    #[serde(default)]
    pub webhooks: Vec<Nothing>,
    /// Exports; none are known yet, so only an empty list is accepted.
    #[serde(default)]
    pub exports: Vec<Nothing>,
}

/// An element of a list that must be empty in this version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Nothing {}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("this list must be empty: this version has no such resource yet"))
    }
}

/// Organization-wide settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// IANA name; what hours, weekdays and budget periods are reckoned in.
    pub time_zone: String,
    /// Whether prompts and completions are kept.
    pub payloads: Payloads,
    /// Days the request log is kept.
    pub retention_days: u32,
    /// `@slug` of the config that runs on every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_policy: Option<String>,
    /// Who may reach which plane; empty lists allow everyone.
    pub ip_allowlist: IpAllowlists,
    /// Refuse providers on loopback and private networks.
    pub deny_private_upstreams: bool,
    /// What happens to a model without a price where no blocking budget applies.
    pub unpriced_models: UnpricedModels,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_zone: "UTC".to_owned(),
            payloads: Payloads::None,
            retention_days: 90,
            entry_policy: None,
            ip_allowlist: IpAllowlists::default(),
            deny_private_upstreams: false,
            unpriced_models: UnpricedModels::Alert,
        }
    }
}

/// Whether prompts and completions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payloads {
    /// Never.
    None,
}

/// What happens to a model without a known price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnpricedModels {
    /// Refused.
    Deny,
    /// Served and booked at [`crate::catalogue::CEILING`], which no listed model exceeds; budgets that block hold that much.
    Ceiling,
    /// Served at cost zero and counted in a metric; a blocking budget refuses it all the same.
    Alert,
}

/// Networks from which each plane may be reached; empty means everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IpAllowlists {
    /// Control plane.
    pub management: Vec<IpNet>,
    /// Data plane.
    pub proxy: Vec<IpNet>,
}

/// A company or system that serves models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Unique in the organization; the part before the `/` in `provider/model`.
    pub name: String,
    /// Which wire format and authentication it has.
    pub vendor: String,
    /// Address; default: the vendor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Secret; write-only. Left out: the stored one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// Whether workers look by themselves if it is there; they do not where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
}

/// Quality class of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Cheap.
    Economy,
    /// In the middle.
    Standard,
    /// Best.
    Premium,
}

impl Tier {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Economy => "economy",
            Self::Standard => "standard",
            Self::Premium => "premium",
        }
    }
}

/// One model of one provider with its prices. A price left out follows its parent bucket (cached and cache write follow input,
/// reasoning follows output).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// `provider/model`.
    pub model: String,
    /// USD per million uncached input tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_usd_per_mtok: Option<Usd>,
    /// USD per million input tokens read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input_usd_per_mtok: Option<Usd>,
    /// USD per million input tokens written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_usd_per_mtok: Option<Usd>,
    /// USD per million visible output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_usd_per_mtok: Option<Usd>,
    /// USD per million reasoning tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_usd_per_mtok: Option<Usd>,
    /// Prices beyond these five: an hour in the cache, sound, pictures, the call itself, long inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub further_prices: Option<FurtherPrices>,
    /// Tokens that input and output may have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// Tokens that an answer can have at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Quality class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_tier: Option<Tier>,
}

/// A routing config: a slug and its document, written flat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingConfig {
    /// What `@slug` names; unique in the organization or in the project.
    pub slug: String,
    /// Strategy and members.
    pub document: RoutingDocument,
}

/// A team or application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Unique in the organization.
    pub name: String,
    /// Tags bound to every request; callers can't override them.
    #[serde(default)]
    pub tags: IndexMap<String, String>,
    /// Settings of the project.
    #[serde(default)]
    pub settings: ProjectSettings,
    /// Configs of this project; they shadow the organization's.
    #[serde(default)]
    pub routing_configs: Vec<RoutingConfig>,
    /// Keys with which its applications call.
    #[serde(default)]
    pub keys: Vec<Key>,
}

/// Settings of one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectSettings {
    /// Whether a model name without a provider is looked up.
    pub auto_resolve_bare_model: bool,
    /// Refuse a request whose fields the upstream can't take, instead of leaving them out.
    pub strict_capabilities: bool,
    /// `@slug` of a config that runs after the organization's entry policy and can only narrow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_policy: Option<String>,
    /// What guards its requests; none by default.
    #[serde(skip_serializing_if = "Guardrails::is_empty")]
    pub guardrails: Guardrails,
}

impl Default for ProjectSettings {
    fn default() -> Self {
        Self { auto_resolve_bare_model: true, strict_capabilities: false, entry_policy: None, guardrails: Guardrails::default() }
    }
}

/// A proxy key. Its secret is made by the control plane and shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Unique in the project.
    pub name: String,
    /// Tags bound to every request with this key; they win over the project's.
    #[serde(default)]
    pub tags: IndexMap<String, String>,
    /// Requests per minute; default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
    /// When it stops working: a date (its midnight UTC) or an RFC 3339 time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
    /// Patterns with `*` of models it may use.
    #[serde(default = "every_model")]
    pub allowed_models: Vec<String>,
    /// Networks it may be used from; empty means everywhere.
    #[serde(default)]
    pub ip_allowlist: Vec<IpNet>,
    /// E-mail of the person it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

fn every_model() -> Vec<String> {
    vec!["*".to_owned()]
}

/// A point in time, written as a date or in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(pub DateTime<Utc>);

impl std::str::FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self(time.with_timezone(&Utc)));
        }
        text.parse::<NaiveDate>()
            .map(|date| Self(date.and_time(chrono::NaiveTime::MIN).and_utc()))
            .map_err(|_| format!("`{text}` is neither a date (`2027-01-31`) nor an RFC 3339 time"))
    }
}

impl Serialize for Expiry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.time() == chrono::NaiveTime::MIN {
            return serializer.collect_str(&self.0.date_naive());
        }
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a person may do in the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Edits routing, creates keys.
    Member,
    /// Runs the organization.
    Admin,
    /// May give it away.
    Owner,
}

/// A person and their role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// E-mail address, compared in lower case.
    pub email: String,
    /// Role in the organization.
    pub role: Role,
}
