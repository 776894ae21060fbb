//! A client of the control plane's GraphQL interface.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::{Connection, Reply, Request};

/// Where, and with which key.
#[derive(Debug, Clone)]
pub struct GraphQl {
    /// The control plane.
    pub address: SocketAddr,
    /// `mlx_mk_…`; none is anonymous.
    pub key: Option<String>,
}

/// One error of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `extensions.code`; empty where there is none.
    pub code: String,
    /// `extensions.field`, where there is one.
    pub field: Option<String>,
    /// For people.
    pub message: String,
}

impl GraphQl {
    /// The same place with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { address: self.address, key: Some(key.to_owned()) }
    }

    /// The same place with no key.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { address: self.address, key: None }
    }

    fn request(&self, query: &str, variables: &Value) -> Request {
        let body = json!({"query": query, "variables": variables}).to_string();
        let request = Request::new("POST", "/graphql").header("Content-Type", "application/json").body(body);
        match &self.key {
            Some(key) => request.header("Authorization", &format!("Bearer {key}")),
            None => request,
        }
    }

    /// The answer as it is.
    pub async fn send(&self, query: &str, variables: &Value) -> Reply {
        self.request(query, variables).send(self.address).await
    }

    /// The answer as it is, with one more header on the request.
    pub async fn send_with(&self, query: &str, variables: &Value, header: (&str, &str)) -> Reply {
        self.request(query, variables).header(header.0, header.1).send(self.address).await
    }

    /// `data`, or the first error.
    pub async fn try_run(&self, query: &str, variables: &Value) -> Result<Value, Refusal> {
        let answer = self.send(query, variables).await.json();
        match answer["errors"].get(0) {
            None => Ok(answer["data"].clone()),
            Some(error) => Err(Refusal {
                code: error["extensions"]["code"].as_str().unwrap_or_default().to_owned(),
                field: error["extensions"]["field"].as_str().map(str::to_owned),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// `data`; panics when there is an error.
    pub async fn run(&self, query: &str, variables: Value) -> Value {
        match self.try_run(query, &variables).await {
            Ok(data) => data,
            Err(refusal) => panic!("refused: {refusal:?}\n{query}\n{variables}"),
        }
    }

    /// A query without variables.
    pub async fn query(&self, query: &str) -> Value {
        self.run(query, json!({})).await
    }

    /// The error that an operation must answer with.
    pub async fn refusal(&self, query: &str, variables: Value) -> Refusal {
        match self.try_run(query, &variables).await {
            Ok(data) => panic!("not refused: {query}\n{variables}\n{data}"),
            Err(refusal) => refusal,
        }
    }

    /// Opens a subscription as server-sent events.
    pub async fn subscribe(&self, query: &str) -> Subscription {
        let mut connection = Connection::open(self.address).await;
        connection.send(&self.request(query, &json!({})).header("Accept", "text/event-stream")).await;
        let head = connection.head().await.expect("an answer");
        assert_eq!(head.status, 200, "a subscription is refused: {:?}", connection.rest().await);
        Subscription { connection, seen: Vec::new() }
    }
}

/// An open subscription.
#[derive(Debug)]
pub struct Subscription {
    connection: Connection,
    seen: Vec<u8>,
}

impl Subscription {
    /// The `data` of the next event.
    pub async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.seen.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.seen.drain(..end + 2).collect();
                let data = crate::http::events(&event).concat();
                if !data.is_empty() {
                    let event: Value = serde_json::from_str(&data).expect("an event of JSON");
                    assert!(event["errors"].is_null(), "{event}");
                    return event["data"].clone();
                }
                continue;
            }
            let piece = self.connection.piece().await.expect("an open stream").expect("an event before the end");
            self.seen.extend(piece.into_iter().filter(|byte| *byte != b'\r'));
        }
    }
}
