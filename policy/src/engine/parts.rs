//! What is left of a route when some of its targets are refused or replaced: the one walk over a resolved route.
//!
//! A fallback and a cascade go on with whatever is left of them. An ensemble needs as many members as its quorum asks for, so that the
//! request is refused before anybody is paid; a judge that is refused refuses it too, because nobody else may decide in its place.

use super::Refusal;
use crate::decision::{Cascade, DenialReason, Ensemble, ResolvedTarget, Route, RouteAttempt, RouteMember, RouteStep};

/// Parts that were not refused, in their order.
pub(super) struct Kept<P> {
    parts: Vec<P>,
    /// The last that was refused.
    refusal: Option<Refusal>,
}

impl<P> FromIterator<Result<P, Refusal>> for Kept<P> {
    fn from_iter<I: IntoIterator<Item = Result<P, Refusal>>>(parts: I) -> Self {
        let parts = parts.into_iter();
        let mut kept = Self { parts: Vec::with_capacity(parts.size_hint().1.unwrap_or(0)), refusal: None };
        for part in parts {
            match part {
                Ok(part) => kept.parts.push(part),
                Err(refusal) => kept.refusal = Some(refusal),
            }
        }
        kept
    }
}

impl<P> Kept<P> {
    /// What is left, if anything is.
    pub(super) fn any(self) -> Result<Vec<P>, Refusal> {
        self.at_least(1, |_| (DenialReason::Policy, "no target is left".to_owned()))
    }

    /// What is left of the members of ensemble `label`, if that is enough.
    pub(super) fn quorum(self, quorum: usize, label: &str) -> Result<Vec<P>, Refusal> {
        self.at_least(quorum, |left| {
            (DenialReason::Policy, format!("`{label}` needs answers of {quorum} members, and this key may use {left}"))
        })
    }

    /// Why a part is missing says more than how many are left.
    fn at_least(self, needed: usize, too_few: impl FnOnce(usize) -> Refusal) -> Result<Vec<P>, Refusal> {
        let left = self.parts.len();
        if left < needed { Err(self.refusal.unwrap_or_else(|| too_few(left))) } else { Ok(self.parts) }
    }
}

impl Route {
    /// Shows every target that may be asked, judges too, in the order of the route.
    pub fn each_target<'r>(&'r self, show: &mut dyn FnMut(&'r ResolvedTarget)) {
        match self {
            Self::Target(target) => show(target),
            Self::Fallback { attempts, .. } => attempts.iter().for_each(|attempt| attempt.route.each_target(show)),
            Self::Ensemble(ensemble) => {
                let parts = ensemble.members.iter().map(|member| &member.route).chain(ensemble.judge.as_deref());
                parts.for_each(|route| route.each_target(show));
            }
            Self::Cascade(cascade) => cascade.steps.iter().for_each(|step| step.route.each_target(show)),
        }
    }
}

/// Lets `change` have every target, judges too.
pub(super) fn each_target_mut(route: &mut Route, change: &mut dyn FnMut(&mut ResolvedTarget)) {
    match route {
        Route::Target(target) => change(target),
        Route::Fallback { attempts, .. } => attempts.iter_mut().for_each(|attempt| each_target_mut(&mut attempt.route, change)),
        Route::Ensemble(ensemble) => {
            let members = ensemble.members.iter_mut().map(|member| &mut member.route);
            members.chain(ensemble.judge.as_deref_mut()).for_each(|route| each_target_mut(route, change));
        }
        Route::Cascade(cascade) => cascade.steps.iter_mut().for_each(|step| each_target_mut(&mut step.route, change)),
    }
}

/// `route` with what `replace` gives in the place of each target.
pub(super) fn replace_targets(route: Route, replace: &mut dyn FnMut(ResolvedTarget) -> Result<Route, Refusal>) -> Result<Route, Refusal> {
    Ok(match route {
        Route::Target(target) => replace(target)?,
        Route::Fallback { attempts, retry_on, total_budget_ms } => {
            let kept = attempts
                .into_iter()
                .map(|RouteAttempt { route, timeout_ms }| Ok(RouteAttempt { route: replace_targets(route, replace)?, timeout_ms }));
            Route::Fallback { attempts: kept.collect::<Kept<_>>().any()?, retry_on, total_budget_ms }
        }
        Route::Ensemble(ensemble) => {
            let Ensemble { config, aggregation, members, judge, timeout_ms, quorum } = ensemble;
            let kept = members
                .into_iter()
                .map(|RouteMember { route, weight_ppm }| Ok(RouteMember { route: replace_targets(route, replace)?, weight_ppm }));
            let kept: Kept<_> = kept.collect();
            let judge = judge.map(|judge| replace_targets(*judge, replace).map(Box::new)).transpose()?;
            let members = kept.quorum(quorum, &config)?;
            Route::Ensemble(Ensemble { config, aggregation, members, judge, timeout_ms, quorum })
        }
        Route::Cascade(Cascade { config, steps }) => {
            let kept =
                steps.into_iter().map(|RouteStep { route, accept }| Ok(RouteStep { route: replace_targets(route, replace)?, accept }));
            Route::Cascade(Cascade { config, steps: kept.collect::<Kept<_>>().any()? })
        }
    })
}
