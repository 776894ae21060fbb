//! Guardrails of a project: which models it may use, what is done about what is found in its requests, and a webhook that judges them.
//!
//! All are off where they are not declared. Each can be in shadow mode, in which it is evaluated and recorded and does nothing.

use serde::{Deserialize, Serialize};

use crate::guardrail::FindingKind;

/// What guards the requests of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guardrails {
    /// Which models may be used, on top of what each key allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<ModelGuardrail>,
    /// What is looked for in requests, and what is done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection: Option<DetectionGuardrail>,
    /// Who is asked about requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookGuardrail>,
}

impl Guardrails {
    /// Whether none is declared.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.models.is_none() && self.detection.is_none() && self.webhook.is_none()
    }

    /// The same without what only the control plane keeps.
    #[must_use]
    pub fn without_secret(&self) -> Self {
        let mut guardrails = self.clone();
        if let Some(webhook) = &mut guardrails.webhook {
            webhook.secret = None;
        }
        guardrails
    }
}

/// Whether a guardrail acts or only watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailMode {
    /// Acts.
    #[default]
    Enforce,
    /// Records what it would have done.
    Shadow,
}

/// Which models may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelGuardrail {
    /// Patterns with `*`; a model has to match one.
    #[serde(default = "ModelGuardrail::every_model")]
    pub allow: Vec<String>,
    /// Patterns with `*`; a model must match none.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Acts or watches.
    #[serde(default)]
    pub mode: GuardrailMode,
}

/// What is looked for in requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectionGuardrail {
    /// What is done about it.
    pub action: DetectionAction,
    /// Which kinds; default: all that there is a detector for.
    #[serde(default = "DetectionGuardrail::every_kind")]
    pub kinds: Vec<FindingKind>,
    /// Acts or watches.
    #[serde(default)]
    pub mode: GuardrailMode,
}

/// What is done about what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectionAction {
    /// Nothing is looked for.
    Off,
    /// Rules are told.
    Tag,
    /// Rules are told, and the provider gets marks in its place.
    Redact,
    /// The request is refused.
    Deny,
}

/// Who is asked about requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookGuardrail {
    /// Where; the same addresses are refused as of providers.
    pub url: String,
    /// What questions are signed with; write-only. Left out: the stored one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Milliseconds until there is no verdict.
    #[serde(default = "WebhookGuardrail::usual_timeout")]
    pub timeout_ms: u32,
    /// What holds where there is no verdict.
    pub fail: FailMode,
    /// What it is told.
    #[serde(default)]
    pub sends: WebhookContent,
    /// Acts or watches.
    #[serde(default)]
    pub mode: GuardrailMode,
}

/// What holds where a webhook gives no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailMode {
    /// The request goes on.
    Open,
    /// The request is refused.
    Closed,
}

/// What a webhook is told of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookContent {
    /// Its texts.
    #[default]
    Texts,
    /// Its whole body.
    Request,
}

impl ModelGuardrail {
    /// What is allowed where nothing is said.
    #[must_use]
    pub fn every_model() -> Vec<String> {
        vec!["*".to_owned()]
    }
}

impl DetectionGuardrail {
    /// What is looked for where nothing is said.
    #[must_use]
    pub fn every_kind() -> Vec<FindingKind> {
        FindingKind::ALL.into_iter().filter(|kind| kind.is_detected()).collect()
    }
}

impl WebhookGuardrail {
    /// How long a verdict may take where nothing is said.
    #[must_use]
    pub const fn usual_timeout() -> u32 {
        1_000
    }
}
