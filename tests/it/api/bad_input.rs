//! Bad input to the control plane: slow callers end, and what could be read in two ways is not read.

use std::time::Duration;

use serde_json::json;
use tests::api::{ApiOptions, TestApi};
use tests::http::{Connection, Request};

/// A control plane with short patience.
async fn impatient() -> TestApi {
    let times = [("MODELUX_HEADER_TIMEOUT_MS", "300"), ("MODELUX_BODY_TIMEOUT_MS", "300")];
    let environment = times.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    TestApi::start_with(ApiOptions { environment, ..ApiOptions::default() }).await
}

fn post(api: &TestApi) -> Request {
    let request = Request::new("POST", "/graphql").header("Content-Type", "application/json");
    request.header("Authorization", &format!("Bearer {}", api.credential("management_key")))
}

/// Issue 2, "Bad input": slow clients.
#[tokio::test]
async fn a_head_that_trickles_ends_its_connection() {
    let api = impatient().await;
    let mut slow = Connection::open(api.address()).await;
    slow.write(b"POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.expect("an open connection");
    let trickle = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            if slow.write(b"x").await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), trickle).await.expect("the connection ends while bytes still come");
    let mut silent = Connection::open(api.address()).await;
    assert!(silent.closed_within(Duration::from_secs(10)).await, "a connection that says nothing ends too");
    api.owner().query("{ viewer { name } }").await;
}

/// Issue 2, "Bad input": slow clients.
#[tokio::test]
async fn a_body_that_does_not_come_is_refused_and_its_connection_closed() {
    let api = impatient().await;
    let mut slow = Connection::open(api.address()).await;
    slow.write(&[post(&api).head_bytes("Content-Length: 500\r\n"), b"{\"query\"".to_vec()].concat()).await.expect("an open connection");
    let reply = slow.reply().await.expect("an answer");
    assert_eq!(reply.status(), 408, "{}", reply.text());
    assert_eq!(reply.json()["errors"][0]["extensions"], json!({"code": "INVALID", "field": "body"}));
    assert!(slow.closed_within(Duration::from_secs(10)).await);
    api.owner().query("{ viewer { name } }").await;
}

/// Issue 2, "Bad input": duplicate keys in JSON.
#[tokio::test]
async fn a_key_that_stands_twice_in_variables_is_refused_by_its_path() {
    let api = TestApi::start().await;
    let mutation = "mutation($input: CreateProjectInput!) { createProject(input: $input) { revision } }";
    let body = format!(r#"{{"query": "{mutation}", "variables": {{"input": {{"name": "one", "name": "two"}}}}}}"#);
    let reply = post(&api).body(body).send(api.address()).await;
    assert_eq!(reply.status(), 400, "{}", reply.text());
    assert_eq!(reply.json()["errors"][0]["extensions"], json!({"code": "INVALID", "field": "variables.input.name"}));
    assert_eq!(api.owner().query("{ projects(first: 5) { nodes { name } } }").await["projects"]["nodes"], json!([]));
}

/// Issue 2, "Bad input": wrong types.
#[tokio::test]
async fn what_does_not_fit_in_a_document_is_named_by_its_whole_path() {
    let api = TestApi::start().await;
    let mutation = "mutation($input: CreateRoutingConfigInput!) { createRoutingConfig(input: $input) { revision } }";
    let attempts = json!([{"model": "a/b"}, {"model": "a/b", "timeout_ms": -1}]);
    let input = json!({"slug": "x", "document": {"strategy": "fallback", "attempts": attempts}});
    let refusal = api.owner().refusal(mutation, json!({ "input": input })).await;
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID", Some("document.attempts[1].timeout_ms")));
}
