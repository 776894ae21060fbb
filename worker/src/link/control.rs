//! The link over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use policy::bundle::Envelope;
use policy::link::{Ack, BATCH_TYPE, Booked, Enrol, Enrolled, Feed, FeedQuery, Heartbeat, HeartbeatReply, LeaseCall, LeaseReply};
use reqwest::{Client, Method, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{ControlPlane, LinkError};

/// Largest answer read: a bundle with tens of thousands of keys is a few tens of megabytes.
const ANSWER_LIMIT: usize = 256 << 20;
/// Shipping a batch may wait for the control plane's database longer than other calls.
const SHIP_TIMEOUT: Duration = Duration::from_secs(30);
/// A bundle can be large and the network slow.
const BUNDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Client of the control plane's `/internal/v1/`.
#[derive(Clone)]
pub struct Control {
    http: Client,
    base: Url,
    token: SecretString,
    timeout: Duration,
}

impl Control {
    /// A client for the control plane at `control_url`; nothing is sent yet. `timeout` is for calls that need not wait.
    ///
    /// # Errors
    /// When the HTTP client can't be set up, such as `https` on a system without root certificates.
    pub fn new(control_url: &Url, token: SecretString, timeout: Duration) -> Result<Self, LinkError> {
        // Another part of the process may have installed the same provider already; either way it is there afterwards.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder =
            Client::builder().tcp_nodelay(true).connect_timeout(timeout).no_proxy().redirect(reqwest::redirect::Policy::none());
        if control_url.scheme() == "http" {
            // Without TLS no root certificates are needed, and a machine may have none.
            builder = builder.tls_certs_only([]);
        }
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| LinkError::Unreachable { call: "setup", source };
        let http = builder.build().map_err(|error| unusable(error.into()))?;
        let base = control_url.join("/internal/v1/").map_err(|error| unusable(error.into()))?;
        Ok(Self { http, base, token, timeout })
    }

    fn request(&self, method: Method, call: &'static str, path: &str, timeout: Duration) -> Result<RequestBuilder, LinkError> {
        let url = self.base.join(path).map_err(|error| LinkError::Unreachable { call, source: error.into() })?;
        Ok(self.http.request(method, url).bearer_auth(self.token.expose_secret()).timeout(timeout))
    }

    async fn post<M, A>(&self, call: &'static str, message: &M, timeout: Duration) -> Result<A, LinkError>
    where
        M: Serialize + Sync,
        A: DeserializeOwned,
    {
        let response = send(call, self.request(Method::POST, call, call, timeout)?.json(message)).await?;
        read(call, response).await
    }
}

async fn send(call: &'static str, request: RequestBuilder) -> Result<Response, LinkError> {
    // The address is in the configuration already; an error that repeats it could carry it into a log with its user part.
    let response = request.send().await.map_err(|error| LinkError::Unreachable { call, source: error.without_url().into() })?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let body = body(call, response).await.unwrap_or_default();
    let detail = String::from_utf8_lossy(&body).chars().take(200).collect();
    Err(LinkError::Refused { call, status, detail })
}

async fn read<A: DeserializeOwned>(call: &'static str, response: Response) -> Result<A, LinkError> {
    let body = body(call, response).await?;
    serde_json::from_slice(&body).map_err(|error| LinkError::Unreadable { call, source: error.into() })
}

async fn body(call: &'static str, mut response: Response) -> Result<Vec<u8>, LinkError> {
    let mut body = Vec::new();
    let lost = |error: reqwest::Error| LinkError::Unreachable { call, source: error.without_url().into() };
    while let Some(piece) = response.chunk().await.map_err(lost)? {
        if body.len().saturating_add(piece.len()) > ANSWER_LIMIT {
            return Err(LinkError::Unreadable { call, source: "answer is too large".into() });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[async_trait]
impl ControlPlane for Control {
    async fn enrol(&self, message: &Enrol) -> Result<Enrolled, LinkError> {
        self.post("enrol", message, self.timeout.max(Duration::from_secs(5))).await
    }

    async fn feed(&self, query: &FeedQuery) -> Result<Feed, LinkError> {
        self.post("feed", query, self.timeout.saturating_add(Duration::from_millis(query.wait_ms))).await
    }

    async fn bundle(&self, org_id: &str) -> Result<Envelope, LinkError> {
        let call = "bundles";
        let response = send(call, self.request(Method::GET, call, &format!("bundles/{org_id}"), BUNDLE_TIMEOUT)?).await?;
        read(call, response).await
    }

    async fn acknowledge(&self, ack: &Ack) -> Result<(), LinkError> {
        send("acks", self.request(Method::POST, "acks", "acks", self.timeout)?.json(ack)).await.map(drop)
    }

    async fn lease(&self, call: &LeaseCall) -> Result<LeaseReply, LinkError> {
        self.post("leases", call, self.timeout).await
    }

    async fn heartbeat(&self, message: &Heartbeat) -> Result<HeartbeatReply, LinkError> {
        self.post("heartbeat", message, self.timeout).await
    }

    async fn ship(&self, events: Bytes) -> Result<Booked, LinkError> {
        let call = "events";
        let request = self.request(Method::POST, call, call, SHIP_TIMEOUT)?.header("content-type", BATCH_TYPE).body(events);
        read(call, send(call, request).await?).await
    }
}
