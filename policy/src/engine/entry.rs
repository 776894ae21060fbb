//! Entry policies: the company's rules, run on every request before its `model` is resolved.
//!
//! The organization's runs first. Where it passes, the project's decides; where it redirected, the project's may still deny, but a
//! redirect of its own is ignored (and noted), because it could lead out of what the organization decided.

use std::sync::Arc;

use super::{Deciding, LoadedRule, Refusal, index};
use crate::bundle::v1::{Strategy, Target};
use crate::decision::{DenialReason, TraceStep};
use crate::rule::Verdict;

impl Deciding<'_> {
    /// Where the request is to go: `Pass` for what was asked.
    pub(super) fn entry(&mut self) -> Result<Target, Refusal> {
        let organization = self.run_entry(self.engine.bundle.entry_policy)?;
        let project = self.engine.project(self.subject.project).and_then(|project| project.entry_policy);
        let narrowed = self.run_entry(project)?;
        match (organization, narrowed) {
            (Target::Pass, narrowed) => Ok(narrowed),
            (decided, Target::Pass) => Ok(decided),
            (decided, ignored) => {
                let config = project.and_then(|config| self.engine.configs.get(index(config)));
                let config = config.map(|config| Arc::clone(&config.label)).unwrap_or_default();
                let then = self.label(&ignored);
                self.trace.push(TraceStep::RedirectIgnored { config, then });
                Ok(decided)
            }
        }
    }

    fn run_entry(&mut self, policy: Option<u32>) -> Result<Target, Refusal> {
        let Some(at) = policy else { return Ok(Target::Pass) };
        let engine = self.engine;
        let config = engine.bundle.configs.get(index(at));
        let target = match config.map(|config| &config.strategy) {
            Some(Strategy::CustomRules { otherwise, .. }) => self.first_rule(at, otherwise),
            Some(Strategy::Allowlist { models, otherwise }) => self.entry_allowlist(at, models, otherwise),
            // Compilation lets nothing else be an entry policy; what is not understood is denied.
            Some(
                Strategy::Single(_)
                | Strategy::Fallback { .. }
                | Strategy::CostOptimized { .. }
                | Strategy::LatencyOptimized { .. }
                | Strategy::Ensemble { .. }
                | Strategy::Cascade { .. }
                | Strategy::AbTest { .. }
                | Strategy::NotUnderstood,
            )
            | None => {
                return Err((DenialReason::Policy, "the entry policy can't be understood by this worker".to_owned()));
            }
        };
        match target {
            Target::Deny(message) => {
                let label = engine.configs.get(index(at)).map(|config| config.label.as_ref()).unwrap_or_default();
                Err((DenialReason::Policy, format!("denied by entry policy `{label}`: {message}")))
            }
            other => Ok(other),
        }
    }

    /// Where the first rule that holds leads.
    pub(super) fn first_rule(&mut self, at: u32, otherwise: &Target) -> Target {
        let engine = self.engine;
        let (Some(config), Some(loaded)) = (engine.bundle.configs.get(index(at)), engine.configs.get(index(at))) else {
            return Target::Deny(Arc::from("the config is not in this bundle"));
        };
        let Strategy::CustomRules { rules, .. } = &config.strategy else { return otherwise.clone() };
        self.note_health(&loaded.rules);
        let mut decided = None;
        for (position, (rule, ready)) in (1_u32..).zip(rules.iter().zip(&loaded.rules)) {
            let verdict = ready.rule.holds(&self.facts);
            let holds = verdict.matches(ready.kind);
            if let Verdict::Errored(error) = verdict {
                self.trace.push(TraceStep::RuleErrored { config: Arc::clone(&loaded.label), rule: position, error, counted_as: holds });
            }
            if holds {
                decided = Some((Some(position), Arc::clone(&ready.condition), &rule.then));
                break;
            }
        }
        let (rule, condition, then) = decided.unwrap_or_else(|| (None, Arc::from("else"), otherwise));
        let label = self.label(then);
        self.trace.push(TraceStep::Rule { config: Arc::clone(&loaded.label), version: config.version, rule, condition, then: label });
        then.clone()
    }

    /// Notes the health that rules ask for, so that it can be seen, and the decision be made again.
    fn note_health(&mut self, rules: &[LoadedRule]) {
        for target in rules.iter().flat_map(|loaded| loaded.rule.references().health_targets()) {
            if let Some(health) = self.facts.health.health(target) {
                self.trace.push(TraceStep::Measured { target: Arc::from(target), p50_ms: health.whole_ms(), ok: health.ok });
            }
        }
    }

    /// An allowlist lets what was asked pass if any of its targets is on the list, and then binds every target.
    fn entry_allowlist(&mut self, at: u32, models: &[String], otherwise: &Target) -> Target {
        // Bound while looking, so that a strategy that selects does so among what is on the list.
        self.allowlists.push(at);
        let asked = self.resolve_asked();
        let allowed = asked.is_ok_and(|route| super::resolve::any_target(&route, &mut |target| self.admits(models, target)));
        let config = self.engine.configs.get(index(at)).map(|config| Arc::clone(&config.label)).unwrap_or_default();
        self.trace.push(TraceStep::Allowlist { config, allowed });
        if allowed {
            return Target::Pass;
        }
        self.allowlists.pop();
        otherwise.clone()
    }

    /// How a target is written.
    pub(super) fn label(&self, target: &Target) -> Arc<str> {
        match target {
            Target::Config(config) => self.engine.configs.get(index(*config)).map(|config| Arc::clone(&config.label)).unwrap_or_default(),
            Target::Model { provider, name } => {
                let provider = self.engine.provider(*provider).map(|provider| provider.name.as_ref()).unwrap_or_default();
                Arc::from(format!("{provider}/{name}"))
            }
            Target::Pass => Arc::from("pass"),
            Target::Deny(_) => Arc::from("deny"),
        }
    }
}
