//! Whose an answer is: one project's of one organization, and nobody else's.

use serde_json::{Value, json};
use tests::fleet::{Fleet, run_modelux};
use tests::wait::{SOON, until};

use super::{asked, cold, keeping};

/// Issue 3, point 8: never across projects, whatever they have in common.
#[tokio::test]
async fn two_projects_that_ask_the_same_have_an_answer_each() {
    let fleet = Fleet::start().await;
    let mut wanted = keeping(&fleet, 300);
    wanted["projects"] =
        json!([{"name": "app", "keys": [{"name": "main"}, {"name": "second"}]}, {"name": "other", "keys": [{"name": "main"}]}]);
    let applied = fleet.enforce(&wanted).await;
    let mut outcomes = Vec::new();
    for key in ["app/main", "app/second", "other/main", "other/main", "app/main"] {
        outcomes.push(asked(&cold(&fleet, &applied.key(key), "@kept")).await);
    }
    assert_eq!(outcomes, ["MISS", "HIT", "MISS", "HIT", "HIT"], "keys of one project share, projects do not");
    assert_eq!(fleet.provider.count(), 2);
}

/// Issue 3, point 8: never across tenants. Everything that can be the same is the same: slugs, names, provider, model and request.
#[tokio::test]
async fn two_organizations_that_ask_the_same_have_an_answer_each() {
    let fleet = Fleet::start().await;
    let ours = fleet.enforce(&keeping(&fleet, 300)).await.key("app/main");
    let founded = fleet
        .owner()
        .run(
            "mutation($input: CreateOrganizationInput!) { createOrganization(input: $input) { managementKey } }",
            json!({"input": {"slug": "other"}}),
        )
        .await;
    let management_key = founded["createOrganization"]["managementKey"].as_str().expect("a key").to_owned();
    let mut theirs = keeping(&fleet, 300);
    theirs["org"] = json!("other");
    let file = fleet.write(&theirs);
    let (status, output, errors) = run_modelux(&fleet.api.url(), &management_key, &["apply", "-f", &file, "--yes", "-o", "json"]).await;
    assert_eq!(status, 0, "{output}{errors}");
    let output: Value = serde_json::from_str(&output).expect("JSON");
    let theirs = output["created_keys"]["app/main"].as_str().expect("a key").to_owned();
    until("the worker knows the other organization", SOON, || async {
        (fleet.chat(&theirs, "@plain").send().await.status() == 200).then_some(())
    })
    .await;
    let before = fleet.provider.count();
    let mut outcomes = Vec::new();
    for key in [&ours, &theirs, &ours, &theirs] {
        outcomes.push(asked(&cold(&fleet, key, "@kept")).await);
    }
    assert_eq!(outcomes, ["MISS", "MISS", "HIT", "HIT"]);
    assert_eq!(fleet.provider.count(), before + 2);
}
