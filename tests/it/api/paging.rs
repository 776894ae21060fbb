//! Cursor connections: whole, in order, without repeats, and safe against cursors that are not ours.

use serde_json::{Value, json};
use tests::api::{ApiOptions, TestApi};
use tests::database::KINDS;

const PAGE: &str = "query($first: Int, $after: String) { projects(first: $first, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } } }";

#[tokio::test]
async fn pages_are_whole_in_order_and_without_repeats() {
    for database in KINDS {
        let api = TestApi::start_with(ApiOptions { database, ..ApiOptions::default() }).await;
        let owner = api.owner();
        for number in 0..7 {
            owner.query(&format!("mutation {{ createProject(input: {{name: \"p{number}\"}}) {{ revision }} }}")).await;
        }
        let (mut seen, mut after, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let page = owner.run(PAGE, json!({"first": 3, "after": after})).await;
            let nodes = page["projects"]["nodes"].as_array().unwrap().clone();
            assert!(nodes.len() <= 3);
            seen.extend(nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()));
            pages += 1;
            if page["projects"]["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["projects"]["pageInfo"]["endCursor"].clone();
            // What is made meanwhile does not shift what is still to come.
            owner
                .query(&format!("mutation {{ createProvider(input: {{name: \"x{pages}\", vendor: \"simulated\"}}) {{ revision }} }}"))
                .await;
        }
        assert_eq!(pages, 3);
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), 7, "{database:?}: {seen:?}");
    }
}

#[tokio::test]
async fn pages_that_cannot_be_are_refused() {
    let api = TestApi::start().await;
    let owner = api.owner();
    for (field, variables) in
        [("first", json!({"first": -1})), ("first", json!({"first": 100_000})), ("after", json!({"first": 1, "after": "not a cursor"}))]
    {
        let refusal = owner.refusal(PAGE, variables).await;
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID", Some(field)), "{refusal:?}");
    }
}
