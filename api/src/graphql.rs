//! The GraphQL interface: one file a resource, resolvers that only translate.
//!
//! Promises: what a resolver returns was read within the caller's tenant; an error has a code; a list inside a list is loaded in one go
//! for all its parents ([`loaders`]); a query deeper or dearer than the limits is refused before anything is read.
//!
//! Words of the contract (`owner`, `monthly`, `openai_chat`, …) are the values of enums as they are written there. Money is decimal USD.

mod audit_event;
mod budget;
mod caller;
mod connection;
mod counted;
mod guardrails;
mod loaders;
mod management_key;
mod manifest;
mod member;
mod model;
mod organization;
mod project;
mod provider;
mod provider_health;
mod proxy_key;
mod replay;
mod request_log;
mod routing_config;
mod scalar;
mod spend;
mod subscription;
mod vocabulary;
mod worker;

use async_graphql::{MergedObject, SDLExportOptions, Schema};

pub(crate) use caller::Caller;
pub(crate) use counted::Counted;

use crate::error::Refusal;

/// What resolvers answer.
type Result<T, E = Refusal> = std::result::Result<T, E>;

/// Fields inside fields at most; an introspection query of the usual tools needs 15.
const MAX_DEPTH: usize = 20;
/// Fields of all rows that a query may ask for at most.
const MAX_COMPLEXITY: usize = 30_000;
/// Directives on one field at most.
const MAX_DIRECTIVES: usize = 10;

/// All that can be asked.
#[derive(MergedObject, Default)]
#[graphql(name = "Query")]
pub(crate) struct QueryRoot(
    organization::OrganizationQuery,
    member::MemberQuery,
    project::ProjectQuery,
    provider::ProviderQuery,
    provider_health::ProviderHealthQuery,
    model::ModelQuery,
    routing_config::RoutingConfigQuery,
    budget::BudgetQuery,
    proxy_key::ProxyKeyQuery,
    management_key::ManagementKeyQuery,
    manifest::ManifestQuery,
    audit_event::AuditEventQuery,
    request_log::RequestLogQuery,
    replay::ReplayQuery,
    spend::SpendQuery,
    worker::WorkerQuery,
);

/// All that can be changed.
#[derive(MergedObject, Default)]
#[graphql(name = "Mutation")]
pub(crate) struct MutationRoot(
    organization::OrganizationMutation,
    member::MemberMutation,
    project::ProjectMutation,
    provider::ProviderMutation,
    model::ModelMutation,
    routing_config::RoutingConfigMutation,
    budget::BudgetMutation,
    proxy_key::ProxyKeyMutation,
    management_key::ManagementKeyMutation,
    manifest::ManifestMutation,
);

/// The interface.
pub(crate) type ApiSchema = Schema<QueryRoot, MutationRoot, subscription::SubscriptionRoot>;

/// Builds the interface; who calls comes with each request.
pub(crate) fn build() -> ApiSchema {
    Schema::build(QueryRoot::default(), MutationRoot::default(), subscription::SubscriptionRoot)
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COMPLEXITY)
        .limit_directives(MAX_DIRECTIVES)
        .extension(counted::CountOperations)
        .finish()
}

/// The schema as text, sorted, as it is committed.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items().include_specified_by();
    build().sdl_with_options(options)
}

/// The names of all mutations, for tests that must have a case for each.
#[must_use]
pub fn mutation_names() -> Vec<String> {
    fields_of("type Mutation")
}

/// The names of all queries, for tests that must have a case for each.
#[must_use]
pub fn query_names() -> Vec<String> {
    fields_of("type Query")
}

/// Whether a document with its variables fits the schema, without running it: nobody calls, so every field refuses at once.
///
/// # Errors
/// What does not fit.
pub async fn check_operation(document: &str, variables: serde_json::Value) -> std::result::Result<(), String> {
    let request = async_graphql::Request::new(document).variables(async_graphql::Variables::from_json(variables));
    let response = build().execute(request).await;
    let unauthenticated = async_graphql::Value::from(crate::error::ErrorCode::Unauthenticated.as_str());
    let misfit =
        response.errors.into_iter().find(|error| error.extensions.as_ref().and_then(|more| more.get("code")) != Some(&unauthenticated));
    misfit.map_or(Ok(()), |error| Err(error.message))
}

/// Field names of a type, read from the schema as it is published.
fn fields_of(heading: &str) -> Vec<String> {
    let sdl = sdl();
    let body = sdl.lines().skip_while(|line| !line.starts_with(heading)).skip(1).take_while(|line| !line.starts_with('}'));
    let mut in_description = false;
    let fields = body.filter_map(|line| {
        let line = line.trim();
        if line.starts_with("\"\"\"") {
            in_description = !in_description;
            return None;
        }
        let end = line.find(['(', ':'])?;
        if in_description { None } else { line.get(..end).map(str::to_owned) }
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_are_found_in_the_schema() {
        let names = mutation_names();
        assert!(names.contains(&"createProject".to_owned()) && names.contains(&"applyManifest".to_owned()), "{names:?}");
        assert!(names.iter().all(|name| name.chars().all(char::is_alphanumeric)), "{names:?}");
    }

    #[test]
    fn the_fixed_queries_are_there() {
        let names = query_names();
        for fixed in ["viewer", "workers", "budgets", "spend", "requestLogs", "auditEvents"] {
            assert!(names.iter().any(|name| name == fixed), "{fixed}");
        }
    }

    #[test]
    fn every_mutation_takes_an_idempotency_key() {
        let sdl = sdl();
        for name in mutation_names() {
            let line = sdl.lines().find(|line| line.trim().starts_with(&format!("{name}("))).unwrap();
            assert!(line.contains("idempotencyKey: String"), "{name}");
        }
    }
}
