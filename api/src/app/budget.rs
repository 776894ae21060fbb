//! Budgets: how much may be spent by whom in a period, and what happens then.

use entity::budget::{self, ActiveModel, Entity, Model as Row};
use policy::id::{IdKind, new_id};
use policy::source::{Budget, BudgetMode, PeriodKind, Settings};
use sea_orm::{ActiveValue::Set, DbErr, IntoActiveModel};
use serde_json::{Value, json};

use super::change::{Change, Edited};
use super::document::document;
use super::managed::Managed;
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Authorized, Resource};
use crate::publish::rows;
use crate::store;

/// Budgets.
pub(crate) struct Budgets;

impl Managed for Budgets {
    const RESOURCE: Resource = Resource::Budget;
    const KIND: &'static str = "budget";
    const CREATE: &'static str = "createBudget";
    const UPDATE: &'static str = "updateBudget";
    const DELETE: &'static str = "deleteBudget";
    type Row = Row;
    type Source = Budget;
    type Place = ();

    async fn find(change: &Change<'_>, id: &str) -> Result<Option<Row>, DbErr> {
        store::find::<Entity>(&change.tx, change.ctx.scope(), id).await
    }

    fn version(row: &Row) -> i64 {
        row.version
    }

    fn project_of(_: &Row) -> Option<&str> {
        None
    }

    async fn read(change: &Change<'_>, row: &Row) -> Result<Budget, OperationError> {
        Ok(rows::budget(row.clone(), &zone(change).await?)?.budget)
    }

    async fn create(change: &Change<'_>, (): &(), budget: &Budget) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Create, Resource::Budget)?;
        check(change, budget, None).await?;
        let row = ActiveModel {
            id: Set(new_id(IdKind::Budget)),
            created_at: Set(change.now),
            version: Set(1),
            ..declared(change, budget).await?
        };
        let row = store::insert::<Entity, _>(&change.tx, &proof, row).await?;
        Ok(Edited::new(target(&row), None, Some(audit_document(change, &row).await?)))
    }

    async fn replace(change: &Change<'_>, proof: &Authorized, before: Row, budget: &Budget) -> Result<Edited, OperationError> {
        check(change, budget, Some(&before.name)).await?;
        let was = audit_document(change, &before).await?;
        let kept = before.clone().into_active_model();
        let version = Set(before.version.saturating_add(1));
        let row = ActiveModel { id: kept.id, org_id: kept.org_id, version, ..declared(change, budget).await? };
        let row = store::update::<Entity, _>(&change.tx, proof, row).await?;
        Ok(Edited::new(target(&row), Some(was), Some(audit_document(change, &row).await?)))
    }

    async fn delete(change: &Change<'_>, proof: &Authorized, row: Row) -> Result<Edited, OperationError> {
        let was = audit_document(change, &row).await?;
        store::delete::<Entity>(&change.tx, proof, &row.id).await?;
        Ok(Edited::new(target(&row), Some(was), None))
    }
}

async fn check(change: &Change<'_>, budget: &Budget, own_name: Option<&str>) -> Result<(), OperationError> {
    valid::name("name", &budget.name)?;
    valid::list("thresholds", &budget.thresholds)?;
    if budget.cap_usd.0.nanos() < 0 {
        return Err(OperationError::invalid("cap_usd", "a cap can't be negative"));
    }
    let renamed = own_name != Some(budget.name.as_str());
    if renamed && store::named::budget(&change.tx, change.ctx.scope(), &budget.name).await?.is_some() {
        return Err(OperationError::taken(Budgets::KIND, &budget.name));
    }
    Ok(())
}

/// The organization's zone as it is now: a manifest may have changed it in this very change.
async fn zone(change: &Change<'_>) -> Result<String, OperationError> {
    let org = store::organization::own(&change.tx, change.ctx.scope()).await?.ok_or(OperationError::NotFound { kind: "organization" })?;
    let settings: Settings = serde_json::from_value(org.settings)?;
    Ok(settings.time_zone)
}

async fn declared(change: &Change<'_>, budget: &Budget) -> Result<ActiveModel, OperationError> {
    let time_zone = match &budget.time_zone {
        Some(zone) => zone.clone(),
        None => zone(change).await?,
    };
    Ok(ActiveModel {
        name: Set(budget.name.clone()),
        scope: Set(serde_json::to_value(&budget.scope)?),
        period: Set(period(budget.period)),
        anchor_day: Set(budget.anchor_day.map_or(1, |day| i64::from(day.get()))),
        time_zone: Set(time_zone),
        cap_nano: Set(budget.cap_usd.0.nanos()),
        thresholds: Set(serde_json::to_value(&budget.thresholds)?),
        at_cap: Set(serde_json::to_value(&budget.at_cap)?),
        downgrade_at_ppm: Set(i64::from(budget.downgrade_at.ppm())),
        mode: Set(match budget.mode {
            BudgetMode::Enforce => budget::Mode::Enforce,
            BudgetMode::Shadow => budget::Mode::Shadow,
        }),
        clamp_output: Set(budget.clamp_output),
        updated_at: Set(change.now),
        ..ActiveModel::default()
    })
}

const fn period(kind: PeriodKind) -> budget::Period {
    match kind {
        PeriodKind::Daily => budget::Period::Daily,
        PeriodKind::Weekly => budget::Period::Weekly,
        PeriodKind::Monthly => budget::Period::Monthly,
        PeriodKind::Quarterly => budget::Period::Quarterly,
        PeriodKind::Yearly => budget::Period::Yearly,
        PeriodKind::Total => budget::Period::Total,
    }
}

fn target(row: &Row) -> Target {
    Target { kind: Resource::Budget.as_str(), id: row.id.clone(), name: row.name.clone() }
}

async fn audit_document(change: &Change<'_>, row: &Row) -> Result<Value, OperationError> {
    document(&Budgets::read(change, row).await?, &[("id", json!(row.id))])
}
