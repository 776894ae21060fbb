//! The organization as the control plane keeps it: the parts of the manifest with ids, hashes and sealed secrets.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Budget, Key, Model, Project, Provider, RoutingConfig, Settings};

/// Everything [`crate::compile::compile`] needs of one organization.
#[derive(Debug, Clone, PartialEq)]
pub struct Organization {
    /// `org_…`
    pub id: String,
    /// Slug.
    pub slug: String,
    /// The revision that the bundle will carry.
    pub revision: u64,
    /// When this revision was made.
    pub time: DateTime<Utc>,
    /// Organization-wide settings.
    pub settings: Settings,
    /// Providers.
    pub providers: Vec<ProviderRecord>,
    /// Overrides of the catalogue.
    pub models: Vec<ModelRecord>,
    /// Organization-wide configs.
    pub routing_configs: Vec<RoutingConfigRecord>,
    /// Projects.
    pub projects: Vec<ProjectRecord>,
    /// Budgets.
    pub budgets: Vec<BudgetRecord>,
}

/// A secret encrypted to the worker pool: base 64 of nonce and ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret(pub String);

/// A provider row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRecord {
    /// `prv_…`
    pub id: String,
    /// As declared; `api_key` is never set here.
    pub provider: Provider,
    /// The secret, sealed.
    pub api_key: Option<SealedSecret>,
}

/// A model row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRecord {
    /// `mdl_…`
    pub id: String,
    /// As declared.
    pub model: Model,
    /// Which version of its prices this is: `prc_…`.
    pub price_version: String,
}

/// A routing config at its current version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingConfigRecord {
    /// `cfg_…`
    pub id: String,
    /// Number of the current version.
    pub version: u64,
    /// As declared.
    pub config: RoutingConfig,
}

/// A project row; `project.keys` and `project.routing_configs` are empty here and carried by the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRecord {
    /// `prj_…`
    pub id: String,
    /// As declared.
    pub project: Project,
    /// Its configs.
    pub routing_configs: Vec<RoutingConfigRecord>,
    /// Its keys that were not revoked.
    pub keys: Vec<KeyRecord>,
    /// What questions to its webhook are signed with, sealed.
    pub webhook_secret: Option<SealedSecret>,
}

/// A key row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// `key_…`
    pub id: String,
    /// SHA-256 of the whole presented key, lower-case hex.
    pub hash: String,
    /// As declared.
    pub key: Key,
}

/// A budget row.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetRecord {
    /// `bud_…`
    pub id: String,
    /// As declared.
    pub budget: Budget,
}
