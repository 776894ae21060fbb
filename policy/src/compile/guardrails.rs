//! Guardrails of projects.

use super::Rejections;
use super::models::check_base_url;
use crate::bundle::v1;
use crate::source::{DetectionAction, DetectionGuardrail, Guardrails, ModelGuardrail, ProjectRecord, WebhookGuardrail};

/// A caller waits for it, so it is short.
const LONGEST_TIMEOUT_MS: u32 = 30_000;

/// The guardrails of a project, where it has any that are on.
pub(super) fn compile_guardrails(record: &ProjectRecord, deny_private: bool, rejections: &mut Rejections) -> Option<v1::Guardrails> {
    let name = record.project.name.as_str();
    let Guardrails { models, detection, webhook } = &record.project.settings.guardrails;
    let mut reject = |field: &str, message: String| rejections.add("project", name, format!("settings.guardrails.{field}"), message);
    let guardrails = v1::Guardrails {
        models: models.as_ref().map(|models| compile_models(models, &mut reject)),
        detection: detection.as_ref().and_then(|detection| compile_detection(detection, &mut reject)),
        webhook: webhook.as_ref().map(|webhook| compile_webhook(webhook, record, deny_private, &mut reject)),
        not_understood: false,
    };
    let any = guardrails.models.is_some() || guardrails.detection.is_some() || guardrails.webhook.is_some();
    any.then_some(guardrails)
}

fn compile_models(models: &ModelGuardrail, reject: &mut dyn FnMut(&str, String)) -> v1::ModelGuardrail {
    let ModelGuardrail { allow, deny, mode } = models;
    if allow.is_empty() {
        reject("models.allow", "an empty list allows nothing; write `[\"*\"]` to allow every model".to_owned());
    }
    for (field, patterns) in [("models.allow", allow), ("models.deny", deny)] {
        if patterns.iter().any(String::is_empty) {
            reject(field, "an empty pattern matches nothing; leave it out".to_owned());
        }
    }
    v1::ModelGuardrail { allow: allow.clone(), deny: deny.clone(), mode: *mode }
}

fn compile_detection(detection: &DetectionGuardrail, reject: &mut dyn FnMut(&str, String)) -> Option<v1::DetectionGuardrail> {
    let DetectionGuardrail { action, kinds, mode } = detection;
    if kinds.is_empty() {
        reject("detection.kinds", "an empty list finds nothing; leave it out to look for every kind, or say `action: off`".to_owned());
    }
    if let Some(kind) = kinds.iter().find(|kind| !kind.is_detected()) {
        reject("detection.kinds", format!("there is no detector for `{}`; it is what a webhook finds", kind.as_str()));
    }
    (*action != DetectionAction::Off).then(|| v1::DetectionGuardrail { action: *action, kinds: kinds.clone(), mode: *mode })
}

fn compile_webhook(
    webhook: &WebhookGuardrail,
    record: &ProjectRecord,
    deny_private: bool,
    reject: &mut dyn FnMut(&str, String),
) -> v1::WebhookGuardrail {
    // The secret travels sealed, beside it.
    let WebhookGuardrail { url, secret: _, timeout_ms, fail, sends, mode } = webhook;
    if let Err(message) = check_base_url(url, deny_private) {
        reject("webhook.url", message);
    }
    if !(1..=LONGEST_TIMEOUT_MS).contains(timeout_ms) {
        reject("webhook.timeout_ms", format!("must be between 1 and {LONGEST_TIMEOUT_MS}, because callers wait for it"));
    }
    v1::WebhookGuardrail {
        url: url.clone(),
        secret: record.webhook_secret.clone(),
        timeout_ms: *timeout_ms,
        fail: *fail,
        sends: *sends,
        mode: *mode,
    }
}
