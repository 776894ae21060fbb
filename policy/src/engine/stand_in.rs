//! Budgets on models and providers: what such a budget has run down is served by the config that it names.
//!
//! Runs once a route is resolved, because only then it is known which of them apply. A stand-in is not looked at again, so that budgets
//! can't send a request round in a circle; one that blocks still holds for it at admission.
//!
//! Leaves out: budgets on who asks, which decide before anything is resolved (`budgets`).

use super::dimensions::note_dimensions;
use super::parts::replace_targets;
use super::{BudgetView, Deciding, Refusal};
use crate::bundle::v1::Target;
use crate::decision::{ResolvedTarget, Route};

impl Deciding<'_> {
    /// `route` with a stand-in for each target that a budget sends elsewhere, and the first such budget.
    pub(super) fn stand_in(&mut self, route: Route, view: &dyn BudgetView) -> Result<(Route, Option<u32>), Refusal> {
        let mut by = None;
        let route = replace_targets(route, &mut |target| {
            let noted = self.note_target_budgets(&target, view);
            let Some((budget, config)) = self.follow(noted)? else { return Ok(Route::Target(target)) };
            let mut elsewhere = self.resolve_permitted(&Target::Config(config))?;
            note_dimensions(&mut elsewhere, target.dimensions);
            by.get_or_insert(budget);
            Ok(elsewhere)
        })?;
        Ok((route, by))
    }

    /// Notes every budget on this target in the trace; answers the first that sends it elsewhere, and where.
    fn note_target_budgets(&mut self, target: &ResolvedTarget, view: &dyn BudgetView) -> Option<(u32, u32)> {
        let mut downgrade = None;
        for claim in &target.claims {
            let config = self.note_budget(claim.budget, view.used(claim));
            downgrade = downgrade.or(config.map(|config| (claim.budget, config)));
        }
        downgrade
    }
}
