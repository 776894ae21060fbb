//! Budgets: scopes resolved, caps and calendars checked.

use std::sync::Arc;

use super::{Index, Rejections, references};
use crate::bundle::v1;
use crate::money::NanoUsd;
use crate::source::{AtCap, Budget, BudgetRecord, Organization, PeriodKind, Scope};

pub(super) fn compile_budgets(organization: &Organization, index: &Index<'_>, rejections: &mut Rejections) -> Vec<v1::Budget> {
    let mut compiled = Vec::with_capacity(organization.budgets.len());
    for record in &organization.budgets {
        compiled.extend(compile_budget(record, &organization.settings.time_zone, index, rejections));
    }
    compiled
}

fn compile_budget(record: &BudgetRecord, default_zone: &str, index: &Index<'_>, rejections: &mut Rejections) -> Option<v1::Budget> {
    let budget = &record.budget;
    check_numbers(budget, rejections);
    let time_zone = budget.time_zone.as_deref().unwrap_or(default_zone);
    // The organization's own time zone is reported with its settings.
    if budget.time_zone.is_some() && time_zone.parse::<chrono_tz::Tz>().is_err() {
        rejections.add("budget", &budget.name, "time_zone", format!("`{time_zone}` is not an IANA time zone such as `Europe/Berlin`"));
    }
    let downgrade_to = match &budget.at_cap {
        AtCap::Downgrade(reference) => {
            let found = reference.strip_prefix('@').and_then(|slug| references::find_config(slug, None, index));
            if found.is_none() {
                rejections.add(
                    "budget",
                    &budget.name,
                    "at_cap.downgrade",
                    format!("there is no organization-wide routing config `{reference}`"),
                );
            }
            found
        }
        AtCap::Block | AtCap::WarnOnly => None,
    };
    let scope = compile_scope(&budget.scope, index).map_err(|message| rejections.add("budget", &budget.name, "scope", message)).ok()?;
    Some(v1::Budget {
        id: Arc::from(record.id.as_str()),
        name: Arc::from(budget.name.as_str()),
        scope,
        period: budget.period,
        anchor_day: budget.anchor_day.map_or(1, std::num::NonZeroU32::get),
        time_zone: time_zone.to_owned(),
        cap: budget.cap_usd.0,
        at_cap: budget.at_cap.clone(),
        downgrade_to,
        downgrade_at: budget.downgrade_at,
        mode: budget.mode,
        clamp_output: budget.clamp_output,
    })
}

fn check_numbers(budget: &Budget, rejections: &mut Rejections) {
    if budget.cap_usd.0 < NanoUsd::ZERO {
        rejections.add("budget", &budget.name, "cap_usd", "a cap is 0 or more");
    }
    let latest = match budget.period {
        PeriodKind::Weekly => 7,
        PeriodKind::Monthly | PeriodKind::Quarterly | PeriodKind::Yearly => 28,
        PeriodKind::Daily | PeriodKind::Total => 1,
    };
    if budget.anchor_day.is_some_and(|day| day.get() > latest) {
        let message = format!("a {} budget starts on day 1 to {latest}", budget.period.as_str());
        rejections.add("budget", &budget.name, "anchor_day", message);
    }
    if budget.thresholds.len() > 16 || budget.thresholds.iter().any(|threshold| threshold.ppm() == 0) {
        rejections.add("budget", &budget.name, "thresholds", "at most 16 fractions, each above 0 (0.8 means 80 %)");
    }
    if budget.clamp_output && budget.at_cap != AtCap::Block {
        rejections.add("budget", &budget.name, "clamp_output", "only a budget that blocks can lower the output limit instead");
    }
}

fn compile_scope(scope: &Scope, index: &Index<'_>) -> Result<v1::Scope, String> {
    let text = |value: &str, what: &str| {
        if value.is_empty() || value.len() > 256 { Err(format!("{what} is empty or longer than 256 bytes")) } else { Ok(Arc::from(value)) }
    };
    Ok(match scope {
        Scope::Organization => v1::Scope::Organization,
        Scope::Project(name) => {
            v1::Scope::Project(*index.projects.get(name.as_str()).ok_or_else(|| format!("there is no project `{name}`"))?)
        }
        Scope::Key(name) => v1::Scope::Key(*index.keys.get(name).ok_or_else(|| format!("there is no key `{name}`; write `project/key`"))?),
        Scope::EndUser(id) => v1::Scope::EndUser(text(id, "the end user")?),
        Scope::EachEndUser => v1::Scope::EachEndUser,
        Scope::Tag(tag, value) => v1::Scope::Tag(text(tag, "the tag")?, Arc::from(value.as_str())),
        Scope::EachTag(tag) => v1::Scope::EachTag(text(tag, "the tag")?),
        Scope::Model(pattern) => v1::Scope::Model(text(pattern, "the model pattern").map(|pattern: Arc<str>| pattern.to_string())?),
        Scope::Provider(name) => {
            v1::Scope::Provider(*index.providers.get(name.as_str()).ok_or_else(|| format!("there is no provider `{name}`"))?)
        }
    })
}
