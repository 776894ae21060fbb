//! The guardrails of a project, before a request is decided: what is looked for in its texts, and a webhook that is asked about it.
//!
//! Promises: a project without guardrails pays for one look into the bundle; what was found is told by kind and count, in trace and metrics
//! alike, never by its text; in shadow mode everything is evaluated and recorded, and nothing changes.
//!
//! What stands in a text is replaced where it stands; all other bytes of the body stay. The webhook is asked last and sees what the provider
//! would see. Leaves out which models may be used: that is the engine's, because it has to do with each target of a route.

mod detection;
mod question;
mod verdict;
pub(crate) mod webhook;

use bytes::Bytes;
use llm::request::ReadRequestError;
use policy::bundle::v1;
use policy::decision::{Trace, TraceStep};
use policy::facts::RequestFacts;
use policy::guardrail::Findings;
use policy::source::{DetectionAction, FailMode, GuardrailMode};

use crate::exchange::Failure;
use crate::exchange::call::Exchange;
use crate::ingress::ReadFailure;
use crate::telemetry::Metrics;
use verdict::Verdict;

/// What guardrails made of a request.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    /// The body to go on with, where something in it was replaced.
    pub body: Option<Bytes>,
    /// What rules are told.
    pub findings: Findings,
    /// Why it is refused.
    pub denial: Option<String>,
}

/// A guardrail's say, on its way into trace and metrics.
struct Say<'s> {
    guardrail: &'static str,
    mode: GuardrailMode,
    trace: &'s mut Trace,
    metrics: &'s Metrics,
}

impl Say<'_> {
    /// `outcomes`: in force, and in shadow mode.
    fn note(self, outcomes: (&'static str, &'static str), findings: Findings, problem: Option<&'static str>) {
        let outcome = if self.mode == GuardrailMode::Enforce { outcomes.0 } else { outcomes.1 };
        self.metrics.guarded(self.guardrail, outcome, &findings);
        let (guardrail, outcome, problem) = (self.guardrail.into(), outcome.into(), problem.map(Into::into));
        self.trace.push(TraceStep::Guardrail { guardrail, outcome, findings: Box::new(findings), target: None, problem });
    }
}

/// Asks every guardrail of the caller's project that is on.
///
/// # Errors
/// When the texts of the body can't be told apart, which reading its head would have refused as well.
pub(crate) async fn guard(exchange: Exchange<'_>, body: &Bytes, facts: &RequestFacts, trace: &mut Trace) -> Result<Guarded, Failure> {
    let (engine, subject) = (&exchange.caller.policy.engine, &exchange.caller.subject);
    let Some(guardrails) = engine.guardrails(subject.project) else { return Ok(Guarded::default()) };
    // The decision refuses these; nobody needs to look at what they say.
    if guardrails.not_understood || engine.refuses_key(subject, facts).is_some() {
        return Ok(Guarded::default());
    }
    let project = engine.project(subject.project).map(|project| project.name.as_ref()).unwrap_or_default();
    let mut guarded = Guarded::default();
    if let (Some(detection), Some(detectors)) = (&guardrails.detection, engine.detectors(subject.project)) {
        let found = detection::look(detectors, body).map_err(|error| ReadFailure::from(ReadRequestError::from(error)))?;
        let say = Say { guardrail: "detection", mode: detection.mode, trace, metrics: &exchange.context.metrics };
        guarded.act_on(detection, found, body, say, project);
    }
    if let (Some(settings), None) = (&guardrails.webhook, &guarded.denial) {
        let seen = guarded.body.as_ref().unwrap_or(body).clone();
        // Boxed, because most requests have no use for its state.
        let asked = Box::pin(webhook::ask(exchange, settings, &seen, facts, &guarded.findings)).await;
        let say = Say { guardrail: "webhook", mode: settings.mode, trace, metrics: &exchange.context.metrics };
        guarded.obey(settings, asked, &seen, say, project);
    }
    Ok(guarded)
}

/// What guardrails make of a body that nobody here can look into: a file, a form. Those that would change or refuse what they find have not
/// looked, so they refuse.
pub(crate) fn guard_opaque(exchange: Exchange<'_>, facts: &RequestFacts, trace: &mut Trace) -> Guarded {
    let (engine, subject) = (&exchange.caller.policy.engine, &exchange.caller.subject);
    let Some(guardrails) = engine.guardrails(subject.project) else { return Guarded::default() };
    if guardrails.not_understood || engine.refuses_key(subject, facts).is_some() {
        return Guarded::default();
    }
    let project = engine.project(subject.project).map(|project| project.name.as_ref()).unwrap_or_default();
    let mut guarded = Guarded::default();
    if let Some(detection) = &guardrails.detection {
        let refuses = matches!(detection.action, DetectionAction::Redact | DetectionAction::Deny);
        let outcomes = if refuses { ("denied", "would_deny") } else { ("passed", "passed") };
        let say = Say { guardrail: "detection", mode: detection.mode, trace, metrics: &exchange.context.metrics };
        say.note(outcomes, Findings::default(), Some(OPAQUE));
        if refuses && detection.mode == GuardrailMode::Enforce {
            guarded.denial = Some(format!(
                "guardrail `detection` of project `{project}` can't look into files and forms, and lets pass only what it has looked into; ask \
                 who runs the project"
            ));
        }
    }
    if let (Some(settings), None) = (&guardrails.webhook, &guarded.denial) {
        let say = Say { guardrail: "webhook", mode: settings.mode, trace, metrics: &exchange.context.metrics };
        guarded.obey(settings, Err(OPAQUE), &Bytes::new(), say, project);
    }
    guarded
}

/// Why there is no verdict on what can't be read.
const OPAQUE: &str = "opaque";

impl Guarded {
    fn act_on(&mut self, detection: &v1::DetectionGuardrail, found: detection::Found, body: &Bytes, say: Say<'_>, project: &str) {
        let detection::Found { findings, edits } = found;
        if findings.is_empty() {
            return;
        }
        let acts = detection.mode == GuardrailMode::Enforce;
        let outcomes = match detection.action {
            DetectionAction::Off | DetectionAction::Tag => ("tagged", "would_tag"),
            DetectionAction::Redact => ("redacted", "would_redact"),
            DetectionAction::Deny => ("denied", "would_deny"),
        };
        say.note(outcomes, findings, None);
        if !acts {
            return;
        }
        self.findings = findings;
        match detection.action {
            DetectionAction::Off | DetectionAction::Tag => {}
            DetectionAction::Redact => self.body = Some(edits.apply(body)),
            DetectionAction::Deny => {
                self.denial = Some(format!(
                    "guardrail `detection` of project `{project}` found {findings} in the request; take it out, or ask who runs the project"
                ));
            }
        }
    }

    fn obey(&mut self, webhook: &v1::WebhookGuardrail, asked: Result<Verdict, &'static str>, seen: &Bytes, say: Say<'_>, project: &str) {
        let acts = webhook.mode == GuardrailMode::Enforce;
        let obeyed = asked.and_then(|verdict| match verdict {
            Verdict::Allow(findings) => Ok((("passed", "passed"), findings, None, None)),
            Verdict::Deny { message, findings } => {
                let why = message.map(|message| format!(": {message}")).unwrap_or_default();
                let kinds = if findings.is_empty() { String::new() } else { format!(" ({findings})") };
                let denial = format!("guardrail `webhook` of project `{project}` refuses the request{kinds}{why}");
                Ok((("denied", "would_deny"), findings, None, Some(denial)))
            }
            Verdict::Redact { redactions, mut findings } => {
                let (body, replaced) = verdict::replace(&redactions, seen).ok_or("nothing_to_redact")?;
                findings.merge(&replaced);
                Ok((("redacted", "would_redact"), findings, Some(body), None))
            }
        });
        match obeyed {
            Ok((outcomes, findings, body, denial)) => {
                say.note(outcomes, findings, None);
                if acts {
                    self.findings.merge(&findings);
                    self.body = body.or(self.body.take());
                    self.denial = denial;
                }
            }
            Err(problem) => {
                let (outcomes, closed) = match webhook.fail {
                    FailMode::Open => (("failed_open", "would_fail_open"), false),
                    FailMode::Closed => (("failed_closed", "would_fail_closed"), true),
                };
                say.note(outcomes, Findings::default(), Some(problem));
                if acts && closed {
                    self.denial = Some(format!(
                        "guardrail `webhook` of project `{project}` gave no verdict ({problem}) and fails closed; try again, or ask who runs the project"
                    ));
                }
            }
        }
    }
}
