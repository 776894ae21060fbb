//! Ensembles: each member resolved on its own. What leads nowhere is left out, as long as the quorum can be reached without it.

use std::sync::Arc;

use super::parts::Kept;
use super::{Deciding, Refusal};
use crate::bundle::v1::{Member, Target};
use crate::decision::{Ensemble, Route, RouteMember};
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
        self.branch();
        let resolved =
            members.iter().map(|member| Ok(RouteMember { route: self.resolve(&member.target, depth)?, weight_ppm: member.weight_ppm }));
        let resolved: Kept<_> = resolved.collect();
        let judge = plan.judge.map(|judge| self.resolve(judge, depth).map(Box::new)).transpose()?;
        let quorum = super::index(plan.quorum).max(1);
        let members = resolved.quorum(quorum, label)?;
        let (config, aggregation) = (Arc::clone(label), plan.aggregation);
        Ok(Route::Ensemble(Ensemble { config, aggregation, members, judge, timeout_ms: plan.timeout_ms, quorum }))
    }
}
