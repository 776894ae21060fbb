//! A caller of a worker: chat completions with a key, a model and whatever else a test wants to say.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::{Connection, Reply, Request};

/// One request for a chat completion.
#[derive(Debug, Clone)]
pub struct Chat {
    address: SocketAddr,
    request: Request,
    body: Value,
}

impl Chat {
    /// A short question to `model` that wants at most 100 tokens.
    pub fn new(address: SocketAddr, key: &str, model: &str) -> Self {
        let request = Request::new("POST", "/v1/chat/completions").header("Authorization", &format!("Bearer {key}"));
        let body = json!({"model": model, "messages": [{"role": "user", "content": "What is a budget?"}], "max_tokens": 100});
        Self { address, request: request.header("Content-Type", "application/json"), body }
    }

    /// Sets a field of the body.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body[field] = value.into();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Asks for a stream with usage.
    #[must_use]
    pub fn streamed(self) -> Self {
        self.with("stream", true).with("stream_options", json!({"include_usage": true}))
    }

    /// As it is written.
    pub fn request(&self) -> Request {
        self.request.clone().body(self.body.to_string())
    }

    /// Sends it and reads the whole answer.
    pub async fn send(&self) -> Reply {
        self.request().send(self.address).await
    }

    /// Sends it; the answer is an error where the worker is away.
    pub async fn try_send(&self) -> std::io::Result<Reply> {
        self.request().try_send(self.address).await
    }

    /// Sends it; the answer is read by whoever called.
    pub async fn open(&self) -> Connection {
        let mut connection = Connection::open(self.address).await;
        connection.send(&self.request()).await;
        connection
    }

    /// Sends it and reads the whole answer, which must be 200.
    pub async fn ok(&self) -> Reply {
        let reply = self.send().await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        reply
    }
}
