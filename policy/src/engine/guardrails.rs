//! Guardrails of projects as far as a decision has to do with them: which models may be used, and what is looked for.

use super::{Deciding, Engine, Refusal, index, resolve};
use crate::bundle::v1;
use crate::decision::{DenialReason, ResolvedTarget};
use crate::guardrail::Detectors;
use crate::source::GuardrailMode;

impl Engine {
    /// The guardrails of a project, where it has any.
    #[must_use]
    pub fn guardrails(&self, project: u32) -> Option<&v1::Guardrails> {
        self.project(project)?.guardrails.as_ref()
    }

    /// What looks into the requests of a project, where anything does.
    #[must_use]
    pub fn detectors(&self, project: u32) -> Option<&Detectors> {
        self.detectors.get(index(project))?.as_ref()
    }

    /// Whether a project's guardrail on models refuses this one, and whether it acts.
    pub(super) fn guarded(&self, project: u32, provider: &str, model: &str) -> Option<GuardrailMode> {
        let models = self.guardrails(project)?.models.as_ref()?;
        let permitted = resolve::allowed(&models.allow, provider, model) && !resolve::allowed(&models.deny, provider, model);
        (!permitted).then_some(models.mode)
    }
}

impl Deciding<'_> {
    /// Guardrails of a newer control plane guard nothing here, so that nothing may pass.
    pub(super) fn check_guardrails(&self) -> Result<(), Refusal> {
        let guardrails = self.engine.guardrails(self.subject.project);
        if guardrails.is_some_and(|guardrails| guardrails.not_understood) {
            return Err((DenialReason::Policy, "the guardrails of the project can't be understood by this worker".to_owned()));
        }
        Ok(())
    }

    /// Whether the project's guardrail on models refuses `target`, and whether it acts.
    pub(super) fn guarded(&self, target: &ResolvedTarget) -> Option<GuardrailMode> {
        if target.model.is_empty() {
            let models = self.engine.guardrails(self.subject.project)?.models.as_ref()?;
            let permitted = self.admits(&models.allow, target) && !self.may_deny(&models.deny, target);
            return (!permitted).then_some(models.mode);
        }
        self.engine.guarded(self.subject.project, &target.provider_name, &target.model)
    }

    /// The words for it.
    pub(super) fn guarded_message(&self, label: &str) -> String {
        let project = self.engine.project(self.subject.project);
        let name = project.map(|project| project.name.as_ref()).unwrap_or_default();
        let models = project.and_then(|project| project.guardrails.as_ref()).and_then(|guardrails| guardrails.models.as_ref());
        let allowed = models.map(|models| models.allow.join(", ")).unwrap_or_default();
        let denied = models.filter(|models| !models.deny.is_empty()).map(|models| format!(" but not {}", models.deny.join(", ")));
        format!("guardrail `models` of project `{name}` refuses {label}; it allows {allowed}{}", denied.unwrap_or_default())
    }
}
