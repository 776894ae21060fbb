//! Cascades: each step resolved on its own, with the expression that judges its answer.
//!
//! A step that is not allowed is left out, as an attempt of a fallback is. Whichever is the last one left is always accepted.

use std::sync::Arc;

use super::{Deciding, LoadedRule, Refusal};
use crate::bundle::v1::Step;
use crate::decision::{Cascade, DenialReason, Route, RouteStep};

impl Deciding<'_> {
    pub(super) fn resolve_cascade(&mut self, label: &Arc<str>, steps: &[Step], rules: &[LoadedRule], depth: u32) -> Result<Route, Refusal> {
        let mut resolved = Vec::with_capacity(steps.len());
        let mut refusal = None;
        let mut rules = rules.iter();
        for step in steps {
            let accept = step.accept.as_ref().and_then(|_| rules.next()).map(|loaded| loaded.rule.clone());
            match self.resolve(&step.target, depth) {
                Ok(route) => resolved.push(RouteStep { route, accept }),
                Err(refused) => refusal = Some(refused),
            }
        }
        if resolved.is_empty() {
            return Err(refusal.unwrap_or_else(|| (DenialReason::Policy, format!("`{label}` has no step for this worker"))));
        }
        Ok(Route::Cascade(Cascade { config: Arc::clone(label), steps: resolved }))
    }

    pub(super) fn keep_cascade(&mut self, cascade: Cascade, last_refusal: &mut Option<Refusal>) -> Option<Route> {
        let Cascade { config, steps } = cascade;
        let mut kept = Vec::with_capacity(steps.len());
        for RouteStep { route, accept } in steps {
            kept.extend(self.keep_permitted(route, last_refusal).map(|route| RouteStep { route, accept }));
        }
        (!kept.is_empty()).then_some(Route::Cascade(Cascade { config, steps: kept }))
    }
}
