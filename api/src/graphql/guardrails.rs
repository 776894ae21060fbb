//! Guardrails of projects: which models, what is looked for, and who is asked.

use async_graphql::{Enum, InputObject, SimpleObject};
use policy::source::{DetectionGuardrail, Guardrails, ModelGuardrail, WebhookGuardrail};
use serde::Serialize;

/// Whether a guardrail acts or only watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "GuardrailMode", rename_items = "snake_case", remote = "policy::source::GuardrailMode")]
enum ModeName {
    /// Acts.
    Enforce,
    /// Records what it would have done.
    Shadow,
}

/// What is done about what was found in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "DetectionAction", rename_items = "snake_case", remote = "policy::source::DetectionAction")]
enum ActionName {
    /// Nothing is looked for.
    Off,
    /// Rules are told.
    Tag,
    /// Rules are told, and the provider gets marks in its place.
    Redact,
    /// The request is refused.
    Deny,
}

/// What is found in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "FindingKind", rename_items = "snake_case", remote = "policy::guardrail::FindingKind")]
enum FindingName {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// An international bank account number.
    Iban,
    /// The number of a payment card.
    Card,
    /// A number that a state gives to a person.
    NationalId,
    /// A key to a cloud.
    CloudSecret,
    /// A key to a provider of models.
    ProviderSecret,
    /// A token of another service.
    AccessToken,
    /// A private key.
    PrivateKey,
    /// What only a webhook knows; there is no detector for it.
    Other,
}

/// What holds where a webhook gives no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "FailMode", rename_items = "snake_case", remote = "policy::source::FailMode")]
enum FailName {
    /// The request goes on.
    Open,
    /// The request is refused.
    Closed,
}

/// What a webhook is told of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "WebhookContent", rename_items = "snake_case", remote = "policy::source::WebhookContent")]
enum ContentName {
    /// Its texts.
    Texts,
    /// Its whole body.
    Request,
}

/// What guards the requests of a project.
#[derive(SimpleObject)]
#[graphql(name = "Guardrails")]
pub(super) struct GuardrailsView {
    /// Which models may be used, on top of what each key allows; none where every model may.
    models: Option<ModelGuardrailView>,
    /// What is looked for in requests; none where nothing is.
    detection: Option<DetectionGuardrailView>,
    /// Who is asked about requests; none where nobody is.
    webhook: Option<WebhookGuardrailView>,
}

/// Which models may be used.
#[derive(SimpleObject)]
#[graphql(name = "ModelGuardrail")]
struct ModelGuardrailView {
    /// Patterns with `*`; a model has to match one.
    allow: Vec<String>,
    /// Patterns with `*`; a model must match none.
    deny: Vec<String>,
    /// Acts or watches.
    mode: ModeName,
}

/// What is looked for in requests.
#[derive(SimpleObject)]
#[graphql(name = "DetectionGuardrail")]
struct DetectionGuardrailView {
    /// What is done about it.
    action: ActionName,
    /// Which kinds.
    kinds: Vec<FindingName>,
    /// Acts or watches.
    mode: ModeName,
}

/// Who is asked about requests.
#[derive(SimpleObject)]
#[graphql(name = "WebhookGuardrail")]
struct WebhookGuardrailView {
    /// Where.
    url: String,
    /// Whether questions are signed.
    has_secret: bool,
    /// Stands for the secret: equal as long as that is.
    secret_digest: Option<String>,
    /// Milliseconds until there is no verdict.
    timeout_ms: u32,
    /// What holds then.
    fail: FailName,
    /// What it is told.
    sends: ContentName,
    /// Acts or watches.
    mode: ModeName,
}

impl GuardrailsView {
    pub(super) fn new(guardrails: Guardrails, secret_digest: Option<String>) -> Self {
        let Guardrails { models, detection, webhook } = guardrails;
        let models = models.map(|ModelGuardrail { allow, deny, mode }| ModelGuardrailView { allow, deny, mode: mode.into() });
        let detection = detection.map(|DetectionGuardrail { action, kinds, mode }| DetectionGuardrailView {
            action: action.into(),
            kinds: kinds.into_iter().map(Into::into).collect(),
            mode: mode.into(),
        });
        let webhook = webhook.map(|WebhookGuardrail { url, secret: _, timeout_ms, fail, sends, mode }| WebhookGuardrailView {
            url,
            has_secret: secret_digest.is_some(),
            secret_digest,
            timeout_ms,
            fail: fail.into(),
            sends: sends.into(),
            mode: mode.into(),
        });
        Self { models, detection, webhook }
    }
}

/// What is to guard the requests of a project, in place of all that does.
#[derive(InputObject, Serialize)]
pub(super) struct GuardrailsInput {
    /// Which models may be used, on top of what each key allows.
    models: Option<ModelGuardrailInput>,
    /// What is looked for in requests.
    detection: Option<DetectionGuardrailInput>,
    /// Who is asked about requests.
    webhook: Option<WebhookGuardrailInput>,
}

/// Which models may be used.
#[derive(InputObject, Serialize)]
struct ModelGuardrailInput {
    /// Patterns with `*`; a model has to match one. Default: every model does.
    allow: Option<Vec<String>>,
    /// Patterns with `*`; a model must match none.
    deny: Option<Vec<String>>,
    /// Default: it acts.
    mode: Option<ModeName>,
}

/// What is looked for in requests.
#[derive(InputObject, Serialize)]
struct DetectionGuardrailInput {
    /// What is done about it.
    action: ActionName,
    /// Which kinds; default: all that there is a detector for.
    kinds: Option<Vec<FindingName>>,
    /// Default: it acts.
    mode: Option<ModeName>,
}

/// Who is asked about requests.
#[derive(InputObject, Serialize)]
struct WebhookGuardrailInput {
    /// Where; the same addresses are refused as of providers.
    url: String,
    /// What questions are signed with; write-only. Left out: the stored one is kept.
    secret: Option<String>,
    /// Milliseconds until there is no verdict; default 1000.
    timeout_ms: Option<u32>,
    /// What holds then.
    fail: FailName,
    /// Default: the texts of the request.
    sends: Option<ContentName>,
    /// Default: it acts.
    mode: Option<ModeName>,
}

impl From<GuardrailsInput> for Guardrails {
    fn from(input: GuardrailsInput) -> Self {
        let GuardrailsInput { models, detection, webhook } = input;
        let mode = |mode: Option<ModeName>| mode.map(Into::into).unwrap_or_default();
        Self {
            models: models.map(|ModelGuardrailInput { allow, deny, mode: acts }| ModelGuardrail {
                allow: allow.unwrap_or_else(ModelGuardrail::every_model),
                deny: deny.unwrap_or_default(),
                mode: mode(acts),
            }),
            detection: detection.map(|DetectionGuardrailInput { action, kinds, mode: acts }| DetectionGuardrail {
                action: action.into(),
                kinds: kinds.map_or_else(DetectionGuardrail::every_kind, |kinds| kinds.into_iter().map(Into::into).collect()),
                mode: mode(acts),
            }),
            webhook: webhook.map(|WebhookGuardrailInput { url, secret, timeout_ms, fail, sends, mode: acts }| WebhookGuardrail {
                url,
                secret,
                timeout_ms: timeout_ms.unwrap_or_else(WebhookGuardrail::usual_timeout),
                fail: fail.into(),
                sends: sends.map(Into::into).unwrap_or_default(),
                mode: mode(acts),
            }),
        }
    }
}
