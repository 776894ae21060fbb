//! Rows of one organization → the parts of its source. One function a table, each by full destructuring, so that a new column
//! fails to compile here until somebody has thought about it.

use std::num::NonZeroU32;

use entity::{budget, model, model_price, project, provider, proxy_key, routing_config_version};
use policy::money::{NanoUsd, Usd};
use policy::source::{
    Budget, BudgetMode, BudgetRecord, Expiry, Fraction, HealthCheck, Key, KeyRecord, Model, ModelRecord, PeriodKind, Project,
    ProjectRecord, ProjectSettings, Provider, RoutingConfig, RoutingConfigRecord, Tier,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::PublishError;

type Read<T> = Result<T, PublishError>;

/// Says which row and column can't be read.
struct At<'a> {
    resource: &'static str,
    id: &'a str,
}

impl At<'_> {
    fn json<T: DeserializeOwned>(&self, field: &'static str, value: serde_json::Value) -> Read<T> {
        serde_json::from_value(value).map_err(|source| self.unreadable(field, Some(source)))
    }

    fn count(&self, field: &'static str, value: Option<i64>) -> Read<Option<u32>> {
        value.map(|value| u32::try_from(value).map_err(|_| self.unreadable(field, None))).transpose()
    }

    fn unreadable(&self, field: &'static str, source: Option<serde_json::Error>) -> PublishError {
        PublishError::Unreadable { resource: self.resource, id: self.id.to_owned(), field, source }
    }
}

pub(crate) fn settings(org: &entity::organization::Model) -> Read<policy::source::Settings> {
    At { resource: "organization", id: &org.id }.json("settings", org.settings.clone())
}

/// What `providers.settings` holds.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct ProviderSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<HealthCheck>,
}

/// The declared part only; the secret is the caller's business.
pub(crate) fn provider(row: &provider::Model) -> Read<Provider> {
    let at = At { resource: "provider", id: &row.id };
    let ProviderSettings { health_check } = at.json("settings", row.settings.clone())?;
    Ok(Provider { name: row.name.clone(), vendor: row.vendor.clone(), base_url: row.base_url.clone(), api_key: None, health_check })
}

/// What of a provider has no column of its own.
pub(crate) fn provider_settings(provider: &Provider) -> serde_json::Value {
    serde_json::json!(ProviderSettings { health_check: provider.health_check.clone() })
}

pub(crate) fn model(row: model::Model, price: Option<model_price::Model>) -> Read<ModelRecord> {
    let model::Model {
        id,
        org_id: _,
        provider_name,
        name,
        context_tokens,
        max_output_tokens,
        quality_tier,
        capabilities: _,
        version: _,
        created_at: _,
        updated_at: _,
    } = row;
    let at = At { resource: "model", id: &id };
    let quality_tier: Option<Tier> = quality_tier.map(|tier| at.json("quality_tier", serde_json::Value::String(tier))).transpose()?;
    let further = price.as_ref().and_then(|price| price.further.clone());
    let usd = |pick: fn(&model_price::Model) -> Option<i64>| price.as_ref().and_then(pick).map(|nano| Usd(NanoUsd::from_nanos(nano)));
    let model = Model {
        model: format!("{provider_name}/{name}"),
        input_usd_per_mtok: usd(|price| price.input_nano),
        cached_input_usd_per_mtok: usd(|price| price.cached_input_nano),
        cache_write_usd_per_mtok: usd(|price| price.cache_write_nano),
        output_usd_per_mtok: usd(|price| price.output_nano),
        reasoning_usd_per_mtok: usd(|price| price.reasoning_nano),
        further_prices: further.map(|further| at.json("further", further)).transpose()?,
        context_tokens: at.count("context_tokens", context_tokens)?,
        max_output_tokens: at.count("max_output_tokens", max_output_tokens)?,
        quality_tier,
    };
    Ok(ModelRecord { id, model, price_version: price.map(|price| price.id).unwrap_or_default() })
}

pub(crate) fn routing_config(row: entity::routing_config::Model, version: routing_config_version::Model) -> Read<RoutingConfigRecord> {
    let at = At { resource: "routing_config", id: &row.id };
    let document = at.json("document", version.document)?;
    let number = u64::try_from(version.number).map_err(|_| at.unreadable("number", None))?;
    Ok(RoutingConfigRecord { version: number, config: RoutingConfig { slug: row.slug, document }, id: row.id })
}

/// The declared part only; the webhook's secret is the caller's business.
pub(crate) fn project(row: project::Model) -> Read<ProjectRecord> {
    let project::Model {
        id,
        org_id: _,
        name,
        tags,
        settings,
        entry_policy,
        webhook_secret_sealed: _,
        webhook_secret_wrapped_key: _,
        webhook_secret_key_id: _,
        webhook_secret_digest: _,
        version: _,
        created_at: _,
        updated_at: _,
    } = row;
    let at = At { resource: "project", id: &id };
    let settings: ProjectSettings = at.json("settings", settings)?;
    let settings = ProjectSettings { entry_policy: entry_policy.or(settings.entry_policy.clone()), ..settings };
    let project = Project { name, tags: at.json("tags", tags)?, settings, routing_configs: Vec::new(), keys: Vec::new() };
    Ok(ProjectRecord { id, project, routing_configs: Vec::new(), keys: Vec::new(), webhook_secret: None })
}

/// `owner` is the e-mail address of `owner_user_id`.
pub(crate) fn key(row: proxy_key::Model, owner: Option<String>) -> Read<KeyRecord> {
    let proxy_key::Model {
        id,
        org_id: _,
        project_id: _,
        name,
        secret_hash,
        prefix_hint: _,
        tags,
        rpm,
        expires_at,
        allowed_models,
        ip_allowlist,
        owner_user_id: _,
        revoked_at: _,
        version: _,
        created_at: _,
        updated_at: _,
    } = row;
    let at = At { resource: "proxy_key", id: &id };
    let key = Key {
        name,
        tags: at.json("tags", tags)?,
        rpm: at.count("rpm", rpm)?,
        expires: expires_at.map(Expiry),
        allowed_models: at.json("allowed_models", allowed_models)?,
        ip_allowlist: at.json("ip_allowlist", ip_allowlist)?,
        owner,
    };
    Ok(KeyRecord { hash: secret_hash, key, id })
}

/// A budget in the organization's own time zone leaves its zone out, as its source did.
pub(crate) fn budget(row: budget::Model, organization_zone: &str) -> Read<BudgetRecord> {
    let budget::Model {
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
        version: _,
        created_at: _,
        updated_at: _,
    } = row;
    let at = At { resource: "budget", id: &id };
    let anchor_day = at.count("anchor_day", Some(anchor_day))?.filter(|day| *day != 1);
    let downgrade_at = at.count("downgrade_at_ppm", Some(downgrade_at_ppm))?.map_or_else(Fraction::whole, Fraction::from_ppm);
    let budget = Budget {
        name,
        scope: at.json("scope", scope)?,
        period: period_kind(period),
        anchor_day: anchor_day.and_then(NonZeroU32::new),
        time_zone: Some(time_zone).filter(|zone| zone != organization_zone),
        cap_usd: Usd(NanoUsd::from_nanos(cap_nano)),
        thresholds: at.json("thresholds", thresholds)?,
        at_cap: at.json("at_cap", at_cap)?,
        downgrade_at,
        mode: match mode {
            budget::Mode::Enforce => BudgetMode::Enforce,
            budget::Mode::Shadow => BudgetMode::Shadow,
        },
        clamp_output,
    };
    Ok(BudgetRecord { id, budget })
}

pub(crate) const fn period_kind(period: budget::Period) -> PeriodKind {
    match period {
        budget::Period::Daily => PeriodKind::Daily,
        budget::Period::Weekly => PeriodKind::Weekly,
        budget::Period::Monthly => PeriodKind::Monthly,
        budget::Period::Quarterly => PeriodKind::Quarterly,
        budget::Period::Yearly => PeriodKind::Yearly,
        budget::Period::Total => PeriodKind::Total,
    }
}
