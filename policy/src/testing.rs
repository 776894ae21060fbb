//! Fixtures for this crate's tests: organizations from manifests, and requests.

use std::sync::Arc;

use crate::bundle::v1::Bundle;
use crate::compile::{Rejection, compile};
use crate::decision::{Claim, Decision, Route, Trace};
use crate::engine::{BudgetView, Engine};
use crate::facts::{HealthFacts, HealthView, RequestFacts, Subject, Surface, Tags};
use crate::money::NanoUsd;
use crate::source::{
    BudgetRecord, KeyRecord, Manifest, ModelRecord, Organization, Project, ProjectRecord, ProviderRecord, RoutingConfig,
    RoutingConfigRecord,
};

/// The organization that a manifest (as JSON) describes, with made-up ids.
pub(crate) fn organization(manifest: serde_json::Value) -> Organization {
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    let configs = |configs: Vec<RoutingConfig>| {
        configs.into_iter().map(|config| RoutingConfigRecord { id: format!("cfg_{}", config.slug), version: 1, config }).collect()
    };
    let projects = manifest.projects.into_iter().map(|project| {
        let Project { keys, routing_configs, .. } = project.clone();
        let hash = |name: &str| crate::bundle::hex_digest(name.as_bytes());
        let keys = keys.into_iter().map(|key| KeyRecord { id: format!("key_{}", key.name), hash: hash(&key.name), key }).collect();
        let id = format!("prj_{}", project.name);
        let project = Project { keys: Vec::new(), routing_configs: Vec::new(), ..project };
        ProjectRecord { id, project, routing_configs: configs(routing_configs), keys, webhook_secret: None }
    });
    Organization {
        id: "org_test".to_owned(),
        slug: manifest.org,
        revision: 7,
        time: "2026-11-22T10:00:00Z".parse().unwrap(),
        settings: manifest.settings.unwrap_or_default(),
        projects: projects.collect(),
        providers: manifest
            .providers
            .into_iter()
            .map(|provider| ProviderRecord { id: format!("prv_{}", provider.name), provider, api_key: None })
            .collect(),
        models: manifest
            .models
            .into_iter()
            .map(|model| ModelRecord { id: format!("mdl_{}", model.model), price_version: "prc_1".to_owned(), model })
            .collect(),
        routing_configs: configs(manifest.routing_configs),
        budgets: manifest.budgets.into_iter().map(|budget| BudgetRecord { id: format!("bud_{}", budget.name), budget }).collect(),
    }
}

pub(crate) fn compiled(manifest: serde_json::Value) -> Result<Bundle, Vec<Rejection>> {
    compile(&organization(manifest))
}

/// A ready engine, its rules and references all good.
pub(crate) fn engine(manifest: serde_json::Value) -> Engine {
    Engine::load(compiled(manifest).unwrap()).unwrap()
}

pub(crate) fn subject(engine: &Engine, key: &str) -> Subject {
    engine.identify(ring::digest::digest(&ring::digest::SHA256, key.as_bytes()).as_ref()).unwrap()
}

pub(crate) fn request(model: &str) -> RequestFacts {
    RequestFacts {
        model: Arc::from(model),
        surface: Surface::OpenaiChat,
        passthrough: None,
        stream: false,
        input_tokens: 100,
        input_tokens_bound: 400,
        kept_input: None,
        provider_tool: None,
        max_output_tokens: Some(1_000),
        choices: 1,
        has_tools: false,
        has_images: false,
        findings: crate::guardrail::Findings::default(),
        time: "2026-11-22T12:00:00Z".parse().unwrap(),
        peer: "127.0.0.1".parse().unwrap(),
        client: None,
        end_user: None,
        tags: Tags::default(),
        trace_id: None,
        conversation_id: None,
        draw: 0,
    }
}

/// The same use of every budget.
pub(crate) struct Used(pub(crate) NanoUsd);

impl BudgetView for Used {
    fn used(&self, _: &Claim) -> NanoUsd {
        self.0
    }
}

pub(crate) struct NoHealth;

impl HealthView for NoHealth {
    fn health(&self, _: &str) -> Option<HealthFacts> {
        None
    }
}

/// Health by target: milliseconds, or none where it is not usable.
pub(crate) struct Paces(pub(crate) &'static [(&'static str, Option<u32>)]);

impl HealthView for Paces {
    fn health(&self, target: &str) -> Option<HealthFacts> {
        let (_, pace) = self.0.iter().find(|(name, _)| *name == target)?;
        Some(HealthFacts { p50_ms: pace.map_or(0.0, f64::from), ok: pace.is_some(), stale: false })
    }
}

/// The targets in the order in which they would be tried, or the denial's code and message.
pub(crate) fn decide(engine: &Engine, request: &RequestFacts, used_usd: &str) -> Result<Vec<String>, (String, String)> {
    decide_by(engine, request, used_usd, &NoHealth)
}

/// The same, with what is known of health.
pub(crate) fn decide_by(
    engine: &Engine,
    request: &RequestFacts,
    used_usd: &str,
    health: &dyn HealthView,
) -> Result<Vec<String>, (String, String)> {
    let used = Used(used_usd.parse().unwrap());
    match engine.decide(&subject(engine, "ci"), request, &used, health, Trace::default()) {
        Decision::Permit(permit) => {
            let mut targets = Vec::new();
            collect(permit.route(), &mut targets);
            Ok(targets)
        }
        Decision::Deny(denial) => Err((denial.reason.code().to_owned(), denial.message)),
    }
}

fn collect(route: &Route, targets: &mut Vec<String>) {
    match route {
        Route::Target(target) => targets.push(format!("{}/{}", target.provider_name, target.model)),
        Route::Fallback { attempts, .. } => attempts.iter().for_each(|attempt| collect(&attempt.route, targets)),
        Route::Cascade(cascade) => cascade.steps.iter().for_each(|step| collect(&step.route, targets)),
        Route::Ensemble(ensemble) => {
            ensemble.members.iter().map(|member| &member.route).chain(ensemble.judge.as_deref()).for_each(|route| collect(route, targets));
        }
    }
}
