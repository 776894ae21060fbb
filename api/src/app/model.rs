//! Models: additions to the built-in catalogue and overrides of it, with price lines that hold from a date on.
//!
//! A price line is never edited: a new price ends the line in force and begins the next one, so that what was booked can always be
//! explained by the line it was booked with.

use chrono::{DateTime, Utc};
use entity::model::{ActiveModel, Entity, Model as Row};
use entity::model_price;
use policy::id::{IdKind, new_id};
use policy::money::Usd;
use policy::source::{FurtherPrices, Model, Tier};
use sea_orm::{ActiveValue::Set, DbErr, IntoActiveModel};
use serde::Serialize;
use serde_json::{Value, json};

use super::change::{Change, Command, Edited};
use super::document::document;
use super::managed::{Managed, check_version, existing};
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Authorized, Resource};
use crate::publish::rows;
use crate::store;

/// Models with the prices in force.
pub(crate) struct Models;

impl Managed for Models {
    const RESOURCE: Resource = Resource::Model;
    const KIND: &'static str = "model";
    const CREATE: &'static str = "createModel";
    const UPDATE: &'static str = "updateModel";
    const DELETE: &'static str = "deleteModel";
    type Row = Row;
    type Source = Model;
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

    async fn read(change: &Change<'_>, row: &Row) -> Result<Model, OperationError> {
        let price = store::model_price::in_force(&change.tx, change.ctx.scope(), &row.id, change.now).await?;
        Ok(rows::model(row.clone(), price)?.model)
    }

    async fn create(change: &Change<'_>, (): &(), model: &Model) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Create, Resource::Model)?;
        check(change, model, None).await?;
        let row = ActiveModel {
            id: Set(new_id(IdKind::Model)),
            capabilities: Set(json!({})),
            created_at: Set(change.now),
            version: Set(1),
            ..declared(change, model)?
        };
        let row = store::insert::<Entity, _>(&change.tx, &proof, row).await?;
        price(change, &proof, &row.id, &Prices::of(model), change.now).await?;
        Ok(Edited::new(target(&row), None, Some(document(model, &[("id", json!(row.id))])?)))
    }

    async fn replace(change: &Change<'_>, proof: &Authorized, before: Row, model: &Model) -> Result<Edited, OperationError> {
        let was = Self::read(change, &before).await?;
        check(change, model, Some(&was.model)).await?;
        let kept = before.clone().into_active_model();
        let version = Set(before.version.saturating_add(1));
        let row = ActiveModel { id: kept.id, org_id: kept.org_id, version, ..declared(change, model)? };
        let row = store::update::<Entity, _>(&change.tx, proof, row).await?;
        if Prices::of(&was) != Prices::of(model) {
            price(change, proof, &row.id, &Prices::of(model), change.now).await?;
        }
        let id = [("id", json!(row.id))];
        Ok(Edited::new(target(&row), Some(document(&was, &id)?), Some(document(model, &id)?)))
    }

    async fn delete(change: &Change<'_>, proof: &Authorized, row: Row) -> Result<Edited, OperationError> {
        let was = document(&Self::read(change, &row).await?, &[("id", json!(row.id))])?;
        store::delete::<Entity>(&change.tx, proof, &row.id).await?;
        Ok(Edited::new(target(&row), Some(was), None))
    }
}

/// The prices of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Prices {
    pub(crate) input: Option<Usd>,
    pub(crate) cached_input: Option<Usd>,
    pub(crate) cache_write: Option<Usd>,
    pub(crate) output: Option<Usd>,
    pub(crate) reasoning: Option<Usd>,
    pub(crate) further: Option<FurtherPrices>,
}

impl Prices {
    fn of(model: &Model) -> Self {
        Self {
            input: model.input_usd_per_mtok,
            cached_input: model.cached_input_usd_per_mtok,
            cache_write: model.cache_write_usd_per_mtok,
            output: model.output_usd_per_mtok,
            reasoning: model.reasoning_usd_per_mtok,
            further: model.further_prices.clone(),
        }
    }

    fn any(&self) -> [Option<Usd>; 5] {
        [self.input, self.cached_input, self.cache_write, self.output, self.reasoning]
    }
}

/// Prices a model from an instant on, now or later.
#[derive(Serialize)]
pub(crate) struct SetModelPrice {
    /// Which.
    pub(crate) id: String,
    /// The version that the actor knew.
    pub(crate) expected_version: Option<i64>,
    /// The prices.
    pub(crate) prices: Prices,
    /// From when on; none for now.
    pub(crate) effective_from: Option<DateTime<Utc>>,
}

impl Command for SetModelPrice {
    const NAME: &'static str = "setModelPrice";

    async fn apply(self, change: &Change<'_>) -> Result<Edited, OperationError> {
        let row = existing::<Models>(change, &self.id).await?;
        let proof = change.ctx.authorize(Action::Update, Resource::Model)?;
        check_version::<Models>(&row, self.expected_version)?;
        let from = self.effective_from.unwrap_or(change.now);
        if from < change.now {
            return Err(OperationError::invalid(
                "effectiveFrom",
                "a price can't begin in the past: what was booked stays as it was booked",
            ));
        }
        check_prices(&self.prices)?;
        let before = price_document(change, &row).await?;
        price(change, &proof, &row.id, &self.prices, from).await?;
        let mut changed = row.clone().into_active_model();
        changed.version = Set(row.version.saturating_add(1));
        changed.updated_at = Set(change.now);
        let row = store::update::<Entity, _>(&change.tx, &proof, changed).await?;
        Ok(Edited::new(target(&row), Some(before), Some(price_document(change, &row).await?)))
    }
}

/// Ends the line that holds at `from` and lets the next one begin there. A line that begins at that very instant is replaced.
async fn price(
    change: &Change<'_>,
    proof: &Authorized,
    model_id: &str,
    prices: &Prices,
    from: DateTime<Utc>,
) -> Result<(), OperationError> {
    let lines = store::model_price::of_models(&change.tx, change.ctx.scope(), &[model_id.to_owned()]).await?;
    let until = lines.iter().map(|line| line.effective_from).find(|start| *start > from);
    for line in lines {
        if line.effective_from == from {
            store::delete::<model_price::Entity>(&change.tx, proof, &line.id).await?;
        } else if line.effective_from < from && line.effective_to.is_none_or(|end| end > from) {
            let ended = model_price::ActiveModel { effective_to: Set(Some(from)), ..line.into_active_model() };
            store::update::<model_price::Entity, _>(&change.tx, proof, ended).await?;
        }
    }
    if prices.any().iter().all(Option::is_none) {
        return Ok(());
    }
    let nano = |price: Option<Usd>| Set(price.map(|usd| usd.0.nanos()));
    let line = model_price::ActiveModel {
        id: Set(new_id(IdKind::Price)),
        model_id: Set(model_id.to_owned()),
        effective_from: Set(from),
        effective_to: Set(until),
        input_nano: nano(prices.input),
        cached_input_nano: nano(prices.cached_input),
        cache_write_nano: nano(prices.cache_write),
        output_nano: nano(prices.output),
        reasoning_nano: nano(prices.reasoning),
        further: Set(prices.further.as_ref().map(|further| json!(further))),
        created_at: Set(change.now),
        ..model_price::ActiveModel::default()
    };
    store::insert::<model_price::Entity, _>(&change.tx, proof, line).await?;
    Ok(())
}

async fn check(change: &Change<'_>, model: &Model, own_name: Option<&str>) -> Result<(), OperationError> {
    let (provider, name) = valid::model_name("model", &model.model)?;
    let renamed = own_name != Some(model.model.as_str());
    if renamed && store::named::model(&change.tx, change.ctx.scope(), &provider, &name).await?.is_some() {
        return Err(OperationError::taken(Models::KIND, &model.model));
    }
    check_prices(&Prices::of(model))
}

fn check_prices(prices: &Prices) -> Result<(), OperationError> {
    let negative = prices.any().into_iter().flatten().any(|usd| usd.0.nanos() < 0);
    if negative {
        return Err(OperationError::invalid("prices", "a price can't be negative"));
    }
    let Some(further) = &prices.further else { return Ok(()) };
    if let Some((field, why)) = further.refusal() {
        return Err(OperationError::invalid(format!("prices.furtherPrices.{field}"), why));
    }
    if prices.input.is_none() && prices.output.is_none() {
        let why = "these go with a price of input or output, which is not there";
        return Err(OperationError::invalid("prices.furtherPrices", why));
    }
    Ok(())
}

fn declared(change: &Change<'_>, model: &Model) -> Result<ActiveModel, OperationError> {
    let (provider, name) = valid::model_name("model", &model.model)?;
    Ok(ActiveModel {
        provider_name: Set(provider),
        name: Set(name),
        context_tokens: Set(model.context_tokens.map(i64::from)),
        max_output_tokens: Set(model.max_output_tokens.map(i64::from)),
        quality_tier: Set(model.quality_tier.map(|tier| tier_name(tier).to_owned())),
        updated_at: Set(change.now),
        ..ActiveModel::default()
    })
}

/// The word of a tier.
pub(crate) const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Economy => "economy",
        Tier::Standard => "standard",
        Tier::Premium => "premium",
    }
}

fn target(row: &Row) -> Target {
    Target { kind: Resource::Model.as_str(), id: row.id.clone(), name: format!("{}/{}", row.provider_name, row.name) }
}

/// The price lines of a model by the instant they begin at.
async fn price_document(change: &Change<'_>, row: &Row) -> Result<Value, OperationError> {
    let lines = store::model_price::of_models(&change.tx, change.ctx.scope(), std::slice::from_ref(&row.id)).await?;
    let lines = lines.into_iter().map(|line| {
        let usd = |nano: Option<i64>| nano.map(|nano| policy::money::NanoUsd::from_nanos(nano).to_string());
        let document = json!({
            "until": line.effective_to, "input_usd_per_mtok": usd(line.input_nano), "cached_input_usd_per_mtok": usd(line.cached_input_nano),
            "cache_write_usd_per_mtok": usd(line.cache_write_nano), "output_usd_per_mtok": usd(line.output_nano),
            "reasoning_usd_per_mtok": usd(line.reasoning_nano), "further_prices": line.further,
        });
        (line.effective_from.to_rfc3339(), document)
    });
    Ok(json!({"id": row.id, "prices": lines.collect::<serde_json::Map<_, _>>()}))
}
