//! Connections: accepted, served with a limit on how long a head may take, let go on shutdown.
//!
//! HTTP/1.1 only; whatever ends TLS in front speaks what it likes to its own callers. A head (and so an idle connection, which waits for
//! one) that is not there in its time ends the connection without an answer. On shutdown nothing new is accepted, idle connections end
//! at once and busy ones after their answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use axum::serve::Listener;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

/// Answers on `listener` until `shutdown`, then until the last answer is out.
pub(crate) async fn serve(mut listener: TcpListener, router: Router, header_timeout: Duration, shutdown: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(header_timeout);
    let (connections, stopping) = (TaskTracker::new(), CancellationToken::new());
    tokio::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Does not fail: what is wrong with one connection is its own affair, and a lack of descriptors is waited out.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        drop(connections.spawn(connection(http.clone(), stream, peer, router.clone(), stopping.clone())));
    }
    drop(listener);
    stopping.cancel();
    connections.close();
    connections.wait().await;
}

async fn connection(http: http1::Builder, stream: TcpStream, peer: SocketAddr, router: Router, stopping: CancellationToken) {
    // An answer leaves at once, not with the next one.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection that is gone already");
    }
    let answer = service_fn(move |request| answer(router.clone(), request, peer));
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke off");
    }
}

async fn answer(mut router: Router, mut request: Request<Incoming>, peer: SocketAddr) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.call(request.map(Body::new)).await
}
