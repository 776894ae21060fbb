//! Cascades: steps resolved, and what each accepts checked against the vocabulary of responses.

use super::routing::Place;
use crate::bundle::v1;
use crate::rule::{Rule, RuleKind};
use crate::source::CascadeStep;

/// Each of them is paid for and waited for.
const MAX_STEPS: usize = 8;

impl Place<'_, '_> {
    pub(super) fn cascade(&mut self, steps: &[CascadeStep]) -> v1::Strategy {
        if !(2..=MAX_STEPS).contains(&steps.len()) {
            self.reject("steps", format!("a cascade has 2 to {MAX_STEPS} steps; for one, write `single`"));
        }
        let sources = steps.iter().filter_map(|step| step.accept.as_deref());
        let mut checked = Rule::compile_all(sources.map(|source| (source, RuleKind::Accepts))).into_iter();
        let last = steps.len().saturating_sub(1);
        let mut compiled = Vec::with_capacity(steps.len());
        for (position, step) in steps.iter().enumerate() {
            let target = self.route_target(&step.model, &format!("steps[{position}].model"));
            let field = format!("steps[{position}].accept");
            match step.accept.as_ref().and_then(|_| checked.next()) {
                Some(_) if position == last => self.reject(field, "the last step is always accepted; leave it out, or add a step"),
                Some(Err(error)) => self.reject(field, error.to_string()),
                None if position != last => {
                    self.reject(field, "is missing, and without it no further step is ever asked; write an expression over `response`");
                }
                Some(Ok(_)) | None => {}
            }
            compiled.push(v1::Step { target, accept: step.accept.clone() });
        }
        v1::Strategy::Cascade { steps: compiled }
    }
}
