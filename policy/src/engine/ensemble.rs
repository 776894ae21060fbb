//! Ensembles: each member resolved on its own, and what is left of them once everything forbidden is gone.
//!
//! A member that is not allowed is left out as an attempt of a fallback is. Where fewer are left than the quorum asks for, the request is
//! refused before anybody is paid; a judge that is not allowed refuses it too, because nobody else may decide in its place.

use std::sync::Arc;

use super::stand_in::StoodIn;
use super::{BudgetView, Deciding, Refusal};
use crate::bundle::v1::{Member, Target};
use crate::decision::{DenialReason, Ensemble, Route, RouteMember};
use crate::source::Aggregation;

/// How the answers become one.
pub(super) struct Plan<'a> {
    pub aggregation: Aggregation,
    pub judge: Option<&'a Target>,
    pub timeout_ms: Option<u64>,
    pub quorum: u32,
}

impl Deciding<'_> {
    pub(super) fn resolve_ensemble(&mut self, label: &Arc<str>, members: &[Member], plan: &Plan<'_>, depth: u32) -> Result<Route, Refusal> {
        let mut resolved = Vec::with_capacity(members.len());
        let mut refusal = None;
        for member in members {
            match self.resolve(&member.target, depth) {
                Ok(route) => resolved.push(RouteMember { route, weight_ppm: member.weight_ppm }),
                Err(refused) => refusal = Some(refused),
            }
        }
        let judge = plan.judge.map(|judge| self.resolve(judge, depth).map(Box::new)).transpose()?;
        let quorum = super::index(plan.quorum).max(1);
        if resolved.len() < quorum {
            return Err(refusal.unwrap_or_else(|| too_few(label, resolved.len(), quorum)));
        }
        let (config, aggregation) = (Arc::clone(label), plan.aggregation);
        Ok(Route::Ensemble(Ensemble { config, aggregation, members: resolved, judge, timeout_ms: plan.timeout_ms, quorum }))
    }

    pub(super) fn keep_ensemble(&mut self, ensemble: Ensemble, last_refusal: &mut Option<Refusal>) -> Option<Route> {
        let Ensemble { config, aggregation, members, judge, timeout_ms, quorum } = ensemble;
        let mut kept = Vec::with_capacity(members.len());
        for RouteMember { route, weight_ppm } in members {
            kept.extend(self.keep_permitted(route, last_refusal).map(|route| RouteMember { route, weight_ppm }));
        }
        let judge = match judge {
            Some(judge) => Some(Box::new(self.keep_permitted(*judge, last_refusal)?)),
            None => None,
        };
        if kept.len() < quorum {
            last_refusal.get_or_insert_with(|| too_few(&config, kept.len(), quorum));
            return None;
        }
        Some(Route::Ensemble(Ensemble { config, aggregation, members: kept, judge, timeout_ms, quorum }))
    }

    /// Members and judge with their stand-ins, and the first budget that asked for one.
    pub(super) fn stand_in_members(&mut self, ensemble: Ensemble, view: &dyn BudgetView) -> Result<(Route, Option<u32>), Refusal> {
        let Ensemble { config, aggregation, members, judge, timeout_ms, quorum } = ensemble;
        let parts = members.into_iter().map(|member| (member.route, member.weight_ppm));
        let StoodIn { parts, mut by, refusal } = self.stand_in_each(parts, view);
        let members: Vec<_> = parts.into_iter().map(|(route, weight_ppm)| RouteMember { route, weight_ppm }).collect();
        let judge = match judge {
            Some(judge) => {
                let (route, budget) = self.stand_in(*judge, view)?;
                by = by.or(budget);
                Some(Box::new(route))
            }
            None => None,
        };
        if members.len() < quorum {
            return Err(refusal.unwrap_or_else(|| too_few(&config, members.len(), quorum)));
        }
        Ok((Route::Ensemble(Ensemble { config, aggregation, members, judge, timeout_ms, quorum }), by))
    }
}

fn too_few(label: &str, left: usize, quorum: usize) -> Refusal {
    (DenialReason::Policy, format!("`{label}` needs answers of {quorum} members, and this key may use {left}"))
}
