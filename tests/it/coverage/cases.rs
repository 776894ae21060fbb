//! One line for each query, mutation and subscription: arguments that work on a [`World`], and what to select.
//!
//! A table of like things. A new field of the schema gets its line here and nowhere else.

use super::world::World;

/// One field of the schema.
pub(super) struct Case {
    /// As in the schema.
    pub(super) name: &'static str,
    /// Arguments, without parentheses; empty for none.
    pub(super) arguments: fn(&World) -> String,
    /// With braces; empty for scalars.
    pub(super) selection: &'static str,
    /// Whether it names something that exists, so that another tenant must be told that it does not.
    pub(super) names_existing: bool,
}

impl Case {
    /// The operation, with `more` before the other arguments.
    pub(super) fn document(&self, kind: &str, world: &World, more: &str) -> String {
        let arguments = format!("{more} {}", (self.arguments)(world));
        let arguments = if arguments.trim().is_empty() { String::new() } else { format!("({})", arguments.trim()) };
        format!("{kind} {{ {}{arguments} {} }}", self.name, self.selection)
    }
}

const fn existing(name: &'static str, arguments: fn(&World) -> String, selection: &'static str) -> Case {
    Case { name, arguments, selection, names_existing: true }
}

const fn other(name: &'static str, arguments: fn(&World) -> String, selection: &'static str) -> Case {
    Case { name, arguments, selection, names_existing: false }
}

fn none(_: &World) -> String {
    String::new()
}

pub(super) const MUTATIONS: &[Case] = &[
    other("createOrganization", |w| format!(r#"input: {{slug: "org-{}"}}"#, w.marker), "{ revision managementKey organization { id } }"),
    other("updateOrganization", |w| format!(r#"input: {{name: "named-{}"}}"#, w.marker), "{ revision organization { id } }"),
    other("deleteOrganization", |w| format!(r#"slug: "{}""#, w.organization), "{ revision id }"),
    other("addMember", |w| format!(r#"input: {{email: "new-{}@example.com", role: member}}"#, w.marker), "{ revision member { id } }"),
    existing("updateMember", |w| format!(r#"id: "{}", input: {{role: member}}"#, w.member), "{ revision member { id } }"),
    existing("removeMember", |w| format!(r#"id: "{}""#, w.member), "{ revision id }"),
    other(
        "createProject",
        |w| {
            let webhook = format!(r#"{{url: "http://127.0.0.1:9/", fail: closed, secret: "{}"}}"#, super::world::PROVIDER_SECRET);
            let guardrails = format!(r#"{{models: {{deny: ["x"]}}, detection: {{action: redact, kinds: [email]}}, webhook: {webhook}}}"#);
            format!(r#"input: {{name: "new-{}", tags: [{{name: "a", value: "b"}}], guardrails: {guardrails}}}"#, w.marker)
        },
        "{ revision project { id settings { guardrails { models { allow deny mode } detection { action kinds mode } webhook { url hasSecret secretDigest timeoutMs fail sends mode } } } } }",
    ),
    existing("updateProject", |w| format!(r#"id: "{}", input: {{strictCapabilities: true}}"#, w.project), "{ revision project { id } }"),
    existing("deleteProject", |w| format!(r#"id: "{}""#, w.project), "{ revision id }"),
    other(
        "createProvider",
        |w| {
            let secret = super::world::PROVIDER_SECRET;
            format!(r#"input: {{name: "new-{}", vendor: "openai", apiKey: "{secret}", healthCheck: {{path: "/models"}}}}"#, w.marker)
        },
        "{ revision provider { id healthCheck { intervalSeconds timeoutMs path } } }",
    ),
    existing(
        "updateProvider",
        |w| format!(r#"id: "{}", input: {{apiKey: "second-{}"}}"#, w.provider, super::world::PROVIDER_SECRET),
        "{ revision provider { id } }",
    ),
    existing("deleteProvider", |w| format!(r#"id: "{}""#, w.spare), "{ revision id }"),
    other("createModel", |w| format!(r#"input: {{model: "provider-{}/new"}}"#, w.marker), "{ revision model { id } }"),
    existing("updateModel", |w| format!(r#"id: "{}", input: {{contextTokens: 1000}}"#, w.model), "{ revision model { id } }"),
    existing(
        "setModelPrice",
        |w| format!(r#"input: {{id: "{}", prices: {{inputUsdPerMtok: "3"}}}}"#, w.model),
        "{ revision model { id } }",
    ),
    existing("deleteModel", |w| format!(r#"id: "{}""#, w.model), "{ revision id }"),
    other(
        "createRoutingConfig",
        |w| format!(r#"input: {{slug: "new-{0}", document: {{strategy: "single", model: "@config-{0}"}}}}"#, w.marker),
        "{ revision routingConfig { id } }",
    ),
    existing(
        "updateRoutingConfig",
        |w| format!(r#"id: "{}", input: {{document: {{strategy: "single", model: "provider-{}/other"}}}}"#, w.routing_config, w.marker),
        "{ revision routingConfig { id } }",
    ),
    existing("rollbackRoutingConfig", |w| format!(r#"id: "{}", toVersion: 1"#, w.routing_config), "{ revision routingConfig { id } }"),
    existing("deleteRoutingConfig", |w| format!(r#"id: "{}""#, w.routing_config), "{ revision id }"),
    other(
        "createBudget",
        |w| format!(r#"input: {{name: "new-{0}", scope: {{project: "project-{0}"}}, period: daily, capUsd: "1.5"}}"#, w.marker),
        "{ revision budget { id } }",
    ),
    existing("updateBudget", |w| format!(r#"id: "{}", input: {{capUsd: "20"}}"#, w.budget), "{ revision budget { id } }"),
    existing("deleteBudget", |w| format!(r#"id: "{}""#, w.budget), "{ revision id }"),
    existing(
        "createProxyKey",
        |w| format!(r#"input: {{projectId: "{}", name: "new-{}"}}"#, w.project, w.marker),
        "{ revision secret proxyKey { id } }",
    ),
    existing("updateProxyKey", |w| format!(r#"id: "{}", input: {{rpm: 60}}"#, w.proxy_key), "{ revision proxyKey { id } }"),
    existing("rotateProxyKey", |w| format!(r#"id: "{}""#, w.proxy_key), "{ revision secret proxyKey { id } }"),
    existing("revokeProxyKey", |w| format!(r#"id: "{}""#, w.proxy_key), "{ revision id }"),
    other(
        "createManagementKey",
        |w| format!(r#"input: {{name: "new-{}", role: viewer}}"#, w.marker),
        "{ revision secret managementKey { id } }",
    ),
    existing("revokeManagementKey", |w| format!(r#"id: "{}""#, w.management_key), "{ revision id }"),
    other(
        "applyManifest",
        |w| {
            format!(
                r#"manifest: {{org: "{}", budgets: [{{name: "declared-{}", scope: "organization", period: "monthly", cap_usd: 3}}]}}"#,
                w.organization, w.marker
            )
        },
        "{ revision changes { action } }",
    ),
];

pub(super) const QUERIES: &[Case] = &[
    other("viewer", none, "{ name role organization { slug } }"),
    other("organization", none, "{ id slug name revision settings { timeZone } }"),
    other("members", none, "{ nodes { id email } pageInfo { hasNextPage } }"),
    existing("member", |w| format!(r#"id: "{}""#, w.member), "{ id email }"),
    other("projects", none, "{ nodes { id name } pageInfo { hasNextPage } }"),
    existing("project", |w| format!(r#"id: "{}""#, w.project), "{ id name }"),
    other("providers", none, "{ nodes { id name apiKeyDigest } pageInfo { hasNextPage } }"),
    existing("provider", |w| format!(r#"id: "{}""#, w.provider), "{ id name }"),
    other("providerHealth", none, "{ nodes { provider model state } pageInfo { hasNextPage } }"),
    other("models", none, "{ nodes { id model } pageInfo { hasNextPage } }"),
    existing("model", |w| format!(r#"id: "{}""#, w.model), "{ id model }"),
    other("routingConfigs", none, "{ nodes { id slug document } pageInfo { hasNextPage } }"),
    existing("routingConfig", |w| format!(r#"id: "{}""#, w.routing_config), "{ id slug }"),
    existing("routingConfigDiff", |w| format!(r#"id: "{}", from: 1, to: 2"#, w.routing_config), ""),
    other(
        "validateRoutingConfig",
        |w| format!(r#"input: {{slug: "try-{0}", document: {{strategy: "single", model: "provider-{0}/m"}}}}"#, w.marker),
        "{ valid rejections { field message } }",
    ),
    other("budgets", none, "{ nodes { id name } pageInfo { hasNextPage } }"),
    existing("budget", |w| format!(r#"id: "{}""#, w.budget), "{ id name }"),
    other("proxyKeys", none, "{ nodes { id name } pageInfo { hasNextPage } }"),
    existing("proxyKey", |w| format!(r#"id: "{}""#, w.proxy_key), "{ id name }"),
    other("managementKeys", none, "{ nodes { id name } pageInfo { hasNextPage } }"),
    existing("managementKey", |w| format!(r#"id: "{}""#, w.management_key), "{ id name }"),
    other("exportManifest", none, ""),
    other("planManifest", |w| format!(r#"manifest: {{org: "{}"}}"#, w.organization), "{ revision changes { action } }"),
    other(
        "replay",
        |w| format!(r#"input: {{manifest: {{org: "{}"}}}}"#, w.organization),
        "{ requests skipped changes { id } hasNextPage }",
    ),
    other("auditEvents", none, "{ nodes { id action diff } pageInfo { hasNextPage } }"),
    other("auditVerification", none, "{ intact events problem }"),
    other("requestLogs", none, "{ nodes { id } pageInfo { hasNextPage } }"),
    existing("requestLog", |_| r#"id: "req_00000000000000000000000000""#.to_owned(), "{ id }"),
    other("spend", none, "{ totalUsd requests }"),
    other("workers", none, "{ nodes { id } pageInfo { hasNextPage } }"),
];

pub(super) const SUBSCRIPTIONS: &[Case] = &[other("requestBooked", none, "{ id }"), other("spendChanged", none, "{ costUsd }")];
