//! From permit to admission: the money for one attempt is held before anything is sent.
//!
//! Invariant: an [`Admission`] can only be made here, and everything in `upstream` takes one, for every attempt. Its reservation ends by
//! `settle` or `release`; there is no third way.
//!
//! The amount is the worst case: all input (the whole context where the provider adds to the prompt) at the dearest input rate, all output
//! that may come at the dearest output rate, in the dearest context length that so much input can reach. Where neither the caller nor the
//! model bounds the output, a bound is sent along, because money that has no bound can't be held. Models without a price
//! hold nothing (whether they are served at all is the bundle's `unpriced_models`). What does not fit so is counted in [`exact`] before it is
//! refused.

mod exact;
pub(crate) mod rate;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use policy::decision::{BudgetShortfall, Claim, DenialReason, Permit, ResolvedTarget, TraceStep};
use policy::event::wire::HeldIn;
use policy::facts::RequestFacts;
use policy::money::{NanoUsd, Usd};
use policy::source::{AtCap, BudgetMode};
use smallvec::SmallVec;

use crate::budget::{AccountView, Budgets, Reservation};
use crate::policy_feed::OrgPolicy;

pub(crate) use exact::Prompt;

/// Output limits are not clamped below this: such an answer would be of no use.
const LEAST_CLAMPED: u64 = 16;

/// A permit with the money for one attempt.
#[must_use = "an admission holds money until it is settled or released"]
pub(crate) struct Admission<'p> {
    target: &'p ResolvedTarget,
    reservation: Reservation,
    output_limit: Option<u32>,
    clamped: bool,
    counted: Option<u64>,
}

impl<'p> Admission<'p> {
    /// Where it leads.
    pub(crate) fn target(&self) -> &'p ResolvedTarget {
        self.target
    }

    /// The limit of the output of one answer that has to be sent along; none where the request may go as it is.
    pub(crate) fn output_limit(&self) -> Option<u32> {
        self.output_limit
    }

    /// The limit that was lowered to what is affordable, for the header that says so.
    pub(crate) fn clamped_to(&self) -> Option<u32> {
        self.output_limit.filter(|_| self.clamped)
    }

    /// Input tokens at most, as they are held: by counting where that was needed, otherwise as [`ResolvedTarget::input_bound`] has it.
    pub(crate) fn input_bound(&self, facts: &RequestFacts) -> Option<u64> {
        self.counted.or_else(|| self.target.input_bound(facts))
    }

    /// What is held.
    pub(crate) fn amount(&self) -> NanoUsd {
        self.reservation.amount()
    }

    /// What it is held in.
    pub(crate) fn held_in(&self) -> Vec<HeldIn> {
        self.reservation.held_in()
    }

    /// Whether it is held in just these.
    pub(crate) fn is_held_in(&self, places: &[HeldIn]) -> bool {
        self.reservation.is_held_in(places)
    }

    /// The truth replaces what is held.
    pub(crate) fn settle(self, actual: NanoUsd) {
        self.reservation.settle(actual);
    }

    /// Nothing was consumed.
    pub(crate) fn release(self) {
        self.reservation.release();
    }
}

/// How an attempt could not be admitted.
pub(crate) type NotAdmitted = DenialReason;

/// What is needed to admit attempts of one request.
pub(crate) struct Gate<'r> {
    pub budgets: &'r Budgets,
    pub policy: &'r Arc<OrgPolicy>,
    pub facts: &'r RequestFacts,
    /// What the input can be counted from; absent where no texts are sent.
    pub prompt: Option<Prompt<'r>>,
    /// Whether the output may be lowered to what is affordable, where a budget says so.
    pub clamps: bool,
    pub now: DateTime<Utc>,
}

/// A worst case and the output limit that makes it one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorstCase {
    pub amount: NanoUsd,
    pub output_limit: Option<u32>,
}

impl Gate<'_> {
    /// Holds the worst case of one attempt at `target` in every budget that applies; records it in the permit's trace.
    pub(crate) async fn admit<'p>(
        &self,
        permit_claims: &[Claim],
        target: &'p ResolvedTarget,
        trace: &mut policy::decision::Trace,
    ) -> Result<Admission<'p>, NotAdmitted> {
        let claims = all_claims(permit_claims, target);
        let worst = worst_case(self.facts, target, !claims.is_empty());
        let (mut amount, mut output_limit, mut clamped) = (worst.amount, worst.output_limit, false);
        let (mut input, mut counted) = (input_bound(self.facts, target), None);
        // Counted once, lowered to what all budgets have, and once more where others were quicker; the bound keeps a race from going on.
        for round in 0..5 {
            let refused = match self.budgets.reserve(self.policy, &claims, amount, self.now).await {
                Ok(reservation) => {
                    trace.push(TraceStep::Reserved { target: Arc::clone(&target.label), usd: Usd(amount) });
                    return Ok(Admission { target, reservation, output_limit, clamped, counted });
                }
                Err(refused) => refused,
            };
            let DenialReason::Budget(shortfall) = &refused else { return Err(refused) };
            if round == 0
                && let Some(tokens) = Box::pin(self.count_input(shortfall, target)).await
            {
                trace.push(TraceStep::Counted { target: Arc::clone(&target.label), tokens, bound: input });
                (input, counted) = (tokens, Some(tokens));
                amount = cost_of(self.facts, target, input, target.output_limit(self.facts.max_output_tokens));
                continue;
            }
            let Some(tokens) = self.affordable(shortfall, &claims, target, input, output_limit) else { return Err(refused) };
            trace.push(TraceStep::Clamped { target: Arc::clone(&target.label), tokens, budget: Arc::clone(&shortfall.name) });
            (amount, output_limit, clamped) = (cost_of(self.facts, target, input, u64::from(tokens)), Some(tokens), true);
        }
        Err(DenialReason::BudgetUnavailable)
    }

    /// The output limit that fits beside `input` into what is left, where the budget says that lowering is better than refusing. What is left
    /// is that of the budget with the least of all those that say so: each of them would be short in turn.
    fn affordable(
        &self,
        short: &BudgetShortfall,
        claims: &[Claim],
        target: &ResolvedTarget,
        input: u64,
        limit: Option<u32>,
    ) -> Option<u32> {
        let prices = target.prices.as_ref().filter(|_| self.clamps_for(short))?;
        let choices = u64::from(self.facts.choices);
        // Each answer shares the input; the limit is per answer.
        let standing =
            claims.iter().filter(|claim| self.clamps(claim)).filter_map(|claim| self.budgets.standing(self.policy, claim, self.now));
        let left = standing.map(|(used, cap)| cap.saturating_sub(used)).fold(left_of(short), NanoUsd::min);
        let tokens = prices.affordable_output(left, input).checked_div(choices)?;
        let before = limit.map_or(u64::MAX, u64::from).min(target.output_limit(self.facts.max_output_tokens));
        let tokens = if tokens >= before { before.saturating_sub(1) } else { tokens };
        u32::try_from(tokens).ok().filter(|_| tokens >= LEAST_CLAMPED)
    }

    fn clamps(&self, claim: &Claim) -> bool {
        let budgets = &self.policy.engine.bundle().budgets;
        usize::try_from(claim.budget).is_ok_and(|index| budgets.get(index).is_some_and(|budget| budget.clamp_output))
    }

    /// Whether the output is lowered to what is left of this budget.
    fn clamps_for(&self, short: &BudgetShortfall) -> bool {
        let budgets = &self.policy.engine.bundle().budgets;
        self.clamps && budgets.iter().any(|budget| budget.name == short.name && budget.clamp_output)
    }
}

fn left_of(short: &BudgetShortfall) -> NanoUsd {
    short.cap.saturating_sub(short.spend)
}

fn all_claims<'c>(permit: &'c [Claim], target: &ResolvedTarget) -> std::borrow::Cow<'c, [Claim]> {
    if target.claims.is_empty() {
        return std::borrow::Cow::Borrowed(permit);
    }
    let all: SmallVec<[Claim; 8]> = permit.iter().chain(&target.claims).cloned().collect();
    std::borrow::Cow::Owned(all.into_vec())
}

/// The most an attempt can cost. `budgeted`: money must be held, so that the output needs a bound.
pub(crate) fn worst_case(facts: &RequestFacts, target: &ResolvedTarget, budgeted: bool) -> WorstCase {
    let unbounded = facts.max_output_tokens.is_none() && target.max_output_tokens.is_none();
    let output = target.output_limit(facts.max_output_tokens);
    let send_along = u32::try_from(output).ok().filter(|_| unbounded && budgeted && target.prices.is_some());
    WorstCase { amount: cost_of(facts, target, input_bound(facts, target), output), output_limit: send_along }
}

fn cost_of(facts: &RequestFacts, target: &ResolvedTarget, input: u64, output: u64) -> NanoUsd {
    target.worst_case(input, Some(output), facts.choices).unwrap_or(NanoUsd::ZERO)
}

/// Where nothing bounds the input no budget blocks, or the engine would have refused: the request's own length then counts as well as any.
fn input_bound(facts: &RequestFacts, target: &ResolvedTarget) -> u64 {
    target.input_bound(facts).unwrap_or(facts.input_tokens_bound)
}

/// How the most constraining of the budgets that apply stands.
pub(crate) fn most_constraining(
    budgets: &Budgets,
    policy: &Arc<OrgPolicy>,
    permit: &Permit,
    target: Option<&ResolvedTarget>,
    now: DateTime<Utc>,
) -> Option<AccountView> {
    let product = |a: NanoUsd, b: NanoUsd| i128::from(a.nanos()).saturating_mul(i128::from(b.nanos()));
    let standing = claims_of(permit, target).filter_map(|claim| Some((claim, budgets.standing(policy, claim, now)?)));
    let (most, _) = standing.max_by(|(_, (used, cap)), (_, (others, other))| product(*used, *other).cmp(&product(*others, *cap)))?;
    budgets.status(policy, most, now)
}

/// Every claim of a permit and a target.
pub(crate) fn claims_of<'p>(permit: &'p Permit, target: Option<&'p ResolvedTarget>) -> impl Iterator<Item = &'p Claim> {
    permit.claims().iter().chain(target.into_iter().flat_map(|target| target.claims.iter()))
}

/// The word for what happens at the cap.
pub(crate) fn action_word(view: &AccountView) -> &'static str {
    match (view.mode, &view.at_cap) {
        (BudgetMode::Shadow, _) | (BudgetMode::Enforce, AtCap::WarnOnly) => "warn_only",
        (BudgetMode::Enforce, AtCap::Block) => "block",
        (BudgetMode::Enforce, AtCap::Downgrade(_)) => "downgrade",
    }
}
