//! Budgets on models and providers: what such a budget has run down is served by the config that it names.
//!
//! Runs once a route is resolved, because only then it is known which of them apply. A stand-in is not looked at again, so that budgets
//! can't send a request round in a circle; one that blocks still holds for it at admission.
//!
//! Leaves out: budgets on who asks, which decide before anything is resolved (`budgets`).

use super::{BudgetView, Deciding, Refusal};
use crate::bundle::v1::Target;
use crate::decision::{ResolvedTarget, Route, RouteAttempt};

impl Deciding<'_> {
    /// `route` with a stand-in for each target that a budget sends elsewhere, and the first such budget.
    pub(super) fn stand_in(&mut self, route: Route, view: &dyn BudgetView) -> Result<(Route, Option<u32>), Refusal> {
        match route {
            Route::Target(target) => match self.note_target_budgets(&target, view) {
                Some((budget, config)) => Ok((self.resolve_permitted(&Target::Config(config))?, Some(budget))),
                None => Ok((Route::Target(target), None)),
            },
            Route::Fallback { attempts, retry_on, total_budget_ms } => {
                let (mut kept, mut by, mut refusal) = (Vec::with_capacity(attempts.len()), None, None);
                for RouteAttempt { route, timeout_ms } in attempts {
                    match self.stand_in(route, view) {
                        Ok((route, budget)) => {
                            by = by.or(budget);
                            kept.push(RouteAttempt { route, timeout_ms });
                        }
                        Err(refused) => refusal = Some(refused),
                    }
                }
                match refusal {
                    Some(refusal) if kept.is_empty() => Err(refusal),
                    _ => Ok((Route::Fallback { attempts: kept, retry_on, total_budget_ms }, by)),
                }
            }
            Route::Ensemble(ensemble) => self.stand_in_members(ensemble, view),
        }
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
