//! The worker as Pingora sees it: connections come in, requests are read from them, each is dispatched to what serves it.
//!
//! A request is cut off by nothing but its own deadlines: a panic in it becomes a 500 in JSON, a shutdown closes idle connections at once and
//! busy ones after their answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use http::Method;
use llm::dialect::Dialect;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;

use crate::exchange::call::Errand;
use crate::exchange::{Arrival, Context, Failure, call, passthrough};
use crate::ingress::body::check_framing;
use crate::ingress::endpoint::{Endpoint, dialect_of};
use crate::ingress::{ReadFailure, body};
use crate::respond::Refusal;
use crate::respond::head::{CallerGone, Head, Sent, refuse};
use crate::{admin, clock, models, relay};

/// What one listener serves.
pub(crate) struct Gateway {
    context: Arc<Context>,
    /// Health and metrics only.
    operations_only: bool,
    options: HttpServerOptions,
}

/// Requests that one caller has going on one connection of HTTP/2 at most.
const STREAMS: u32 = 256;
/// What a caller may have sent of a body before it is read, for each request; a connection's may be this many times that.
const WINDOW: (u32, u32) = (256 << 10, 8);

/// Marks a connection that has carried a request already.
struct Reused;

/// A head that Pingora does not take: mostly one that it can't read, but some framing it refuses by itself, once it has read the head.
fn unfit(session: &ServerSession) -> HeadRead {
    let was_read = session.as_http1().is_some_and(|session| session.get_header(http::header::HOST).is_some());
    match was_read.then(|| check_framing(session)) {
        Some(Err(failure)) => HeadRead::Refused(failure, dialect_of(session.req_header().uri.path())),
        Some(Ok(())) | None => unread(ReadFailure::Head),
    }
}

fn unread(failure: ReadFailure) -> HeadRead {
    HeadRead::Refused(failure, Dialect::OpenAiChat)
}

/// What reading a request head came to.
enum HeadRead {
    Request,
    /// Told in the dialect of the path, as far as one was read.
    Refused(ReadFailure, Dialect),
    /// Nobody there, or time to go.
    Closed,
}

#[async_trait]
impl HttpServerApp for Gateway {
    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    fn h2_options(&self) -> Option<H2Options> {
        let (window, requests) = WINDOW;
        let mut options = default_h2_options();
        options.max_header_list_size(u32::try_from(self.context.limits.header_bytes).unwrap_or(u32::MAX));
        options.max_concurrent_streams(STREAMS).initial_window_size(window);
        options.initial_connection_window_size(window.saturating_mul(requests));
        Some(options)
    }

    async fn process_new_http(self: &Arc<Self>, mut session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        match self.read_head(&mut session, shutdown).await {
            HeadRead::Request => {}
            HeadRead::Closed => return None,
            HeadRead::Refused(failure, dialect) => {
                let arrival = Arrival::of(&session);
                self.refuse_unread(&mut session, &arrival, failure, dialect).await;
                return None;
            }
        }
        if self.context.is_draining() || *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let arrival = Arrival::of(&session);
        let head = session.req_header();
        let counted = Endpoint::find(&head.method, head.uri.path(), &head.headers).name() != "operations";
        if counted {
            self.context.begin();
        }
        let sent = AssertUnwindSafe(self.dispatch(&mut session, &arrival)).catch_unwind().await;
        let sent = match sent {
            Ok(sent) => sent,
            Err(_) => self.answer_bug(&mut session, &arrival).await,
        };
        if counted {
            self.context.end();
        }
        sent.ok()?;
        let mut settings = HttpPersistentSettings::for_session(&session);
        settings.set_user_context(Box::new(Reused));
        let stream = session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

impl Gateway {
    /// `preface`: connections begin with the preface of HTTP/2, though there is no TLS to agree on it.
    pub(crate) fn new(context: &Arc<Context>, operations_only: bool, preface: bool) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = preface;
        options.h2_idle_timeout = Some(context.limits.keep_alive);
        Self { context: Arc::clone(context), operations_only, options }
    }

    async fn read_head(&self, session: &mut ServerSession, shutdown: &ShutdownWatch) -> HeadRead {
        let limits = &self.context.limits;
        let reused = session.take_connection_user_context().is_some();
        let patience = if reused { limits.keep_alive } else { limits.header_timeout };
        // One deadline for the whole head below; Pingora's own ones, a timer for each read, are not needed beside it.
        session.set_keepalive(Some(0));
        session.set_read_timeout(None);
        session.set_write_timeout(Some(limits.idle_timeout));
        session.set_pipelining_enabled(true);
        let mut shutdown = shutdown.clone();
        let read = tokio::select! {
            biased;
            read = pingora_timeout::timeout(patience, session.read_request()) => read,
            _ = shutdown.wait_for(|stopping| *stopping) => return HeadRead::Closed,
        };
        match read {
            Ok(Ok(true)) => self.check_head(session),
            Ok(Ok(false)) => HeadRead::Closed,
            Ok(Err(error)) if *error.etype() == pingora_core::ErrorType::InvalidHTTPHeader => unfit(session),
            Ok(Err(_)) => HeadRead::Closed,
            Err(_) if reused => HeadRead::Closed,
            Err(_) => unread(ReadFailure::HeadTimeout { seconds: patience.as_secs() }),
        }
    }

    fn check_head(&self, session: &ServerSession) -> HeadRead {
        let limit = self.context.limits.header_bytes;
        if !session.is_http2() && session.to_h1_raw().len() > limit {
            return HeadRead::Refused(ReadFailure::HeadTooLarge { limit }, dialect_of(session.req_header().uri.path()));
        }
        match check_framing(session) {
            Ok(()) => HeadRead::Request,
            Err(failure) => HeadRead::Refused(failure, dialect_of(session.req_header().uri.path())),
        }
    }

    /// Answers a head that can't be understood; the connection can't be used any more.
    async fn refuse_unread(&self, session: &mut ServerSession, arrival: &Arrival, failure: ReadFailure, dialect: Dialect) {
        session.set_keepalive(None);
        let refusal = Refusal::of(&Failure::Read(failure), arrival.time).said_in(dialect);
        self.context.metrics.answered("none", refusal.status, std::time::Duration::ZERO);
        if refuse(session, &arrival.request_id, &refusal).await.is_err() {
            tracing::debug!("the caller left before it was told what is wrong with its request");
        }
        session.shutdown().await;
    }

    async fn dispatch(&self, session: &mut ServerSession, arrival: &Arrival) -> Sent {
        let head = session.req_header();
        let (method, path) = (head.method.clone(), head.uri.path().to_owned());
        let endpoint = Endpoint::find(&method, &path, &head.headers);
        let sent = self.serve(session, arrival, endpoint, method == Method::HEAD).await;
        let took = clock::instant().saturating_duration_since(arrival.started);
        self.context.metrics.answered(endpoint.name(), sent.unwrap_or(499), took);
        sent
    }

    async fn serve(&self, session: &mut ServerSession, arrival: &Arrival, endpoint: Endpoint<'_>, head_only: bool) -> Sent {
        let context = &self.context;
        let failure = match endpoint {
            Endpoint::Healthz => return admin::healthz(session, arrival, head_only).await,
            Endpoint::Readyz => return admin::readyz(context, session, arrival, head_only).await,
            Endpoint::Metrics => return admin::metrics(context, session, arrival, head_only).await,
            Endpoint::Root => return admin::root(session, arrival, head_only).await,
            _ if self.operations_only => Failure::UnknownRoute,
            _ if context.is_draining() => Failure::ShuttingDown,
            Endpoint::Call(dialect, addressed) => {
                return Box::pin(call::serve(context, session, arrival, (Errand::Answer, dialect), addressed)).await;
            }
            Endpoint::Count(dialect, addressed) => {
                return Box::pin(call::serve(context, session, arrival, (Errand::Count, dialect), addressed)).await;
            }
            Endpoint::Passthrough(found) => return Box::pin(passthrough::serve(context, session, arrival, found)).await,
            Endpoint::Models => return models::list(context, session, arrival).await,
            Endpoint::Model(id) => return models::show(context, session, arrival, id).await,
            Endpoint::WrongMethod(takes) => Failure::WrongMethod(takes),
            Endpoint::Unknown => Failure::UnknownRoute,
        };
        body::linger(session).await;
        let refusal = Refusal::of(&failure, arrival.time).said_in(dialect_of(session.req_header().uri.path()));
        refuse(session, &arrival.request_id, &refusal).await
    }

    /// A panic is ours: the caller gets a 500 if nothing went out yet, the connection ends either way.
    async fn answer_bug(&self, session: &mut ServerSession, arrival: &Arrival) -> Sent {
        self.context.metrics.panicked();
        tracing::error!(request.id = %arrival.request_id, "a request ended in a bug");
        session.set_keepalive(None);
        if session.response_written().is_none() {
            let refusal = Refusal::of(&Failure::Bug, arrival.time).said_in(dialect_of(session.req_header().uri.path()));
            let mut head = Head::new(refusal.status, &arrival.request_id);
            head.value(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            return head.send(session, relay::json(), refusal.body()).await.and(Err(CallerGone));
        }
        session.shutdown().await;
        Err(CallerGone)
    }
}
