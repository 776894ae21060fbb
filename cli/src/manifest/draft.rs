//! The organization that a manifest would make, with made-up ids, to compile it without a control plane.
//!
//! Leaves out secrets: whether one is there does not change what compiles.

use policy::source::{
    BudgetRecord, KeyRecord, Manifest, ModelRecord, Organization, Project, ProjectRecord, Provider, ProviderRecord, RoutingConfig,
    RoutingConfigRecord,
};

/// The organization of `manifest` alone: nothing that it does not name is there.
pub(crate) fn draft_organization(manifest: &Manifest) -> Organization {
    let Manifest { org, settings, providers, models, routing_configs, projects, budgets, members: _, webhooks: _, exports: _ } = manifest;
    Organization {
        id: "org_draft".to_owned(),
        slug: org.clone(),
        revision: 0,
        time: chrono::DateTime::UNIX_EPOCH,
        settings: settings.clone().unwrap_or_default(),
        providers: providers.iter().map(provider_record).collect(),
        models: models
            .iter()
            .map(|model| ModelRecord { id: format!("mdl_{}", model.model), model: model.clone(), price_version: "prc_draft".to_owned() })
            .collect(),
        routing_configs: config_records(routing_configs),
        projects: project_records(projects),
        budgets: budgets.iter().map(|budget| BudgetRecord { id: format!("bud_{}", budget.name), budget: budget.clone() }).collect(),
    }
}

fn provider_record(provider: &Provider) -> ProviderRecord {
    let provider = Provider { api_key: None, ..provider.clone() };
    ProviderRecord { id: format!("prv_{}", provider.name), provider, api_key: None }
}

fn config_records(configs: &[RoutingConfig]) -> Vec<RoutingConfigRecord> {
    let record = |config: &RoutingConfig| RoutingConfigRecord { id: format!("cfg_{}", config.slug), version: 1, config: config.clone() };
    configs.iter().map(record).collect()
}

fn project_records(projects: &[Project]) -> Vec<ProjectRecord> {
    let mut hashes = 0_u64..;
    let mut records = Vec::with_capacity(projects.len());
    for project in projects {
        let keys = project.keys.iter().zip(&mut hashes).map(|(key, number)| KeyRecord {
            id: format!("key_{}/{}", project.name, key.name),
            hash: format!("{number:064x}"),
            key: key.clone(),
        });
        let keys = keys.collect();
        records.push(ProjectRecord {
            id: format!("prj_{}", project.name),
            routing_configs: config_records(&project.routing_configs),
            keys,
            webhook_secret: None,
            project: Project { routing_configs: Vec::new(), keys: Vec::new(), ..project.clone() },
        });
    }
    records
}
