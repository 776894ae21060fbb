//! Cascades: each step resolved on its own, with the expression that judges its answer.
//!
//! A step that leads nowhere is left out, as an attempt of a fallback is. Whichever is the last one left is always accepted.

use std::sync::Arc;

use super::parts::Kept;
use super::{Deciding, LoadedRule, Refusal};
use crate::bundle::v1::Step;
use crate::decision::{Cascade, Route, RouteStep};

impl Deciding<'_> {
    pub(super) fn resolve_cascade(&mut self, label: &Arc<str>, steps: &[Step], rules: &[LoadedRule], depth: u32) -> Result<Route, Refusal> {
        self.branch();
        let mut rules = rules.iter();
        let resolved = steps.iter().map(|step| {
            let accept = step.accept.as_ref().and_then(|_| rules.next()).map(|loaded| loaded.rule.clone());
            Ok(RouteStep { route: self.resolve(&step.target, depth)?, accept })
        });
        let steps = resolved.collect::<Kept<_>>().any()?;
        Ok(Route::Cascade(Cascade { config: Arc::clone(label), steps }))
    }
}
