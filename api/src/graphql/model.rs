//! Models and their price lines.

use std::collections::HashMap;

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, Json, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::model::{Entity, Model as Row};
use entity::model_price::Model as PriceRow;
use policy::source::{FurtherPrices, Model};
use serde::Serialize;

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_request, rows};
use super::organization::DeletedPayload;
use super::scalar::UsdAmount;
use super::vocabulary::TierName;
use crate::app::OperationError;
use crate::app::managed::{Create, Delete, Overlay, Update};
use crate::app::model::{Models, Prices, SetModelPrice};
use crate::authz::{Action, Resource};
use crate::error::Refusal;
use crate::store::{self, page};

/// An addition to the built-in catalogue, or an override of it.
#[derive(SimpleObject)]
#[graphql(name = "Model")]
struct ModelView {
    /// Prefixed id.
    id: String,
    /// `provider/model`.
    model: String,
    /// Tokens that input and output may have together.
    context_tokens: Option<i64>,
    /// Tokens that an answer can have at most.
    max_output_tokens: Option<i64>,
    /// Quality class.
    quality_tier: Option<String>,
    /// Price lines, the earliest first.
    prices: Vec<PriceView>,
    /// For `expectedVersion`.
    version: i64,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

/// What a model costs from one instant to another, a million tokens. A price left out follows its parent bucket.
#[derive(SimpleObject)]
#[graphql(name = "ModelPrice")]
struct PriceView {
    /// Prefixed id; what ledger entries name.
    id: String,
    /// First instant at which it holds.
    effective_from: DateTime<Utc>,
    /// First instant at which it no longer holds.
    effective_to: Option<DateTime<Utc>>,
    /// Uncached input.
    input_usd_per_mtok: Option<UsdAmount>,
    /// Input read from the provider's cache.
    cached_input_usd_per_mtok: Option<UsdAmount>,
    /// Input written to it.
    cache_write_usd_per_mtok: Option<UsdAmount>,
    /// Visible output.
    output_usd_per_mtok: Option<UsdAmount>,
    /// Reasoning.
    reasoning_usd_per_mtok: Option<UsdAmount>,
    /// Finer prices and those of long inputs, as in the declarative document.
    further_prices: Option<serde_json::Value>,
}

impl From<PriceRow> for PriceView {
    fn from(row: PriceRow) -> Self {
        let PriceRow {
            id,
            org_id: _,
            model_id: _,
            effective_from,
            effective_to,
            input_nano,
            cached_input_nano,
            cache_write_nano,
            output_nano,
            reasoning_nano,
            further,
            created_at: _,
        } = row;
        Self {
            id,
            effective_from,
            effective_to,
            input_usd_per_mtok: input_nano.map(UsdAmount::from_nanos),
            cached_input_usd_per_mtok: cached_input_nano.map(UsdAmount::from_nanos),
            cache_write_usd_per_mtok: cache_write_nano.map(UsdAmount::from_nanos),
            output_usd_per_mtok: output_nano.map(UsdAmount::from_nanos),
            reasoning_usd_per_mtok: reasoning_nano.map(UsdAmount::from_nanos),
            further_prices: further,
        }
    }
}

impl ModelView {
    fn new(row: Row, prices: Vec<PriceRow>) -> Self {
        let Row {
            id,
            org_id: _,
            provider_name,
            name,
            context_tokens,
            max_output_tokens,
            quality_tier,
            capabilities: _,
            version,
            created_at,
            updated_at,
        } = row;
        let prices = prices.into_iter().map(PriceView::from).collect();
        Self {
            id,
            model: format!("{provider_name}/{name}"),
            context_tokens,
            max_output_tokens,
            quality_tier,
            prices,
            version,
            created_at,
            updated_at,
        }
    }
}

/// Prices in USD a million tokens.
#[derive(InputObject, Serialize, Default)]
struct PricesInput {
    /// Uncached input.
    input_usd_per_mtok: Option<UsdAmount>,
    /// Input read from the provider's cache; follows input where left out.
    cached_input_usd_per_mtok: Option<UsdAmount>,
    /// Input written to it; follows input where left out.
    cache_write_usd_per_mtok: Option<UsdAmount>,
    /// Visible output.
    output_usd_per_mtok: Option<UsdAmount>,
    /// Reasoning; follows output where left out.
    reasoning_usd_per_mtok: Option<UsdAmount>,
    /// `further_prices` of the declarative document: finer buckets, a fee for the call, other rates for long inputs.
    further_prices: Option<Json<FurtherPrices>>,
}

impl PricesInput {
    fn into_prices(self) -> Result<Prices, OperationError> {
        let Self {
            input_usd_per_mtok,
            cached_input_usd_per_mtok,
            cache_write_usd_per_mtok,
            output_usd_per_mtok,
            reasoning_usd_per_mtok,
            further_prices,
        } = self;
        let usd = |amount: Option<UsdAmount>, field: &str| amount.map(|amount| amount.read(&format!("prices.{field}"))).transpose();
        Ok(Prices {
            input: usd(input_usd_per_mtok, "inputUsdPerMtok")?,
            cached_input: usd(cached_input_usd_per_mtok, "cachedInputUsdPerMtok")?,
            cache_write: usd(cache_write_usd_per_mtok, "cacheWriteUsdPerMtok")?,
            output: usd(output_usd_per_mtok, "outputUsdPerMtok")?,
            reasoning: usd(reasoning_usd_per_mtok, "reasoningUsdPerMtok")?,
            further: further_prices.map(|Json(further)| further),
        })
    }

    fn lay_over(self, model: &mut Model) -> Result<(), OperationError> {
        let Prices { input, cached_input, cache_write, output, reasoning, further } = self.into_prices()?;
        model.input_usd_per_mtok = input;
        model.cached_input_usd_per_mtok = cached_input;
        model.cache_write_usd_per_mtok = cache_write;
        model.output_usd_per_mtok = output;
        model.reasoning_usd_per_mtok = reasoning;
        model.further_prices = further;
        Ok(())
    }
}

/// A new model.
#[derive(InputObject)]
struct CreateModelInput {
    /// `provider/model`.
    model: String,
    /// Prices from now on; the catalogue's where left out.
    prices: Option<PricesInput>,
    /// Tokens that input and output may have together.
    context_tokens: Option<u32>,
    /// Tokens that an answer can have at most.
    max_output_tokens: Option<u32>,
    /// Quality class.
    quality_tier: Option<TierName>,
}

impl TryFrom<CreateModelInput> for Model {
    type Error = Refusal;

    fn try_from(input: CreateModelInput) -> Result<Self> {
        let CreateModelInput { model, prices, context_tokens, max_output_tokens, quality_tier } = input;
        let mut model = Self {
            model,
            input_usd_per_mtok: None,
            cached_input_usd_per_mtok: None,
            cache_write_usd_per_mtok: None,
            output_usd_per_mtok: None,
            reasoning_usd_per_mtok: None,
            further_prices: None,
            context_tokens,
            max_output_tokens,
            quality_tier: quality_tier.map(Into::into),
        };
        prices.unwrap_or_default().lay_over(&mut model)?;
        Ok(model)
    }
}

/// What is to be different; fields left out stay.
#[derive(InputObject, Serialize)]
struct UpdateModelInput {
    /// All prices, from now on.
    prices: Option<PricesInput>,
    /// Tokens that input and output may have together; null for the catalogue's.
    context_tokens: MaybeUndefined<u32>,
    /// Tokens that an answer can have at most; null for the catalogue's.
    max_output_tokens: MaybeUndefined<u32>,
    /// Quality class; null for the catalogue's.
    quality_tier: MaybeUndefined<TierName>,
}

impl Overlay<Model> for UpdateModelInput {
    fn lay_over(self, model: &mut Model) -> Result<(), OperationError> {
        let Self { prices, context_tokens, max_output_tokens, quality_tier } = self;
        if let Some(prices) = prices {
            prices.lay_over(model)?;
        }
        context_tokens.update_to(&mut model.context_tokens);
        max_output_tokens.update_to(&mut model.max_output_tokens);
        quality_tier.map_value(Into::into).update_to(&mut model.quality_tier);
        Ok(())
    }
}

/// A model as changed.
#[derive(SimpleObject)]
struct ModelPayload {
    /// As it is now.
    model: ModelView,
    /// The bundle that carries the change.
    revision: i64,
}

async fn load(caller: &Caller, id: &str) -> Result<ModelView> {
    caller.ctx().authorize(Action::Read, Resource::Model)?;
    let scope = caller.ctx().scope();
    let row = store::find::<Entity>(caller.database(), scope, id).await?.ok_or_else(|| not_found("model"))?;
    let prices = store::model_price::of_models(caller.database(), scope, std::slice::from_ref(&row.id)).await?;
    Ok(ModelView::new(row, prices))
}

#[derive(Default)]
pub(super) struct ModelQuery;

#[Object]
impl ModelQuery {
    /// Models that the organization added or overrides.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn models(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Result<Connection<String, ModelView>> {
        let caller = caller(ctx)?;
        caller.ctx().authorize(Action::Read, Resource::Model)?;
        let scope = caller.ctx().scope();
        let page::Page { rows, has_next, has_previous } =
            page::by_id(caller.database(), store::select::<Entity>(scope), &page_request(first, after.as_deref())?).await?;
        let rows = with_prices(caller, rows).await?;
        Ok(connection(page::Page { rows, has_next, has_previous }, |(row, _)| row.id.clone(), |(row, prices)| ModelView::new(row, prices)))
    }

    /// One model.
    async fn model(&self, ctx: &Context<'_>, id: ID) -> Result<ModelView> {
        load(caller(ctx)?, &id).await
    }
}

/// Models with their price lines, in one statement.
async fn with_prices(caller: &Caller, rows: Vec<Row>) -> Result<Vec<(Row, Vec<PriceRow>)>> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let mut prices: HashMap<String, Vec<PriceRow>> = HashMap::new();
    for price in store::model_price::of_models(caller.database(), caller.ctx().scope(), &ids).await? {
        prices.entry(price.model_id.clone()).or_default().push(price);
    }
    Ok(rows.into_iter().map(|row| (prices.remove(&row.id).unwrap_or_default(), row)).map(|(prices, row)| (row, prices)).collect())
}

#[derive(Default)]
pub(super) struct ModelMutation;

#[Object]
impl ModelMutation {
    /// Adds a model, or overrides one of the catalogue.
    async fn create_model(&self, ctx: &Context<'_>, input: CreateModelInput, idempotency_key: Option<String>) -> Result<ModelPayload> {
        let caller = caller(ctx)?;
        let done = caller.change(idempotency_key, Create::<Models> { place: (), source: input.try_into()? }).await?;
        Ok(ModelPayload { model: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Changes a model.
    async fn update_model(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: UpdateModelInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<ModelPayload> {
        let caller = caller(ctx)?;
        let update = Update { id: id.0, expected_version, overlay: input };
        let done = caller.change(idempotency_key, update.of::<Models>()).await?;
        Ok(ModelPayload { model: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Prices a model from an instant on, now or later.
    async fn set_model_price(
        &self,
        ctx: &Context<'_>,
        input: SetModelPriceInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<ModelPayload> {
        let caller = caller(ctx)?;
        let SetModelPriceInput { id, prices, effective_from } = input;
        let command = SetModelPrice { id: id.0, expected_version, prices: prices.into_prices()?, effective_from };
        let done = caller.change(idempotency_key, command).await?;
        Ok(ModelPayload { model: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Removes a model; the catalogue's description of it holds again, where it has one.
    async fn delete_model(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        let delete = Delete { id: id.0, expected_version };
        Ok(caller(ctx)?.change(idempotency_key, delete.of::<Models>()).await?.into())
    }
}

/// New prices.
#[derive(InputObject)]
struct SetModelPriceInput {
    /// The model.
    id: ID,
    /// All prices.
    prices: PricesInput,
    /// From when on; now where left out.
    effective_from: Option<DateTime<Utc>>,
}
