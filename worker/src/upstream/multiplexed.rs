//! HTTP/2 towards providers, where TLS agrees on it: many requests side by side on one connection.
//!
//! Promises: a request has a lane of its own; giving it up cancels what the provider does for it and nothing beside it. A connection that
//! says it is going away, or does not answer a ping, gets no new lanes. A provider that asks for HTTP/1.1 gets that from then on.
//!
//! Leaves out: HTTP/2 without TLS, which providers do not offer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use pingora_core::connectors::TransportConnector;
use pingora_core::connectors::http::v2::{Connector, H2HandshakeSettings, handshake};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v2::client::Http2Session;
use pingora_core::upstreams::peer::Peer as _;
use pingora_core::{Error, ErrorType};
use pingora_http::{RequestHeader, ResponseHeader};

use super::connections::{Broken, CameTo, PATIENCE};
use super::destination::Destination;

/// Lanes of one connection at most; the provider may allow fewer.
const LANES: usize = 100;
/// What a provider may send of one answer before it is read, and of all together: a slow caller holds back its own provider only.
const WINDOW: (u32, u32) = (1 << 20, 8 << 20);
/// How often a connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// Our own request heads have far fewer lines.
const LINES: usize = 64;

/// The connections that have lanes.
pub(super) struct Multiplexed {
    connector: Connector,
}

impl Multiplexed {
    pub(super) fn new() -> Self {
        Self { connector: Connector::new(None) }
    }

    /// What makes connections, with or without lanes.
    pub(super) fn transport(&self) -> &TransportConnector {
        self.connector.transport()
    }

    /// A lane on a connection that is there, if one has room.
    pub(super) async fn join(self: &Arc<Self>, destination: &Arc<Destination>) -> Option<Lane> {
        let session = self.connector.reused_http_session(destination.as_ref()).await.ok().flatten()?;
        Some(Lane { session: Some(session), destination: Arc::clone(destination), connections: Arc::clone(self) })
    }

    /// The first lane of a fresh connection that agreed on HTTP/2.
    pub(super) async fn open(self: &Arc<Self>, stream: Stream, destination: &Arc<Destination>) -> pingora_core::Result<Lane> {
        let (each, all) = WINDOW;
        let mut settings = H2HandshakeSettings::new();
        settings.max_streams = LANES;
        settings.ping_interval = Some(PING);
        (settings.stream_window_size, settings.connection_window_size) = (Some(each), Some(all));
        let connection = handshake(stream, settings).await?;
        let session = connection.spawn_stream().await?.ok_or_else(|| Error::new(ErrorType::H2Error))?;
        if connection.more_streams_allowed() {
            self.connector.in_use_pool().insert(destination.reuse_hash(), connection);
        }
        Ok(Lane { session: Some(session), destination: Arc::clone(destination), connections: Arc::clone(self) })
    }
}

/// The way of one request and its answer.
pub(super) struct Lane {
    /// There until this is dropped.
    session: Option<Http2Session>,
    destination: Arc<Destination>,
    connections: Arc<Multiplexed>,
}

impl Lane {
    /// Sends a request that was written for HTTP/1.1, and waits for the head of the answer.
    pub(super) async fn ask(&mut self, request: &Bytes) -> Result<(), Broken> {
        let unreadable = || Broken { error: Error::new(ErrorType::InvalidHTTPHeader), came_to: CameTo::Words };
        let (head, body) = taken_apart(request, &self.destination).ok_or_else(unreadable)?;
        let Some(session) = &mut self.session else { return Err(unreadable()) };
        let sent = session.write_request_header(Box::new(head), body.is_empty());
        let written = match sent {
            Ok(()) if !body.is_empty() => session.write_request_body(body, true).await,
            sent => sent,
        };
        // A provider may refuse a large body before it has read it: its answer is there although the write failed.
        let heard = match session.request_header() {
            Some(_) => session.read_response_header().await,
            None => written,
        };
        heard.map_err(|error| {
            let downgraded = *error.etype() == ErrorType::H2Downgrade;
            if downgraded {
                self.connections.connector.prefer_h1(self.destination.as_ref());
            }
            // A provider that refuses a lane, or goes away before it has come to it, says so.
            let came_to = match error.retry {
                _ if downgraded => CameTo::Downgrade,
                pingora_core::RetryType::Decided(true) => CameTo::Nothing,
                pingora_core::RetryType::ReusedOnly => CameTo::Silence,
                pingora_core::RetryType::Decided(false) => CameTo::Words,
            };
            Broken { error, came_to }
        })
    }

    /// The head of the answer.
    pub(super) fn head(&self) -> Option<&ResponseHeader> {
        self.session.as_ref()?.response_header()
    }

    /// The next piece of the answer; nothing at its end.
    pub(super) async fn next(&mut self) -> pingora_core::Result<Option<Bytes>> {
        match &mut self.session {
            Some(session) => session.read_response_body().await,
            None => Ok(None),
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // Outside a runtime everything is being torn down, and nothing is kept for later.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.connections.connector.release_http_session(session, self.destination.as_ref(), Some(PATIENCE));
        }
    }
}

/// Head and body of a request of ours, as HTTP/2 takes them.
fn taken_apart(request: &Bytes, destination: &Destination) -> Option<(RequestHeader, Bytes)> {
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut parsed = httparse::Request::new(&mut lines);
    let httparse::Status::Complete(length) = parsed.parse(request).ok()? else { return None };
    let mut authority = None;
    let mut head = Request::new(());
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(line.value).ok()?;
        match name {
            header::HOST => authority = Some(value),
            name => drop(head.headers_mut().append(name, value)),
        }
    }
    let scheme = if destination.tls() { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(authority?.as_bytes()).path_and_query(parsed.path?).build().ok()?;
    *head.uri_mut() = uri;
    *head.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    let (parts, ()) = head.into_parts();
    Some((RequestHeader::from(parts), request.slice(length..)))
}
