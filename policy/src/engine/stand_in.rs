//! Budgets on models and providers: what such a budget has run down is served by the config that it names.
//!
//! Runs once a route is resolved, because only then it is known which of them apply. A stand-in is not looked at again, so that budgets
//! can't send a request round in a circle; one that blocks still holds for it at admission.
//!
//! Leaves out: budgets on who asks, which decide before anything is resolved (`budgets`).

use super::{BudgetView, Deciding, Refusal};
use crate::bundle::v1::Target;
use crate::decision::{Cascade, ResolvedTarget, Route, RouteAttempt, RouteStep};

/// What is left of a route's parts.
pub(super) struct StoodIn<P> {
    pub(super) parts: Vec<(Route, P)>,
    /// The first budget that sent one elsewhere.
    pub(super) by: Option<u32>,
    /// The last that was refused.
    pub(super) refusal: Option<Refusal>,
}

impl Deciding<'_> {
    /// `route` with a stand-in for each target that a budget sends elsewhere, and the first such budget.
    pub(super) fn stand_in(&mut self, route: Route, view: &dyn BudgetView) -> Result<(Route, Option<u32>), Refusal> {
        match route {
            Route::Target(target) => match self.note_target_budgets(&target, view) {
                Some((budget, config)) => Ok((self.resolve_permitted(&Target::Config(config))?, Some(budget))),
                None => Ok((Route::Target(target), None)),
            },
            Route::Fallback { attempts, retry_on, total_budget_ms } => {
                let parts = attempts.into_iter().map(|attempt| (attempt.route, attempt.timeout_ms));
                let StoodIn { parts, by, refusal } = self.stand_in_each(parts, view);
                let attempts: Vec<_> = parts.into_iter().map(|(route, timeout_ms)| RouteAttempt { route, timeout_ms }).collect();
                match refusal {
                    Some(refusal) if attempts.is_empty() => Err(refusal),
                    _ => Ok((Route::Fallback { attempts, retry_on, total_budget_ms }, by)),
                }
            }
            Route::Ensemble(ensemble) => self.stand_in_members(ensemble, view),
            Route::Cascade(Cascade { config, steps }) => {
                let StoodIn { parts, by, refusal } = self.stand_in_each(steps.into_iter().map(|step| (step.route, step.accept)), view);
                let steps: Vec<_> = parts.into_iter().map(|(route, accept)| RouteStep { route, accept }).collect();
                match refusal {
                    Some(refusal) if steps.is_empty() => Err(refusal),
                    _ => Ok((Route::Cascade(Cascade { config, steps }), by)),
                }
            }
        }
    }

    /// Every part of a route on its own; those whose stand-in is refused are left out.
    pub(super) fn stand_in_each<P>(&mut self, parts: impl Iterator<Item = (Route, P)>, view: &dyn BudgetView) -> StoodIn<P> {
        let mut stood_in = StoodIn { parts: Vec::new(), by: None, refusal: None };
        for (route, part) in parts {
            match self.stand_in(route, view) {
                Ok((route, budget)) => {
                    stood_in.by = stood_in.by.or(budget);
                    stood_in.parts.push((route, part));
                }
                Err(refused) => stood_in.refusal = Some(refused),
            }
        }
        stood_in
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
