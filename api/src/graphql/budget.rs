//! Budgets and how they stand.

use std::num::NonZeroU32;

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::budget::{Entity, Model as Row};
use policy::source::{Budget, Fraction};
use serde::Serialize;
use serde_json::Value;

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_request, rows};
use super::organization::DeletedPayload;
use super::scalar::UsdAmount;
use super::vocabulary::{ModeName, PeriodName, StateName};
use crate::app::budget::Budgets;
use crate::app::managed::{Create, Delete, Overlay, Update};
use crate::app::{OperationError, read_field};
use crate::authz::{Action, Resource};
use crate::error::Refusal;
use crate::ledger::BudgetStatus;
use crate::publish::rows::period_kind;
use crate::store::{self, page};

/// How much may be spent by whom in a period. One that counts each value of its scope on its own shows sums of money, and share and state
/// of the value that is closest to the cap.
#[derive(SimpleObject)]
#[graphql(name = "Budget")]
struct BudgetView {
    /// Prefixed id.
    id: String,
    /// Unique in the organization.
    name: String,
    /// Whose spend, as in the contract.
    scope: Value,
    /// How long a period is.
    period: PeriodName,
    /// Day on which periods begin.
    anchor_day: i64,
    /// IANA zone in which periods begin.
    time_zone: String,
    /// Most that may be spent in a period.
    cap_usd: UsdAmount,
    /// Fractions of the cap at which somebody is told.
    thresholds: Vec<f64>,
    /// What happens at the cap, as in the contract.
    at_cap: Value,
    /// Fraction of the cap from which a downgrade applies.
    downgrade_at: f64,
    /// Whether it acts.
    mode: ModeName,
    /// Whether the output limit is lowered to what is affordable.
    clamp_output: bool,
    /// Booked in this period.
    settled_usd: UsdAmount,
    /// Held by requests in flight.
    reserved_usd: UsdAmount,
    /// What workers hold beyond that, lost ones included.
    leased_usd: UsdAmount,
    /// Settled and reserved as a fraction of the cap.
    used_pct: f64,
    /// First instant of this period.
    period_start: Option<DateTime<Utc>>,
    /// First instant of the next one; none for `total`.
    resets_at: Option<DateTime<Utc>>,
    /// How close to the cap.
    state: StateName,
    /// For `expectedVersion`.
    version: i64,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl BudgetView {
    fn new(row: Row, status: Option<&BudgetStatus>) -> Self {
        let Row {
            id,
            org_id: _,
            name,
            scope,
            period,
            anchor_day,
            time_zone,
            cap_nano,
            thresholds,
            at_cap,
            downgrade_at_ppm,
            mode,
            clamp_output,
            version,
            created_at,
            updated_at,
        } = row;
        let usd =
            |amount: fn(&BudgetStatus) -> policy::money::NanoUsd| status.map_or(UsdAmount::from_nanos(0), |status| amount(status).into());
        Self {
            id,
            name,
            scope,
            period: period_kind(period).into(),
            anchor_day,
            time_zone,
            cap_usd: UsdAmount::from_nanos(cap_nano),
            thresholds: thresholds.as_array().into_iter().flatten().filter_map(Value::as_f64).collect(),
            at_cap,
            downgrade_at: share(Fraction::from_ppm(u32::try_from(downgrade_at_ppm).unwrap_or(u32::MAX))),
            mode: match mode {
                entity::budget::Mode::Enforce => ModeName::Enforce,
                entity::budget::Mode::Shadow => ModeName::Shadow,
            },
            clamp_output,
            settled_usd: usd(|status| status.settled),
            reserved_usd: usd(|status| status.reserved),
            leased_usd: usd(|status| status.leased),
            used_pct: status.map_or(0.0, |status| share(status.used)),
            period_start: status.map(|status| status.period_start),
            resets_at: status.and_then(|status| status.resets_at),
            state: status.map_or(StateName::Ok, |status| status.state.into()),
            version,
            created_at,
            updated_at,
        }
    }
}

/// A share as a number; for people, nothing is reckoned with it.
fn share(fraction: Fraction) -> f64 {
    f64::from(fraction.ppm()) / 1_000_000.0
}

/// A new budget.
#[derive(InputObject)]
struct CreateBudgetInput {
    /// Unique in the organization.
    name: String,
    /// Whose spend: `"organization"`, `{project: NAME}`, `{key: "PROJECT/NAME"}`, …
    scope: Value,
    /// How long a period is.
    period: PeriodName,
    /// Day on which periods begin; 1 where left out.
    anchor_day: Option<u32>,
    /// IANA zone in which periods begin; the organization's where left out.
    time_zone: Option<String>,
    /// Most that may be spent in a period.
    cap_usd: UsdAmount,
    /// Fractions of the cap at which somebody is told; 0.8 where left out.
    thresholds: Option<Vec<f64>>,
    /// `"block"`, `"warn_only"` or `{downgrade: "@slug"}`; block where left out.
    at_cap: Option<Value>,
    /// Fraction of the cap from which a downgrade applies; 1.0 where left out.
    downgrade_at: Option<f64>,
    /// Whether it acts; enforce where left out.
    mode: Option<ModeName>,
    /// Lower the output limit to what is affordable; false where left out.
    clamp_output: Option<bool>,
}

impl TryFrom<CreateBudgetInput> for Budget {
    type Error = Refusal;

    fn try_from(input: CreateBudgetInput) -> Result<Self> {
        let CreateBudgetInput { name, scope, period, anchor_day, time_zone, cap_usd, thresholds, at_cap, downgrade_at, mode, clamp_output } =
            input;
        Ok(Self {
            name,
            scope: read_field("scope", scope)?,
            period: period.into(),
            anchor_day: read_anchor(anchor_day)?,
            time_zone,
            cap_usd: cap_usd.read("capUsd")?,
            thresholds: thresholds
                .map_or_else(|| Ok(vec![Fraction::from_ppm(800_000)]), |shares| read_field("thresholds", shares.into()))?,
            at_cap: at_cap.map(|at_cap| read_field("atCap", at_cap)).transpose()?.unwrap_or_default(),
            downgrade_at: downgrade_at.map_or_else(|| Ok(Fraction::whole()), |share| read_field("downgradeAt", share.into()))?,
            mode: mode.map(Into::into).unwrap_or_default(),
            clamp_output: clamp_output.unwrap_or_default(),
        })
    }
}

/// What is to be different; fields left out stay. Spend counted so far stays too.
#[derive(InputObject, Serialize)]
struct UpdateBudgetInput {
    /// Unique in the organization.
    name: Option<String>,
    /// Whose spend.
    scope: Option<Value>,
    /// How long a period is.
    period: Option<PeriodName>,
    /// Day on which periods begin.
    anchor_day: Option<u32>,
    /// IANA zone in which periods begin; null for the organization's.
    time_zone: MaybeUndefined<String>,
    /// Most that may be spent in a period.
    cap_usd: Option<UsdAmount>,
    /// Fractions of the cap at which somebody is told.
    thresholds: Option<Vec<f64>>,
    /// `"block"`, `"warn_only"` or `{downgrade: "@slug"}`.
    at_cap: Option<Value>,
    /// Fraction of the cap from which a downgrade applies.
    downgrade_at: Option<f64>,
    /// Whether it acts.
    mode: Option<ModeName>,
    /// Lower the output limit to what is affordable.
    clamp_output: Option<bool>,
}

impl Overlay<Budget> for UpdateBudgetInput {
    fn lay_over(self, budget: &mut Budget) -> Result<(), OperationError> {
        let Self { name, scope, period, anchor_day, time_zone, cap_usd, thresholds, at_cap, downgrade_at, mode, clamp_output } = self;
        budget.name = name.unwrap_or_else(|| budget.name.clone());
        if let Some(scope) = scope {
            budget.scope = read_field("scope", scope)?;
        }
        budget.period = period.map_or(budget.period, Into::into);
        if anchor_day.is_some() {
            budget.anchor_day = read_anchor(anchor_day)?;
        }
        time_zone.update_to(&mut budget.time_zone);
        if let Some(cap) = cap_usd {
            budget.cap_usd = cap.read("capUsd")?;
        }
        if let Some(thresholds) = thresholds {
            budget.thresholds = read_field("thresholds", thresholds.into())?;
        }
        if let Some(at_cap) = at_cap {
            budget.at_cap = read_field("atCap", at_cap)?;
        }
        if let Some(share) = downgrade_at {
            budget.downgrade_at = read_field("downgradeAt", share.into())?;
        }
        budget.mode = mode.map_or(budget.mode, Into::into);
        budget.clamp_output = clamp_output.unwrap_or(budget.clamp_output);
        Ok(())
    }
}

fn read_anchor(day: Option<u32>) -> Result<Option<NonZeroU32>, OperationError> {
    let refused = || OperationError::invalid("anchorDay", "days are counted from 1");
    day.map(|day| NonZeroU32::new(day).ok_or_else(refused)).transpose()
}

/// A budget as changed.
#[derive(SimpleObject)]
struct BudgetPayload {
    /// As it is now.
    budget: BudgetView,
    /// The bundle that carries the change.
    revision: i64,
}

async fn load(caller: &Caller, id: &str) -> Result<BudgetView> {
    caller.ctx().authorize(Action::Read, Resource::Budget)?;
    let row = store::find::<Entity>(caller.database(), caller.ctx().scope(), id).await?.ok_or_else(|| not_found("budget"))?;
    let statuses = caller.ctx().state().ledger.budget_statuses(std::slice::from_ref(&row)).await?;
    Ok(BudgetView::new(row, statuses.get(id)))
}

#[derive(Default)]
pub(super) struct BudgetQuery;

#[Object]
impl BudgetQuery {
    /// All budgets and how they stand in their present periods.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn budgets(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Result<Connection<String, BudgetView>> {
        let caller = caller(ctx)?;
        caller.ctx().authorize(Action::Read, Resource::Budget)?;
        let page =
            page::by_id(caller.database(), store::select::<Entity>(caller.ctx().scope()), &page_request(first, after.as_deref())?).await?;
        let statuses = caller.ctx().state().ledger.budget_statuses(&page.rows).await?;
        Ok(connection(
            page,
            |row| row.id.clone(),
            |row| {
                let status = statuses.get(&row.id);
                BudgetView::new(row, status)
            },
        ))
    }

    /// One budget.
    async fn budget(&self, ctx: &Context<'_>, id: ID) -> Result<BudgetView> {
        load(caller(ctx)?, &id).await
    }
}

#[derive(Default)]
pub(super) struct BudgetMutation;

#[Object]
impl BudgetMutation {
    /// Makes a budget.
    async fn create_budget(&self, ctx: &Context<'_>, input: CreateBudgetInput, idempotency_key: Option<String>) -> Result<BudgetPayload> {
        let caller = caller(ctx)?;
        let done = caller.change(idempotency_key, Create::<Budgets> { place: (), source: input.try_into()? }).await?;
        Ok(BudgetPayload { budget: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Changes a budget.
    async fn update_budget(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: UpdateBudgetInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<BudgetPayload> {
        let caller = caller(ctx)?;
        let update = Update { id: id.0, expected_version, overlay: input };
        let done = caller.change(idempotency_key, update.of::<Budgets>()).await?;
        Ok(BudgetPayload { budget: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Removes a budget.
    async fn delete_budget(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        let delete = Delete { id: id.0, expected_version };
        Ok(caller(ctx)?.change(idempotency_key, delete.of::<Budgets>()).await?.into())
    }
}
