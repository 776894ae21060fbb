//! A project's webhook: where it is, worked out when the bundle is loaded, and asking it.
//!
//! It is reached as providers are: the same pool, the same name resolution, and the same addresses that are never connected to. Whatever is
//! not a verdict in time is a problem with a name, for the declared fail mode to deal with.

use std::time::Duration;

use bytes::Bytes;
use policy::bundle::v1;
use policy::facts::RequestFacts;
use policy::guardrail::Findings;
use secrecy::SecretString;

use super::question;
use super::verdict::{self, Verdict};
use crate::exchange::call::Exchange;
use crate::upstream::destination::ResolveError;
use crate::upstream::site::Site;
use crate::upstream::{Connections, SendError};

/// Bytes of an answer at most.
const ANSWER_LIMIT: usize = 1 << 20;

/// Where a webhook is and what it is asked with.
pub(crate) struct Webhook {
    pub(super) site: Site,
    pub(super) path: String,
    pub(super) secret: Option<SecretString>,
}

impl Webhook {
    /// The webhook at `url`, whose opened secret is `secret`; none where the address can't be read.
    pub(crate) fn of(url: &str, secret: Option<SecretString>) -> Option<Self> {
        let site = Site::parse(url)?;
        let path = url.strip_prefix(site.origin.as_str()).filter(|path| !path.is_empty()).unwrap_or("/").to_owned();
        Some(Self { site, path, secret })
    }
}

/// The verdict on a request, or what came instead: `unusable`, `forbidden_address`, `unreachable`, `timeout`, `status` or `malformed`.
pub(super) async fn ask(
    exchange: Exchange<'_>,
    settings: &v1::WebhookGuardrail,
    body: &Bytes,
    facts: &RequestFacts,
    findings: &Findings,
) -> Result<Verdict, &'static str> {
    let policy = &exchange.caller.policy;
    let webhook = policy.webhook(exchange.caller.subject.project).ok_or("unusable")?;
    let asked = question::body_of(exchange, settings, body, facts, findings).ok_or("unusable")?;
    let request = Bytes::from(question::to_wire(webhook, &exchange.arrival.request_id, exchange.arrival.time.timestamp(), &asked));
    let deny_private = policy.engine.bundle().deny_private_upstreams;
    let answer = answer_of(&exchange.context.connections, webhook, deny_private, &request);
    let limit = Duration::from_millis(settings.timeout_ms.into());
    let answer = tokio::time::timeout(limit, answer).await.map_err(|_| "timeout")??;
    verdict::read(&answer).ok_or("malformed")
}

async fn answer_of(connections: &Connections, webhook: &Webhook, deny_private: bool, request: &Bytes) -> Result<Bytes, &'static str> {
    let addresses = connections.resolve(&webhook.site, deny_private).await.map_err(|error| match error {
        ResolveError::Forbidden { .. } => "forbidden_address",
        ResolveError::Lookup { .. } | ResolveError::ServerName { .. } => "unreachable",
    })?;
    let unreachable = |_: SendError| "unreachable";
    let mut reply = connections.exchange(&addresses, request).await.map_err(unreachable)?;
    let answer = reply.body.collect(ANSWER_LIMIT).await.map_err(|_| "unreachable")?.ok_or("malformed")?;
    reply.body.finish().await;
    if (200..300).contains(&reply.status) { Ok(answer) } else { Err("status") }
}
