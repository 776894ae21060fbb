//! Asks the control plane, over GraphQL, as anybody could.
//!
//! Promises: a call that can't be answered says which address did not answer; a refusal keeps its code, its field and all rejections.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

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
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The control plane's no.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
pub(crate) struct Refusal {
    /// In words.
    pub(crate) message: String,
    /// One of the codes of the API.
    pub(crate) code: Option<String>,
    /// Which input field.
    pub(crate) field: Option<String>,
    /// What does not compile, where that is the reason.
    pub(crate) rejections: Vec<Rejection>,
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

#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Extensions {
    code: Option<String>,
    field: Option<String>,
    rejections: Vec<Rejection>,
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

    /// Runs one GraphQL document.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, document: &str, variables: Value) -> Result<T, ControlError> {
        let unreachable = |source: reqwest::Error| ControlError::Unreachable { url: self.endpoint.clone(), source: source.without_url() };
        let request = self
            .http
            .post(self.endpoint.clone())
            .bearer_auth(&self.token)
            .header("x-modelux-origin", "cli")
            .json(&json!({"query": document, "variables": variables}));
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(unreachable)?;
        let answer: Answer<T> = serde_json::from_slice(&body).map_err(|error| {
            let detail = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
            let detail = if status == 200 { format!("{error}: {detail}") } else { detail };
            ControlError::Unreadable { url: self.endpoint.clone(), status, detail }
        })?;
        match (answer.data, answer.errors.into_iter().next()) {
            (_, Some(error)) => Err(Refusal::from(error).into()),
            (Some(data), None) => Ok(data),
            (None, None) => {
                Err(ControlError::Unreadable { url: self.endpoint.clone(), status, detail: "neither data nor errors".to_owned() })
            }
        }
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        let WireError { message, extensions: Extensions { code, field, rejections } } = error;
        Self { message, code, field, rejections }
    }
}
