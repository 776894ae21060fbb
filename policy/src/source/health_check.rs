//! Checks of a provider that workers make by themselves, where somebody wants them.

use serde::{Deserialize, Serialize};

/// How a provider is asked whether it is there, with a request that no model answers and nobody is billed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Seconds from one check of a worker to its next.
    #[serde(default = "HealthCheck::usual_interval")]
    pub interval_seconds: u32,
    /// Milliseconds until there is no answer.
    #[serde(default = "HealthCheck::usual_timeout")]
    pub timeout_ms: u32,
    /// Path of the GET below `base_url`; default: the vendor's list of models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl HealthCheck {
    /// Seconds between two checks where nothing is said.
    #[must_use]
    pub const fn usual_interval() -> u32 {
        30
    }

    /// How long an answer may take where nothing is said, in milliseconds.
    #[must_use]
    pub const fn usual_timeout() -> u32 {
        5_000
    }
}
