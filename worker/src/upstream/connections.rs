//! Connections to providers: taken from those that wait, one write a request.
//!
//! Pingora's HTTP connector sends head and body in two writes; this works one level below it, on the transport connector and the HTTP/1.1
//! session for the response, and so spares a system call a request. Where TLS agrees on HTTP/2, `multiplexed` takes over.
//!
//! A connection that was used before may have been closed by the other side meanwhile. When it proves so before the request was written whole,
//! the request goes out once more on a fresh connection: nobody can have carried it out. When it proves so later, the provider may have
//! done so, and bill it: that is [`SendError::Closed`], and whether to ask again is for whoever holds the money for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::upstreams::peer::Peer as _;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::SendError;
use super::destination::{Destination, ResolveError, Resolver};
use super::idle::Idle;
use super::multiplexed::{Lane, Multiplexed};
use super::reply::{ProviderBody, Reply, Wire};
use super::site::Site;
use crate::config::Limits;
use crate::telemetry::Metrics;

/// Informational responses before the real one at most.
const INFORMATIONAL: usize = 8;

/// How long a connection waits to be used again; providers close theirs after a minute or more.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Those that wait, how new ones are made, and the resolver.
pub(crate) struct Connections {
    idle: Arc<Idle>,
    multiplexed: Arc<Multiplexed>,
    resolver: Resolver,
    metrics: Arc<Metrics>,
}

impl Connections {
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let idle = Arc::new(Idle::new(limits.upstream_pool_size, PATIENCE));
        Self { idle, multiplexed: Arc::new(Multiplexed::new()), resolver: Resolver::new(limits.connect_timeout), metrics }
    }

    /// Clears away connections that nobody uses, until `stop`.
    pub(crate) async fn sweep(&self, stop: CancellationToken) {
        self.idle.sweep(stop).await;
    }

    pub(crate) async fn resolve(&self, site: &Site, deny_private: bool) -> Result<Arc<[Arc<Destination>]>, ResolveError> {
        self.resolver.resolve(site, deny_private).await
    }

    /// Sends `request` to the first address that can be connected to.
    pub(crate) async fn exchange(&self, addresses: &[Arc<Destination>], request: &Bytes) -> Result<Reply, SendError> {
        let mut failed = None;
        for destination in addresses {
            let (road, reused) = match self.known(destination).await {
                Some(road) => (road, true),
                None => match self.connect(destination).await {
                    Ok(road) => (road, false),
                    Err(error) => {
                        failed = Some(error);
                        continue;
                    }
                },
            };
            self.metrics.connected(reused);
            return self.exchange_on(road, reused, destination, request).await;
        }
        Err(SendError::Connect(failed.unwrap_or_else(|| pingora_core::Error::new(pingora_core::ErrorType::ConnectNoRoute))))
    }

    /// A connection that is there already.
    async fn known(&self, destination: &Arc<Destination>) -> Option<Road> {
        match self.idle.take(destination.key()) {
            Some(stream) => Some(Road::One(stream)),
            None if destination.tls() => Box::pin(self.multiplexed.join(destination)).await.map(Road::two),
            None => None,
        }
    }

    /// A fresh connection. Boxed, because connecting with TLS takes 8 kB of state that most requests have no use for.
    fn connect<'a>(&'a self, destination: &'a Arc<Destination>) -> BoxFuture<'a, pingora_core::Result<Road>> {
        Box::pin(async {
            let stream = self.multiplexed.transport().new_stream(destination.as_ref()).await?;
            match stream.selected_alpn_proto() {
                Some(ALPN::H2) => self.multiplexed.open(stream, destination).await.map(Road::two),
                _ => Ok(Road::One(stream)),
            }
        })
    }

    async fn exchange_on(&self, road: Road, reused: bool, destination: &Arc<Destination>, request: &Bytes) -> Result<Reply, SendError> {
        let wire = match self.speak(road, destination, request).await {
            Err(Broken { error, came_to: CameTo::Silence }) if reused => return Err(SendError::Closed(error)),
            Err(Broken { came_to: CameTo::Nothing, .. }) if reused => self.speak_anew(destination, request).await,
            Err(Broken { came_to: CameTo::Downgrade, .. }) => self.speak_anew(destination, request).await,
            spoken => spoken.map_err(|broken| SendError::Broken(broken.error)),
        };
        Ok(Reply::of_provider(ProviderBody::new(wire?)))
    }

    async fn speak_anew(&self, destination: &Arc<Destination>, request: &Bytes) -> Result<Wire, SendError> {
        let fresh = self.connect(destination).await.map_err(SendError::Connect)?;
        self.metrics.connected(false);
        self.speak(fresh, destination, request).await.map_err(|broken| SendError::Broken(broken.error))
    }

    async fn speak(&self, road: Road, destination: &Arc<Destination>, request: &Bytes) -> Result<Wire, Broken> {
        match road {
            Road::One(stream) => {
                let session = speak(stream, request).await?;
                Ok(Wire::One { session, destination: destination.key(), idle: Arc::clone(&self.idle) })
            }
            Road::Two(mut lane) => Box::pin(async move { lane.ask(request).await.map(|()| Wire::Two(lane)) }).await,
        }
    }
}

/// What a request goes out on.
enum Road {
    /// All of a connection.
    One(Stream),
    /// A lane of one.
    Two(Box<Lane>),
}

impl Road {
    fn two(lane: Lane) -> Self {
        Self::Two(Box::new(lane))
    }
}

/// A connection that broke.
pub(super) struct Broken {
    pub(super) error: Box<pingora_core::Error>,
    pub(super) came_to: CameTo,
}

/// How far an exchange came on a connection that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CameTo {
    /// The provider can't have carried the request out: it does not have all of it, or says that it has not looked at it.
    Nothing,
    /// The provider wants HTTP/1.1, and gets it the next time.
    Downgrade,
    /// The provider may have the request; nothing of an answer came.
    Silence,
    /// Something of an answer came.
    Words,
}

async fn speak(mut stream: Stream, request: &[u8]) -> Result<HttpSession, Broken> {
    let written = write(&mut stream, request).await;
    let mut session = HttpSession::new(stream);
    // A provider may refuse a large body and close before it has read it: its answer is there although the write failed.
    for _ in 0..INFORMATIONAL {
        if let Err(error) = session.read_response().await {
            let came_to = match (&written, error.retry) {
                (Err(_), _) => CameTo::Nothing,
                (Ok(()), pingora_core::RetryType::ReusedOnly) => CameTo::Silence,
                (Ok(()), pingora_core::RetryType::Decided(_)) => CameTo::Words,
            };
            return Err(Broken { error, came_to });
        }
        if session.get_status().is_some_and(|status| !status.is_informational()) {
            return Ok(session);
        }
    }
    let error = pingora_core::Error::new(pingora_core::ErrorType::InvalidHTTPHeader);
    Err(Broken { error, came_to: CameTo::Words })
}

async fn write(stream: &mut Stream, request: &[u8]) -> std::io::Result<()> {
    stream.write_all(request).await?;
    stream.flush().await
}
