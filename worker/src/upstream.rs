//! Towards providers: address, connection, request, response. Everything that asks a model takes an [`Admission`](crate::enforce::Admission);
//! what does not (`token`, `check`) can't reach one.
//!
//! Promises: no address is connected to that `address` forbids; TLS is always verified; a connection from the pool that proves stale is
//! replaced once, silently; head and body leave in one write.
//!
//! Leaves out: which target, how often and when to stop (`route`, `exchange`), and what the bytes mean (`llm`).

pub(crate) mod access;
pub(crate) mod address;
pub(crate) mod azure;
pub(crate) mod bedrock;
pub(crate) mod check;
pub(crate) mod connections;
mod counted;
pub(crate) mod destination;
mod encoding;
pub(crate) mod idle;
mod multiplexed;
pub(crate) mod outgoing;
pub(crate) mod passthrough;
pub(crate) mod reach;
pub(crate) mod reply;
pub(crate) mod simulated;
pub(crate) mod site;
pub(crate) mod token;
pub(crate) mod vendor;
pub(crate) mod vertex;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use policy::source::RetryOn;
use secrecy::SecretString;

use crate::policy_feed::OrgPolicy;
use crate::route::FailureClass;

use access::Access;
pub(crate) use connections::Connections;
pub(crate) use outgoing::{Outgoing, Way, WayBack};
use reach::Line;
pub(crate) use reach::Reach;
pub(crate) use reply::{Reply, ReplyBody, ReplyCut};
use vendor::Vendor;

/// Why there is no response head.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The bundle names a provider that can't be called.
    #[error("provider `{provider}` can't be used: {problem}")]
    Unusable {
        /// Which.
        provider: String,
        /// Why not.
        problem: &'static str,
    },
    /// Its address is not allowed or not known.
    #[error("provider has no usable address")]
    Address(#[from] destination::ResolveError),
    /// No connection.
    #[error("can't connect to the provider")]
    Connect(#[source] Box<pingora_core::Error>),
    /// The connection broke before a response head.
    #[error("the provider closed the connection before it answered")]
    Broken(#[source] Box<pingora_core::Error>),
    /// A connection that had waited was closed, without a word, as the request went out on it.
    #[error("the provider closed a waiting connection as it was used again")]
    Closed(#[source] Box<pingora_core::Error>),
    /// What is asked can't be said in the provider's dialect.
    #[error("the request can't be converted for the provider")]
    Inexpressible(#[source] llm::convert::ConvertError),
    /// Its credential could not be exchanged.
    #[error("no access token for provider `{provider}`: {problem}")]
    Token {
        /// Which.
        provider: String,
        /// Why not.
        problem: std::sync::Arc<str>,
    },
    /// Something would have to be left out, and the project forbids that.
    #[error("the provider can't take {dropped}")]
    Strict {
        /// Fields, as `X-Modelux-Dropped` would name them.
        dropped: String,
    },
    /// No response head in time.
    #[error("the provider did not answer within {ms} ms")]
    Timeout {
        /// The limit.
        ms: u64,
        /// Whether the provider may have the request.
        sent: bool,
    },
}

impl SendError {
    /// What `retry_on` calls it.
    pub(crate) fn class(&self) -> FailureClass {
        match self {
            Self::Unusable { .. }
            | Self::Inexpressible(_)
            | Self::Strict { .. }
            | Self::Address(destination::ResolveError::Forbidden { .. }) => FailureClass::NotAdmitted,
            Self::Address(_) | Self::Token { .. } | Self::Connect(_) | Self::Broken(_) | Self::Closed(_) => {
                FailureClass::Retryable(RetryOn::Connect)
            }
            Self::Timeout { .. } => FailureClass::Retryable(RetryOn::Timeout),
        }
    }

    /// Whether the provider may have read the request, and bill what it made of it.
    pub(crate) fn was_sent(&self) -> bool {
        matches!(self, Self::Timeout { sent: true, .. } | Self::Broken(_) | Self::Closed(_))
    }

    /// The word for traces, events and metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Unusable { .. }
            | Self::Inexpressible(_)
            | Self::Strict { .. }
            | Self::Address(destination::ResolveError::Forbidden { .. }) => "refused",
            Self::Address(_) | Self::Token { .. } | Self::Connect(_) | Self::Broken(_) | Self::Closed(_) => "connect",
            Self::Timeout { .. } => "timeout",
        }
    }
}

/// The token that `line` wants to be called with, where it wants one and the caller brings no key of its own.
async fn token_for(line: &Line, callers: Option<&SecretString>, provider: &str) -> Result<Option<Arc<SecretString>>, SendError> {
    match (&line.access, callers) {
        (Access::Token(slot), None) => {
            let failed = |problem| SendError::Token { provider: provider.to_owned(), problem };
            slot.token().await.map(Some).map_err(failed)
        }
        _ => Ok(None),
    }
}

/// Sends one admitted request and waits for the response head.
pub(crate) async fn send(
    connections: &Connections,
    policy: &OrgPolicy,
    way: &Way<'_, '_>,
    outgoing: &Outgoing<'_>,
) -> Result<Reply, SendError> {
    let target = way.admission.target();
    let unusable = |problem| SendError::Unusable { provider: target.provider_name.to_string(), problem };
    let line = match policy.reach(target.provider) {
        Some(Reach::Network(line)) if outgoing.counts && !line.vendor.counts() => return Ok(counted::answer(way.admission, outgoing).await),
        Some(Reach::Simulated) if outgoing.counts => return Ok(counted::answer(way.admission, outgoing).await),
        Some(Reach::Network(line)) => line,
        Some(Reach::Simulated) => {
            way.sent.store(true, Ordering::Relaxed);
            return Ok(simulated::answer(way.admission, outgoing).await);
        }
        Some(Reach::Unusable(problem)) => return Err(unusable(problem)),
        None => return Err(unusable("it is not in the bundle")),
    };
    let prepared = outgoing.prepare(&line.vendor, way.admission)?;
    let token = token_for(line, outgoing.caller_key, &target.provider_name).await?;
    let request = outgoing.to_wire(&prepared, line, way, token.as_deref()).ok_or_else(|| unusable("its key can't be sent"))?;
    let addresses = connections.resolve(&line.site, policy.engine.bundle().deny_private_upstreams).await?;
    way.sent.store(true, Ordering::Relaxed);
    let reply = connections.exchange(&addresses, &request).await?;
    let reply = Reply { spoken: prepared.spoken, back: prepared.back, dropped: prepared.dropped, ..reply };
    Ok(if line.vendor == Vendor::Bedrock { bedrock::heard(reply) } else { reply })
}
