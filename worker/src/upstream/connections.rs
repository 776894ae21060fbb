//! Connections to providers: taken from those that wait, one write a request, one silent retry.
//!
//! Pingora's HTTP connector sends head and body in two writes; this works one level below it, on the transport connector and the HTTP/1.1
//! session for the response, and so spares a system call a request. HTTP/2 towards providers would have to go through the former.
//!
//! A connection from the pool may have been closed by the other side while it was idle. When it proves so before a single byte of an answer,
//! the request goes out once more on a fresh connection: nobody can have answered it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v1::client::HttpSession;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::SendError;
use super::destination::{Destination, ResolveError, Resolver};
use super::idle::Idle;
use super::reply::{ProviderBody, Reply};
use super::site::Site;
use crate::config::Limits;
use crate::telemetry::Metrics;

/// Informational responses before the real one at most.
const INFORMATIONAL: usize = 8;

/// How long a connection waits to be used again; providers close theirs after a minute or more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Those that wait, how new ones are made, and the resolver.
pub(crate) struct Connections {
    idle: Arc<Idle>,
    transport: TransportConnector,
    resolver: Resolver,
    metrics: Arc<Metrics>,
}

impl Connections {
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let idle = Arc::new(Idle::new(limits.upstream_pool_size, PATIENCE));
        Self { idle, transport: TransportConnector::new(None), resolver: Resolver::new(limits.connect_timeout), metrics }
    }

    /// Clears away connections that nobody uses, until `stop`.
    pub(crate) async fn sweep(&self, stop: CancellationToken) {
        self.idle.sweep(stop).await;
    }

    pub(crate) async fn resolve(&self, site: &Site, deny_private: bool) -> Result<Arc<[Arc<Destination>]>, ResolveError> {
        self.resolver.resolve(site, deny_private).await
    }

    /// Sends `request` to the first address that can be connected to.
    pub(crate) async fn exchange(&self, addresses: &[Arc<Destination>], request: &[u8]) -> Result<Reply, SendError> {
        let mut failed = None;
        for destination in addresses {
            let (stream, reused) = match self.idle.take(destination.key()) {
                Some(stream) => (stream, true),
                None => match self.connect(destination).await {
                    Ok(stream) => (stream, false),
                    Err(error) => {
                        failed = Some(error);
                        continue;
                    }
                },
            };
            self.metrics.connected(reused);
            return self.exchange_on(stream, reused, destination, request).await;
        }
        Err(SendError::Connect(failed.unwrap_or_else(|| pingora_core::Error::new(pingora_core::ErrorType::ConnectNoRoute))))
    }

    /// A fresh connection. Boxed, because connecting with TLS takes 8 kB of state that most requests have no use for.
    fn connect<'a>(&'a self, destination: &'a Destination) -> BoxFuture<'a, pingora_core::Result<Stream>> {
        Box::pin(self.transport.new_stream(destination))
    }

    async fn exchange_on(&self, stream: Stream, reused: bool, destination: &Arc<Destination>, request: &[u8]) -> Result<Reply, SendError> {
        match speak(stream, request).await {
            Ok(session) => Ok(self.reply(session, destination)),
            Err(broken) if reused && broken.silent => {
                let fresh = self.connect(destination).await.map_err(SendError::Connect)?;
                self.metrics.connected(false);
                let session = speak(fresh, request).await.map_err(|broken| SendError::Broken(broken.error))?;
                Ok(self.reply(session, destination))
            }
            Err(broken) => Err(SendError::Broken(broken.error)),
        }
    }

    fn reply(&self, session: HttpSession, destination: &Arc<Destination>) -> Reply {
        Reply::of_provider(ProviderBody::new(session, destination.key(), Arc::clone(&self.idle)))
    }
}

/// A connection that broke; `silent`: before any byte of an answer.
struct Broken {
    error: Box<pingora_core::Error>,
    silent: bool,
}

async fn speak(mut stream: Stream, request: &[u8]) -> Result<HttpSession, Broken> {
    let written = write(&mut stream, request).await;
    let mut session = HttpSession::new(stream);
    // A provider may refuse a large body and close before it has read it: its answer is there although the write failed.
    for _ in 0..INFORMATIONAL {
        if let Err(error) = session.read_response().await {
            let silent = matches!(error.retry, pingora_core::RetryType::ReusedOnly) || written.is_err();
            return Err(Broken { error, silent });
        }
        if session.get_status().is_some_and(|status| !status.is_informational()) {
            return Ok(session);
        }
    }
    Err(Broken { error: pingora_core::Error::new(pingora_core::ErrorType::InvalidHTTPHeader), silent: false })
}

async fn write(stream: &mut Stream, request: &[u8]) -> std::io::Result<()> {
    stream.write_all(request).await?;
    stream.flush().await
}
