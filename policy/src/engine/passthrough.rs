//! What is passed through: files, batches, pictures and whatever else a vendor has beside the answers of its models.
//!
//! Such a request goes to exactly one provider, and to none that has another interface: to the one that its model leads to, the one that the
//! caller names, or the only one there is. Many name no model. For those a list of models (a key's, an allowlist, a guardrail) is asked
//! whether it admits *every* model of the provider where money is spent, and whether it admits any where none is: a batch could hold
//! requests for all of them.
//!
//! What it costs is known (nothing, or tokens of a priced model), or it is not; then it has no price here, and no budget that blocks lets it
//! pass (ADR 0009, ADR 0011).

use std::sync::Arc;

use super::resolve::{allowed, reaches};
use super::{Deciding, Engine, Refusal, index};
use crate::bundle::v1::Target;
use crate::catalogue::{self, ANY_MODEL, Vendor};
use crate::decision::{DenialReason, ResolvedTarget, Route, TraceStep};
use crate::facts::{Passthrough, Spends};
use crate::source::UnpricedModels;

/// The header by which a caller names a provider.
const HEADER: &str = "X-Modelux-Provider";

impl Engine {
    /// What is spent at a provider, as far as is known before: without a model there are no tokens of it to be counted.
    #[must_use]
    pub fn spends(&self, asked: &Passthrough, provider: u32, model: &str) -> Spends {
        let at_home = || self.vendor(provider).is_some_and(|vendor| vendor.is_owner_of(asked.interface));
        match asked.spends {
            Spends::Nothing => Spends::Nothing,
            Spends::NothingAtItsVendor if at_home() => Spends::Nothing,
            Spends::NothingAtItsVendor | Spends::Tokens if !model.is_empty() => Spends::Tokens,
            Spends::NothingAtItsVendor | Spends::Tokens | Spends::Unknown => Spends::Unknown,
        }
    }

    fn vendor(&self, provider: u32) -> Option<&'static Vendor> {
        catalogue::find_vendor(&self.provider(provider)?.vendor)
    }
}

impl Deciding<'_> {
    /// Notes what is asked for, where it is passed through.
    pub(super) fn note_passthrough(&mut self) {
        if let Some(Passthrough { operation, spends, provider, .. }) = self.request.passthrough.clone() {
            self.trace.push(TraceStep::Passthrough { operation, spends: spends.as_str().into(), provider });
        }
    }

    fn spends(&self, asked: &Passthrough, provider: u32, model: &str) -> Spends {
        self.engine.spends(asked, provider, model)
    }

    fn vendor(&self, provider: u32) -> Option<&'static Vendor> {
        self.engine.vendor(provider)
    }

    /// A target as what is passed through finds it: priced only where tokens of its model are all that is spent.
    pub(super) fn passed_through(&self, target: ResolvedTarget) -> ResolvedTarget {
        let Some(asked) = &self.request.passthrough else { return target };
        let spends = self.spends(asked, target.provider, &target.model);
        let budgets = &self.engine.budgets;
        let claims = match (spends, target.model.is_empty()) {
            (Spends::Nothing, _) => Default::default(),
            (_, true) => budgets.provider_claims(target.provider, &target.provider_name),
            (_, false) => target.claims,
        };
        match spends {
            Spends::Tokens => ResolvedTarget { claims, ..target },
            _ => ResolvedTarget { claims, prices: None, price_version: Arc::default(), ..target },
        }
    }

    /// Whether a provider can do what is passed through, and is the one that the caller names, if it names one.
    pub(super) fn suits(&self, provider: u32) -> bool {
        let Some(asked) = &self.request.passthrough else { return true };
        let named = || self.engine.provider(provider).is_some_and(|of| asked.provider.as_ref().is_none_or(|name| *name == of.name));
        self.vendor(provider).is_some_and(|vendor| vendor.interface() == Some(asked.interface)) && named()
    }

    /// The provider for a request that names no model.
    pub(super) fn provider_for(&self, asked: &Passthrough) -> Result<Target, Refusal> {
        self.place_of(asked).map(|provider| Target::Model { provider, name: Arc::default() })
    }

    /// The provider for a model that no provider is known to have: the catalogue does not list all that speak or draw.
    pub(super) fn place_for(&self, model: &str) -> Result<Target, Refusal> {
        let Some(asked) = &self.request.passthrough else {
            return Err((DenialReason::UnknownModel, format!("no provider is known to serve `{model}`")));
        };
        self.place_of(asked).map(|provider| Target::Model { provider, name: Arc::from(model) })
    }

    /// The one provider that can do it. The interface's own vendor comes before those who have it too; what the key may not use at all
    /// is not looked at while there is something that it may.
    fn place_of(&self, asked: &Passthrough) -> Result<u32, Refusal> {
        let engine = self.engine;
        let name_of = |provider: &u32| engine.provider(*provider).map(|of| of.name.as_ref()).unwrap_or_default();
        let mut found: Vec<u32> = (0_u32..).take(engine.bundle.providers.len()).filter(|provider| self.suits(*provider)).collect();
        if let Some(key) = engine.key(self.subject.key)
            && found.iter().any(|provider| reaches(&key.allowed_models, name_of(provider)))
        {
            found.retain(|provider| reaches(&key.allowed_models, name_of(provider)));
        }
        let at_home = |provider: &u32| self.vendor(*provider).is_some_and(|vendor| vendor.is_owner_of(asked.interface));
        if found.iter().any(at_home) {
            found.retain(at_home);
        }
        let (operation, owner) = (&asked.operation, asked.interface.owner());
        match (found.as_slice(), &asked.provider) {
            ([only], _) => Ok(*only),
            ([], Some(name)) => {
                let message = format!("there is no provider `{name}` with the interface of {owner}, which `{operation}` is part of");
                Err((DenialReason::UnknownProvider, message))
            }
            ([], None) => {
                let message = format!("no provider has the interface of {owner}, which `{operation}` is part of; declare one");
                Err((DenialReason::UnknownProvider, message))
            }
            (several, _) => {
                let names: Vec<_> = several.iter().map(|provider| format!("`{}`", name_of(provider))).collect();
                let message = format!("`{operation}` could go to {}; name one in the header `{HEADER}`", names.join(", "));
                Err((DenialReason::UnknownProvider, message))
            }
        }
    }

    /// Of a route the one target that can do what is passed through; any other request keeps its route. Where the request names no model,
    /// the target's does not matter, only its provider.
    pub(super) fn of_one_provider(&self, route: Route) -> Result<Route, Refusal> {
        let Some(asked) = &self.request.passthrough else { return Ok(route) };
        let unnamed = self.request.model.is_empty();
        let (mut suited, mut others): (Vec<ResolvedTarget>, Vec<Arc<str>>) = (Vec::new(), Vec::new());
        for_each_target(route, &mut |target| {
            let known = suited.iter().any(|one| if unnamed { one.provider == target.provider } else { one.is_same_model(&target) });
            match self.suits(target.provider) {
                true if known => {}
                true => suited.push(target),
                false => others.push(target.label),
            }
        });
        let (operation, only) = (&asked.operation, suited.pop());
        match only {
            Some(target) if suited.is_empty() && unnamed => self.resolve_model(target.provider, &Arc::default()).map(Route::Target),
            Some(target) if suited.is_empty() => Ok(Route::Target(target)),
            Some(target) => {
                let labels: Vec<_> = suited.iter().chain([&target]).map(|target| format!("`{}`", target.label)).collect();
                let message = format!(
                    "`{operation}` can go to one place only, and the routing config leads to {}; name a model as `provider/model`, or let \
                     the policy `pass` where `request.surface == 'passthrough'`",
                    labels.join(", ")
                );
                Err((DenialReason::UnknownProvider, message))
            }
            None => {
                let there = others.first().map(|label| format!(", as `{label}` is not")).unwrap_or_default();
                let named = asked.provider.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
                let owner = asked.interface.owner();
                let message = format!("`{operation}` has to go to a provider{named} with the interface of {owner}{there}");
                Err((DenialReason::UnknownProvider, message))
            }
        }
    }

    /// Whether a list of models admits a target, also one of which it is not known which models it is about.
    pub(super) fn admits(&self, patterns: &[String], target: &ResolvedTarget) -> bool {
        match self.unnamed(target) {
            None => allowed(patterns, &target.provider_name, &target.model),
            Some(Spends::Nothing) => reaches(patterns, &target.provider_name),
            Some(_) => allowed(patterns, &target.provider_name, ANY_MODEL),
        }
    }

    /// Whether a list of models that are denied may be about such a target.
    pub(super) fn may_deny(&self, patterns: &[String], target: &ResolvedTarget) -> bool {
        match self.unnamed(target) {
            Some(Spends::Nothing) | None => allowed(patterns, &target.provider_name, ANY_MODEL),
            Some(_) => reaches(patterns, &target.provider_name),
        }
    }

    /// What is spent at a target of which the model is not named.
    fn unnamed(&self, target: &ResolvedTarget) -> Option<Spends> {
        let asked = self.request.passthrough.as_ref().filter(|_| target.model.is_empty())?;
        Some(self.spends(asked, target.provider, ""))
    }

    /// The target in words, for refusals by lists of models.
    pub(super) fn in_words(&self, target: &ResolvedTarget) -> String {
        let operation = self.request.passthrough.as_ref().map(|asked| asked.operation.as_ref()).unwrap_or_default();
        match self.unnamed(target) {
            None => format!("`{}`", target.label),
            Some(Spends::Nothing) => format!("provider `{}`", target.provider_name),
            Some(_) => {
                format!("every model of provider `{}` (`{operation}` does not say which it is for)", target.provider_name)
            }
        }
    }

    /// Whether a target of what is passed through may be paid for; `None` where that is asked as of any other.
    pub(super) fn check_spending(&self, target: &ResolvedTarget, blocking: Option<&str>) -> Option<Result<(), (&'static str, Refusal)>> {
        let asked = self.request.passthrough.as_ref()?;
        match self.spends(asked, target.provider, &target.model) {
            Spends::Nothing => Some(Ok(())),
            Spends::Tokens | Spends::NothingAtItsVendor => None,
            Spends::Unknown => {
                let operation = &asked.operation;
                let denies = self.engine.bundle.unpriced_models == UnpricedModels::Deny;
                Some(match blocking {
                    Some(budget) => {
                        let message = format!(
                            "nothing tells what `{operation}` will cost, and budget `{budget}` blocks; let it not block (`at_cap: warn_only`)"
                        );
                        Err(("bound", (DenialReason::Unbounded, message)))
                    }
                    None if denies => {
                        let message = format!("no price is known for `{operation}`, and the organization serves nothing without one");
                        Err(("price", (DenialReason::Unpriced, message)))
                    }
                    None => Ok(()),
                })
            }
        }
    }

    /// Why nothing bounds the tokens of what is passed through: the defaults that hold for answers hold for texts only.
    pub(super) fn unbounded_operation(&self, target: &ResolvedTarget, budget: &str) -> Option<String> {
        let asked = self.request.passthrough.as_ref()?;
        let missing = match target.input_bound(self.request) {
            None => "context_tokens",
            Some(_) if self.request.max_output_tokens.or(target.max_output_tokens.map(u64::from)).is_none() => "max_output_tokens",
            Some(_) => return None,
        };
        Some(format!(
            "nothing bounds the tokens of `{}`, and budget `{budget}` blocks; declare `{missing}` of `{}` under `models`, or let the budget \
             not block (`at_cap: warn_only`)",
            asked.operation, target.label
        ))
    }

    /// A downgrade, as far as it can be followed: what costs nothing is not downgraded, and what names no model can't be.
    pub(super) fn follow(&self, downgrade: Option<(u32, u32)>) -> Result<Option<(u32, u32)>, Refusal> {
        let (Some((budget, config)), Some(asked)) = (downgrade, &self.request.passthrough) else { return Ok(downgrade) };
        match asked.spends {
            Spends::Nothing | Spends::NothingAtItsVendor => Ok(None),
            Spends::Tokens | Spends::Unknown if !self.request.model.is_empty() => Ok(downgrade),
            Spends::Tokens | Spends::Unknown => {
                let budget = self.engine.budget(budget).map(|budget| budget.name.as_ref()).unwrap_or_default();
                let config = self.engine.configs.get(index(config)).map(|config| config.label.as_ref()).unwrap_or_default();
                let message = format!(
                    "budget `{budget}` sends requests to `{config}` for now, and `{}` names no model that could be replaced; wait until the \
                     budget resets, or ask for a higher cap",
                    asked.operation
                );
                Err((DenialReason::Unbounded, message))
            }
        }
    }
}

/// Hands out every target of a route.
fn for_each_target(route: Route, take: &mut dyn FnMut(ResolvedTarget)) {
    match route {
        Route::Target(target) => take(target),
        Route::Fallback { attempts, .. } => attempts.into_iter().for_each(|attempt| for_each_target(attempt.route, take)),
        Route::Cascade(cascade) => cascade.steps.into_iter().for_each(|step| for_each_target(step.route, take)),
        Route::Ensemble(ensemble) => {
            ensemble.members.into_iter().for_each(|member| for_each_target(member.route, take));
            if let Some(judge) = ensemble.judge {
                for_each_target(*judge, take);
            }
        }
    }
}
