//! Lists inside lists are loaded in one go: as many statements for thirty parents as for three (no N+1).

use serde_json::json;
use tests::api::TestApi;
use tests::graphql::GraphQl;
use tests::wire::StatementCounter;

const NESTED: &str = "{ projects(first: 40) { nodes { name routingConfigs(first: 3) { nodes { slug versions(first: 3) { nodes { number } } } } \
    proxyKeys(first: 3) { nodes { name owner project { name } } } } } members(first: 40) { nodes { email project { name } } } budgets(first: 40) { nodes { name settledUsd } } }";

async fn add_projects(owner: &GraphQl, from: usize, to: usize) {
    let projects: Vec<_> = (from..to)
        .map(|number| {
            json!({"name": format!("p{number}"), "keys": [{"name": "a"}, {"name": "b"}],
                "routing_configs": [{"slug": "c", "strategy": "single", "model": "openai/gpt-4o"}]})
        })
        .collect();
    let budgets: Vec<_> = (from..to)
        .map(|n| json!({"name": format!("b{n}"), "scope": {"project": format!("p{n}")}, "period": "monthly", "cap_usd": 1}))
        .collect();
    let members: Vec<_> = (from..to).map(|n| json!({"email": format!("m{n}@example.com"), "role": "viewer"})).collect();
    let manifest = json!({"org": "default", "providers": [{"name": "openai", "vendor": "openai"}], "projects": projects, "budgets": budgets, "members": members});
    owner.run("mutation($manifest: JSON!) { applyManifest(manifest: $manifest) { revision } }", json!({"manifest": manifest})).await;
}

/// Statements of one query; the least of several, since the control plane has work of its own in between.
async fn statements(owner: &GraphQl, counter: &StatementCounter) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..6 {
        let before = counter.count();
        owner.query(NESTED).await;
        least = least.min(counter.count() - before);
    }
    least
}

#[tokio::test]
async fn nested_lists_take_as_many_statements_for_thirty_parents_as_for_three() {
    let (api, counter) = TestApi::start_counted().await;
    let owner = api.owner();
    add_projects(&owner, 0, 3).await;
    let few = statements(&owner, &counter).await;
    add_projects(&owner, 3, 30).await;
    let many = statements(&owner, &counter).await;
    assert!(few > 3, "the counter sees {few} statements");
    // Batches that are loaded in parts, on a busy machine, are no N+1; one statement a parent would be 27 more for each list.
    assert!(many <= few + 13, "{few} statements for 3 projects, {many} for 30: load them through a dataloader");
}
