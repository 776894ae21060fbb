//! What all mutations keep to: versions, idempotency, whole refusals, and answers that equal a fresh read.

use serde_json::{Value, json};
use tests::api::TestApi;

const CREATE: &str = "mutation($input: CreateBudgetInput!, $key: String) { createBudget(input: $input, idempotencyKey: $key) { budget { id name capUsd version } revision } }";
const UPDATE: &str = "mutation($id: ID!, $input: UpdateBudgetInput!, $version: Int) { updateBudget(id: $id, input: $input, expectedVersion: $version) { budget { id name capUsd version } revision } }";

fn budget(name: &str, cap: &str) -> Value {
    json!({"name": name, "scope": "organization", "period": "monthly", "capUsd": cap})
}

/// the answer is what a fresh read gives; fields left out stay.
#[tokio::test]
async fn an_answer_equals_a_fresh_read_and_fields_left_out_stay() {
    let api = TestApi::start().await;
    let owner = api.owner();
    let made = owner.run(CREATE, json!({"input": budget("b", "12.345678901")})).await;
    assert_eq!(made["createBudget"]["budget"]["capUsd"], "12.345678901", "nano-USD are kept");
    let id = made["createBudget"]["budget"]["id"].clone();
    let changed = owner.run(UPDATE, json!({"id": id, "input": {"name": "renamed"}})).await;
    let fresh = owner.run("query($id: ID!) { budget(id: $id) { id name capUsd version } }", json!({"id": id})).await;
    assert_eq!(changed["updateBudget"]["budget"], fresh["budget"]);
    assert_eq!((fresh["budget"]["name"].as_str(), fresh["budget"]["capUsd"].as_str()), (Some("renamed"), Some("12.345678901")));
}

/// Contract 5: `expectedVersion` refuses who has not seen the newest.
#[tokio::test]
async fn a_change_of_what_somebody_else_has_changed_is_a_conflict() {
    let api = TestApi::start().await;
    let owner = api.owner();
    let made = owner.run(CREATE, json!({"input": budget("b", "1")})).await;
    let (id, version) = (made["createBudget"]["budget"]["id"].clone(), made["createBudget"]["budget"]["version"].clone());
    owner.run(UPDATE, json!({"id": id, "input": {"capUsd": "2"}, "version": version})).await;
    let refusal = owner.refusal(UPDATE, json!({"id": id, "input": {"capUsd": "3"}, "version": version})).await;
    assert_eq!(refusal.code, "CONFLICT", "{refusal:?}");
    let fresh = owner.run("query($id: ID!) { budget(id: $id) { capUsd } }", json!({"id": id})).await;
    assert_eq!(tests::fleet::nano(&fresh["budget"]["capUsd"]), 2_000_000_000);
}

/// Contract 5: the same idempotency key does nothing twice, concurrently too; for something else it is a conflict.
#[tokio::test]
async fn an_idempotency_key_makes_one_thing_however_often_it_is_sent() {
    let api = TestApi::start().await;
    let owner = api.owner();
    let variables = json!({"input": budget("once", "1"), "key": "k-1"});
    let answers = futures::future::join_all((0..8).map(|_| owner.run(CREATE, variables.clone()))).await;
    for answer in &answers {
        assert_eq!(answer["createBudget"], answers[0]["createBudget"]);
    }
    let budgets = owner.query("{ budgets(first: 9) { nodes { name } } }").await;
    assert_eq!(budgets["budgets"]["nodes"].as_array().map(Vec::len), Some(1), "{budgets}");
    let refusal = owner.refusal(CREATE, json!({"input": budget("another", "1"), "key": "k-1"})).await;
    assert_eq!(refusal.code, "CONFLICT", "{refusal:?}");
}

/// A name is taken once.
#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict() {
    let api = TestApi::start().await;
    let owner = api.owner();
    owner.run(CREATE, json!({"input": budget("b", "1")})).await;
    assert_eq!(owner.refusal(CREATE, json!({"input": budget("b", "1")})).await.code, "CONFLICT");
}

/// what can't be used is refused with its field, never ignored.
#[tokio::test]
async fn values_that_cannot_be_used_are_refused_with_their_field() {
    let api = TestApi::start().await;
    let owner = api.owner();
    let with = |field: &str, value: Value| {
        let mut input = budget("b", "1");
        input[field] = value;
        json!({"input": input})
    };
    let cases = [
        ("name", json!("")),
        ("name", json!("x".repeat(10_000))),
        ("scope", json!({"planet": "mars"})),
        ("scope", json!({"project": "nowhere"})),
        ("capUsd", json!("-1")),
        ("capUsd", json!("a lot")),
        ("capUsd", json!("99999999999999999999")),
        ("anchorDay", json!(0)),
        ("anchorDay", json!(77)),
        ("timeZone", json!("Mars/Olympus")),
        ("thresholds", json!([-0.5])),
        ("atCap", json!({"downgrade": "@nowhere"})),
        ("atCap", json!("explode")),
        ("downgradeAt", json!(55)),
    ];
    for (field, value) in cases {
        let refusal = owner.refusal(CREATE, with(field, value.clone())).await;
        assert_eq!(refusal.code, "INVALID", "{field} {value}: {refusal:?}");
        let told =
            refusal.field.clone().unwrap_or_default().replace('_', "").to_lowercase() + &refusal.message.to_lowercase().replace('_', "");
        assert!(told.contains(&field.to_lowercase()), "{field} {value}: {refusal:?}");
    }
    let budgets = owner.query("{ budgets(first: 9) { nodes { name } } }").await;
    assert_eq!(budgets["budgets"]["nodes"].as_array().map(Vec::len), Some(0), "nothing was half-applied");
}

/// Issue 2, "Bad input": an expression that is too deep or too long, and a list with a cycle, are refused at save with their place.
#[tokio::test]
async fn routing_configs_that_cannot_be_enforced_are_refused_at_save() {
    let api = TestApi::start().await;
    let owner = api.owner();
    let create = "mutation($input: CreateRoutingConfigInput!) { createRoutingConfig(input: $input) { revision } }";
    let rule = |condition: &str| json!({"strategy": "custom_rules", "rules": [{"if": condition, "then": "pass"}, {"else": "pass"}]});
    let deep = format!("{}true{}", "(".repeat(300), ")".repeat(300));
    let long = vec!["tags.a == 'b'"; 4000].join(" || ");
    let documents = [
        rule(&deep),
        rule(&long),
        rule("tags.a =="),
        rule("unknown_variable == 1"),
        rule("unknown_function(1)"),
        rule("1 + 1"),
        rule("request.stream == 'yes'"),
        json!({"strategy": "custom_rules", "rules": [{"else": "pass"}, {"if": "true", "then": "pass"}]}),
        json!({"strategy": "custom_rules", "rules": []}),
        json!({"strategy": "single", "model": "@self"}),
        json!({"strategy": "single", "model": "@nowhere"}),
        json!({"strategy": "single"}),
        json!({"strategy": "unheard_of"}),
        json!({"strategy": "single", "model": "openai/gpt-4o", "colour": "red"}),
        json!({"strategy": "fallback", "attempts": []}),
    ];
    for document in documents {
        let refusal = owner.refusal(create, json!({"input": {"slug": "self", "document": document}})).await;
        assert_eq!(refusal.code, "INVALID", "{refusal:?}");
        assert!(refusal.field.is_some(), "{refusal:?}");
    }
    let refusal = owner.refusal(create, json!({"input": {"slug": "self", "document": rule("tags.a == 'x' && nope")}})).await;
    assert!(format!("{refusal:?}").contains("18") || refusal.message.contains("column"), "line and column: {refusal:?}");
}

/// Changes by many at once on both databases: every one is numbered once, none is lost.
#[tokio::test]
async fn concurrent_changes_get_one_revision_each() {
    for database in tests::database::KINDS {
        let api = TestApi::start_with(tests::api::ApiOptions { database, ..Default::default() }).await;
        let owner = api.owner();
        let answers =
            futures::future::join_all((0..20).map(|number| owner.run(CREATE, json!({"input": budget(&format!("b{number}"), "1")})))).await;
        let mut revisions: Vec<u64> = answers.iter().map(|answer| answer["createBudget"]["revision"].as_u64().unwrap()).collect();
        revisions.sort_unstable();
        let first = revisions[0];
        assert_eq!(revisions, (first..first + 20).collect::<Vec<_>>(), "{database:?}");
        let verified = owner.query("{ auditVerification { intact } }").await;
        assert_eq!(verified["auditVerification"]["intact"], true, "{database:?}");
    }
}
