//! An organization with one of each resource, made through the interface itself.

use serde_json::{Value, json};
use tests::graphql::GraphQl;
use tests::wire::unique_number;

/// Canaries: secrets that must never be shown again.
pub(super) const PROVIDER_SECRET: &str = "provider-secret-canary-90b7";

/// Ids of one set of things, all of whose names contain [`World::marker`].
pub(super) struct World {
    pub(super) marker: String,
    pub(super) organization: String,
    pub(super) project: String,
    pub(super) provider: String,
    /// A provider that nothing uses.
    pub(super) spare: String,
    pub(super) model: String,
    pub(super) routing_config: String,
    pub(super) budget: String,
    pub(super) proxy_key: String,
    pub(super) management_key: String,
    pub(super) member: String,
    /// Secrets that were shown once.
    pub(super) secrets: Vec<String>,
}

impl World {
    /// A fresh set in the organization of `owner`.
    pub(super) async fn fresh(owner: &GraphQl) -> Self {
        let marker = format!("m{}x", unique_number());
        let made = owner.query(&things(&marker)).await;
        let id = |place: &str| text(&made, place);
        let project = id("/createProject/project/id");
        let keyed = owner
            .run(
                "mutation($input: CreateProxyKeyInput!) { createProxyKey(input: $input) { proxyKey { id } secret } }",
                json!({"input": {"projectId": project, "name": format!("key-{marker}")}}),
            )
            .await;
        // A second version, so that there is one to go back to.
        let again = json!({"id": id("/createRoutingConfig/routingConfig/id"), "input": {"document": {"strategy": "fallback", "attempts": [{"model": format!("provider-{marker}/m")}]}}});
        owner
            .run(
                "mutation($id: ID!, $input: UpdateRoutingConfigInput!) { updateRoutingConfig(id: $id, input: $input) { revision } }",
                again,
            )
            .await;
        let organization = owner.query("{ organization { slug } }").await;
        Self {
            organization: text(&organization, "/organization/slug"),
            provider: id("/createProvider/provider/id"),
            spare: id("/spare/provider/id"),
            model: id("/createModel/model/id"),
            routing_config: id("/createRoutingConfig/routingConfig/id"),
            budget: id("/createBudget/budget/id"),
            proxy_key: text(&keyed, "/createProxyKey/proxyKey/id"),
            management_key: id("/createManagementKey/managementKey/id"),
            member: id("/addMember/member/id"),
            secrets: vec![PROVIDER_SECRET.to_owned(), text(&keyed, "/createProxyKey/secret"), id("/createManagementKey/secret")],
            project,
            marker,
        }
    }

    /// Every id of the set.
    pub(super) fn ids(&self) -> [&str; 9] {
        [
            &self.project,
            &self.provider,
            &self.spare,
            &self.model,
            &self.routing_config,
            &self.budget,
            &self.proxy_key,
            &self.management_key,
            &self.member,
        ]
    }
}

/// One of each, but for the key that needs a project.
fn things(marker: &str) -> String {
    format!(
        r#"mutation {{
            createProject(input: {{name: "project-{marker}"}}) {{ project {{ id }} }}
            createProvider(input: {{name: "provider-{marker}", vendor: "openai", apiKey: "{PROVIDER_SECRET}"}}) {{ provider {{ id }} }}
            spare: createProvider(input: {{name: "spare-{marker}", vendor: "simulated"}}) {{ provider {{ id }} }}
            createModel(input: {{model: "provider-{marker}/m", prices: {{inputUsdPerMtok: "1", outputUsdPerMtok: "2"}}}}) {{ model {{ id }} }}
            createRoutingConfig(input: {{slug: "config-{marker}", document: {{strategy: "single", model: "provider-{marker}/m"}}}}) {{ routingConfig {{ id }} }}
            createBudget(input: {{name: "budget-{marker}", scope: "organization", period: monthly, capUsd: "10"}}) {{ budget {{ id }} }}
            createManagementKey(input: {{name: "key-{marker}", role: viewer}}) {{ managementKey {{ id }} secret }}
            addMember(input: {{email: "{marker}@example.com", role: viewer}}) {{ member {{ id }} }}
        }}"#
    )
}

/// The text at `place`.
pub(super) fn text(value: &Value, place: &str) -> String {
    value.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("no `{place}` in {value}")).to_owned()
}

/// A second organization; GraphQL as its owner.
pub(super) async fn found_another(owner: &GraphQl) -> GraphQl {
    let slug = format!("other-{}", unique_number());
    let made = owner
        .run(
            "mutation($input: CreateOrganizationInput!) { createOrganization(input: $input) { managementKey } }",
            json!({"input": {"slug": slug}}),
        )
        .await;
    owner.with_key(&text(&made, "/createOrganization/managementKey"))
}

/// A management key of `role`; GraphQL with it.
pub(super) async fn with_role(owner: &GraphQl, role: &str) -> GraphQl {
    let name = format!("{role}-{}", unique_number());
    let made = owner.query(&format!("mutation {{ createManagementKey(input: {{name: \"{name}\", role: {role}}}) {{ secret }} }}")).await;
    owner.with_key(&text(&made, "/createManagementKey/secret"))
}
