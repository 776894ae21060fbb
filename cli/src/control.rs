//! Asks the control plane, over GraphQL, as anybody could.
//!
//! Promises: a call that can't be answered says which address did not answer; a refusal keeps its code, its field and all rejections.

use std::time::Duration;

use serde::Deserialize;
use url::Url;
use web_schema::{Operation, Refusal, Request, Response};

use crate::config::Target;

/// Longest time for one answer. Applying a manifest of ten thousand keys takes seconds, not minutes.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
/// Longest time to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Why the control plane gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// No HTTP client can be made.
    #[error("can't set up HTTP")]
    Client(#[source] reqwest::Error),
    /// No connection, or no answer in time.
    #[error("control plane at {url} can't be reached")]
    Unreachable {
        /// Where.
        url: Url,
        /// Why.
        source: reqwest::Error,
    },
    /// Something else than a GraphQL answer.
    #[error("control plane at {url} answered with status {status}: {detail}")]
    Unreadable {
        /// Where.
        url: Url,
        /// Status.
        status: u16,
        /// The first characters.
        detail: String,
    },
    /// It said no.
    #[error("{}", describe(.0))]
    Refused(Refusal),
}

/// The code stands behind the message, because scripts and manuals know it.
fn describe(Refusal { message, code, field: _, rejections: _ }: &Refusal) -> String {
    match code {
        Some(code) => format!("{message} ({code})"),
        None => message.clone(),
    }
}

/// One reason why something does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Rejection {
    /// Kind of resource.
    pub(crate) resource: String,
    /// Its name.
    pub(crate) name: String,
    /// Its field.
    pub(crate) field: String,
    /// Why.
    pub(crate) message: String,
}

impl Rejection {
    /// Those of a refusal, as far as they can be read.
    pub(crate) fn all_of(refusal: &Refusal) -> Vec<Self> {
        refusal.rejections.iter().filter_map(|rejection| serde_json::from_value(rejection.clone()).ok()).collect()
    }
}

/// One control plane.
pub(crate) struct ControlPlane {
    http: reqwest::Client,
    endpoint: Url,
    token: String,
}

impl ControlPlane {
    /// The one at `target`.
    pub(crate) fn new(target: Target) -> Result<Self, ControlError> {
        let http = reqwest::Client::builder().connect_timeout(CONNECT_LIMIT).timeout(ANSWER_LIMIT);
        let http = http.user_agent(concat!("modelux-cli/", env!("CARGO_PKG_VERSION"))).build().map_err(ControlError::Client)?;
        let mut endpoint = target.url;
        let path = format!("{}/graphql", endpoint.path().trim_end_matches('/'));
        endpoint.set_path(&path);
        Ok(Self { http, endpoint, token: target.token })
    }

    /// Runs one operation.
    pub(crate) async fn ask<O: Operation>(&self, operation: &O) -> Result<O::Answer, ControlError> {
        let unreachable = |source: reqwest::Error| ControlError::Unreachable { url: self.endpoint.clone(), source: source.without_url() };
        let request = self.http.post(self.endpoint.clone()).bearer_auth(&self.token).header("x-modelux-origin", "cli");
        let response = request.json(&Request::new(operation)).send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(unreachable)?;
        let answer: Response<O::Answer> = serde_json::from_slice(&body).map_err(|error| {
            let start = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
            let detail = if status == 200 { format!("{error}: {start}") } else { start };
            ControlError::Unreadable { url: self.endpoint.clone(), status, detail }
        })?;
        answer.into_result().map_err(ControlError::Refused)
    }
}
