//! That every field of the schema has a case, and that mutations have the arguments and answers of the contract.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::api::TestApi;
use tests::graphql::GraphQl;

use super::cases::{Case, MUTATIONS, QUERIES, SUBSCRIPTIONS};

const TYPES: &str = "{ __schema { queryType { fields { name } } subscriptionType { fields { name } } \
    mutationType { fields { name args { name } type { name ofType { name fields { name } } } } } } }";

async fn schema(owner: &GraphQl) -> Value {
    owner.query(TYPES).await["__schema"].clone()
}

fn fields(schema: &Value, root: &str) -> BTreeSet<String> {
    let fields = schema[root]["fields"].as_array().unwrap_or_else(|| panic!("no `{root}` in {schema}"));
    fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

/// a new field of the schema fails here until it has a case.
#[tokio::test]
async fn every_field_of_the_schema_has_a_case() {
    let api = TestApi::start().await;
    let schema = schema(&api.owner()).await;
    for (root, cases) in [("queryType", QUERIES), ("mutationType", MUTATIONS), ("subscriptionType", SUBSCRIPTIONS)] {
        let have: BTreeSet<String> = cases.iter().map(|case: &Case| case.name.to_owned()).collect();
        let want = fields(&schema, root);
        // Add a line to `cases.rs`: with it the field is tried by every actor, and looked for in the audit chain.
        assert_eq!(want.difference(&have).collect::<Vec<_>>(), Vec::<&String>::new(), "{root}: fields without a case");
        assert_eq!(have.difference(&want).collect::<Vec<_>>(), Vec::<&String>::new(), "{root}: cases without a field");
        assert_eq!(have.len(), cases.len(), "{root}: a case twice");
    }
}

/// Contract 5: every mutation takes `idempotencyKey`, where it edits `expectedVersion`, and answers with the `revision`.
#[tokio::test]
async fn mutations_take_and_answer_what_the_contract_says() {
    let api = TestApi::start().await;
    let schema = schema(&api.owner()).await;
    for field in schema["mutationType"]["fields"].as_array().unwrap() {
        let name = field["name"].as_str().unwrap();
        let arguments: Vec<&str> = field["args"].as_array().unwrap().iter().filter_map(|argument| argument["name"].as_str()).collect();
        assert!(arguments.contains(&"idempotencyKey"), "{name}");
        let edits = ["update", "delete", "remove", "revoke", "rotate", "rollback", "set"].iter().any(|verb| name.starts_with(verb));
        assert_eq!(arguments.contains(&"expectedVersion"), edits, "{name}");
        let answer = field["type"]["ofType"]["fields"].as_array().unwrap_or_else(|| panic!("{name}: {field}"));
        assert!(answer.iter().any(|field| field["name"] == "revision"), "{name} answers no `revision`");
    }
}
