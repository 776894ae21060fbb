//! Which budgets apply to a request, and what they make of it.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{BudgetView, Deciding, Engine, index};
use crate::bundle::v1::{Budget, Bundle, Scope};
use crate::decision::{Claim, TraceStep};
use crate::facts::{BudgetFacts, RequestFacts, Subject};
use crate::money::{NanoUsd, Usd};
use crate::source::{AtCap, BudgetMode};

/// Budgets sorted by what they need to know of a request.
#[derive(Debug)]
pub(super) struct BudgetIndex {
    /// By key: budgets that apply to each of its requests. Shared, so that most requests allocate nothing here.
    fixed: Vec<Arc<[Claim]>>,
    /// By end user or tag value.
    varying: Vec<(u32, Scope)>,
    /// On models and providers, looked at once a target is resolved.
    on_targets: Vec<(u32, Scope)>,
}

/// Whether the budget must never be passed.
pub(crate) fn blocks(budget: &Budget) -> bool {
    budget.at_cap == AtCap::Block && budget.mode == BudgetMode::Enforce
}

impl BudgetIndex {
    pub(super) fn new(bundle: &Bundle) -> Self {
        let none: Arc<str> = Arc::default();
        let mut organization = Vec::new();
        let mut projects: HashMap<u32, Vec<Claim>> = HashMap::new();
        let mut keys: HashMap<u32, Vec<Claim>> = HashMap::new();
        let (mut varying, mut on_targets) = (Vec::new(), Vec::new());
        for (budget, declared) in (0_u32..).zip(&bundle.budgets) {
            let claim = Claim { budget, scope_value: Arc::clone(&none) };
            match &declared.scope {
                Scope::Organization => organization.push(claim),
                Scope::Project(project) => projects.entry(*project).or_default().push(claim),
                Scope::Key(key) => keys.entry(*key).or_default().push(claim),
                Scope::EndUser(_) | Scope::EachEndUser | Scope::Tag(..) | Scope::EachTag(_) => {
                    varying.push((budget, declared.scope.clone()))
                }
                Scope::Model(_) | Scope::Provider(_) => on_targets.push((budget, declared.scope.clone())),
            }
        }
        let of_key = |(position, key): (u32, &crate::bundle::v1::Key)| {
            let project = projects.get(&key.project).into_iter().flatten();
            let own = keys.get(&position).into_iter().flatten();
            organization.iter().chain(project).chain(own).cloned().collect()
        };
        Self { fixed: (0_u32..).zip(&bundle.keys).map(of_key).collect(), varying, on_targets }
    }

    /// The budgets that apply whichever target serves the request.
    pub(super) fn claims(&self, subject: &Subject, request: &RequestFacts) -> Arc<[Claim]> {
        let fixed = self.fixed.get(index(subject.key)).cloned().unwrap_or_default();
        let extra: SmallVec<[Claim; 4]> =
            self.varying.iter().filter_map(|(budget, scope)| varying_claim(*budget, scope, request)).collect();
        if extra.is_empty() {
            return fixed;
        }
        fixed.iter().cloned().chain(extra).collect()
    }

    /// The budgets on a model or its provider.
    pub(super) fn target_claims(&self, provider: u32, provider_name: &str, model: &str) -> SmallVec<[Claim; 2]> {
        self.claims_on_targets(provider, |pattern| super::resolve::pattern_matches(pattern, provider_name, model))
    }

    /// The budgets on a provider or on any model that it may have.
    pub(super) fn provider_claims(&self, provider: u32, provider_name: &str) -> SmallVec<[Claim; 2]> {
        self.claims_on_targets(provider, |pattern| super::resolve::reaches(std::slice::from_ref(pattern), provider_name))
    }

    fn claims_on_targets(&self, provider: u32, is_meant: impl Fn(&String) -> bool) -> SmallVec<[Claim; 2]> {
        let applies = |scope: &Scope| match scope {
            Scope::Provider(budgeted) => *budgeted == provider,
            Scope::Model(pattern) => is_meant(pattern),
            Scope::Organization
            | Scope::Project(_)
            | Scope::Key(_)
            | Scope::EndUser(_)
            | Scope::EachEndUser
            | Scope::Tag(..)
            | Scope::EachTag(_) => false,
        };
        let claim = |(budget, _): &(u32, Scope)| Claim { budget: *budget, scope_value: Arc::default() };
        self.on_targets.iter().filter(|(_, scope)| applies(scope)).map(claim).collect()
    }
}

fn varying_claim(budget: u32, scope: &Scope, request: &RequestFacts) -> Option<Claim> {
    let each = |value: &str| Some(Claim { budget, scope_value: Arc::from(value) });
    match scope {
        Scope::EndUser(id) => request.end_user.as_ref().filter(|user| *user == id).and_then(|_| each("")),
        Scope::EachEndUser => request.end_user.as_ref().map(|user| Claim { budget, scope_value: Arc::clone(user) }),
        Scope::Tag(tag, value) => request.tags.get(tag).filter(|have| *have == value.as_ref()).and_then(|_| each("")),
        Scope::EachTag(tag) => request.tags.get(tag).and_then(each),
        Scope::Organization | Scope::Project(_) | Scope::Key(_) | Scope::Model(_) | Scope::Provider(_) => None,
    }
}

/// The budget with the largest used share of its cap; a cap of zero counts as used up.
pub(super) fn most_constraining(budgets: &[BudgetFacts<'_>]) -> Option<usize> {
    let tighter = |one: &BudgetFacts<'_>, other: &BudgetFacts<'_>| {
        let share = |budget: &BudgetFacts<'_>| if budget.cap.is_positive() { (budget.used.nanos(), budget.cap.nanos()) } else { (1, 1) };
        let ((one_used, one_cap), (other_used, other_cap)) = (share(one), share(other));
        let left = i128::from(one_used).saturating_mul(i128::from(other_cap));
        left.cmp(&i128::from(other_used).saturating_mul(i128::from(one_cap)))
    };
    (0..budgets.len()).max_by(|&one, &other| match (budgets.get(one), budgets.get(other)) {
        (Some(a), Some(b)) => tighter(a, b).then(other.cmp(&one)),
        _ => std::cmp::Ordering::Equal,
    })
}

impl Engine {
    /// The first of the budgets that must never be passed.
    pub(super) fn first_blocking(&self, claims: &[Claim]) -> Option<&str> {
        claims.iter().find_map(|claim| self.budget(claim.budget).filter(|budget| blocks(budget))).map(|budget| budget.name.as_ref())
    }

    pub(super) fn budget_facts(&self, claims: &[Claim], view: &dyn BudgetView) -> SmallVec<[BudgetFacts<'_>; 6]> {
        let facts = |claim: &Claim| {
            let budget = self.budget(claim.budget)?;
            Some(BudgetFacts { name: &budget.name, used: view.used(claim), cap: budget.cap })
        };
        claims.iter().filter_map(facts).collect()
    }
}

impl Deciding<'_> {
    /// Notes every applicable budget in the trace; answers the tightest one that sends the request elsewhere, and where.
    pub(super) fn note_budgets(&mut self, claims: &[Claim]) -> Option<(u32, u32)> {
        let mut downgrade: Option<(u32, u32)> = None;
        for (position, (claim, facts)) in claims.iter().zip(self.facts.budgets).enumerate() {
            if let Some(config) = self.note_budget(claim.budget, facts.used) {
                // A budget that is the most constraining decides where to; otherwise the first one that says so.
                let tightest = self.facts.most_constraining == Some(position);
                if downgrade.is_none() || tightest {
                    downgrade = Some((claim.budget, config));
                }
            }
        }
        downgrade
    }

    /// Notes one budget in the trace; answers where it sends the request, if it does.
    pub(super) fn note_budget(&mut self, at: u32, used: NanoUsd) -> Option<u32> {
        let budget = self.engine.budget(at)?;
        let action = action_of(budget, used);
        self.trace.push(TraceStep::Budget {
            name: Arc::clone(&budget.name),
            used_usd: Usd(used),
            cap_usd: Usd(budget.cap),
            action: action.into(),
        });
        budget.downgrade_to.filter(|_| action == "downgrade")
    }
}

/// What a budget does at this use: `ok`, its action, or `would_…` where it only watches.
fn action_of(budget: &Budget, used: NanoUsd) -> &'static str {
    let shadow = budget.mode == BudgetMode::Shadow;
    match &budget.at_cap {
        AtCap::Downgrade(_) if budget.downgrade_at.reached_by(used, budget.cap) => {
            if shadow {
                "would_downgrade"
            } else {
                "downgrade"
            }
        }
        AtCap::Block if used >= budget.cap => {
            if shadow {
                "would_block"
            } else {
                "block"
            }
        }
        AtCap::WarnOnly if used >= budget.cap => {
            if shadow {
                "would_warn"
            } else {
                "warn_only"
            }
        }
        AtCap::Downgrade(_) | AtCap::Block | AtCap::WarnOnly => "ok",
    }
}
