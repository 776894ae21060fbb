//! Liveness, readiness, metrics: for whoever runs the worker, on the proxy's listener and on one of their own where that is wanted.
//!
//! Alive means that this answers. Ready means that requests can be served as the policy wants: at least one bundle is in force and the worker
//! is not shutting down. A policy that was not confirmed for long is still enforced; readiness says so and stays 200, because a
//! worker that leaves the pool while the control plane is away would make an outage of it.

use bytes::Bytes;
use http::HeaderValue;
use pingora_core::protocols::http::ServerSession;
use serde::Serialize;

use crate::exchange::{Arrival, Context};
use crate::policy_feed::Freshness;
use crate::relay::json;
use crate::respond::head::{Head, Sent};

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    in_flight: u64,
    organizations: usize,
    policy: &'static str,
}

pub(crate) async fn healthz(session: &mut ServerSession, arrival: &Arrival, head_only: bool) -> Sent {
    head(200, arrival, head_only).send(session, json(), Bytes::from_static(b"{\"status\":\"ok\"}")).await
}

pub(crate) async fn readyz(context: &Context, session: &mut ServerSession, arrival: &Arrival, head_only: bool) -> Sent {
    let organizations = context.policies.current().iter().count();
    let freshness = context.policies.freshness();
    let status = match (context.is_draining(), organizations) {
        (true, _) => "draining",
        (false, 0) => "no_policy",
        (false, _) if freshness == Freshness::Missing => "no_policy",
        (false, _) => "ready",
    };
    let policy = match freshness {
        Freshness::Missing => "missing",
        Freshness::Fresh => "fresh",
        Freshness::Stale(_) => "stale",
    };
    let readiness = Readiness { status, in_flight: context.metrics.in_flight(), organizations, policy };
    let body = serde_json::to_vec(&readiness).map_or(Bytes::from_static(b"{}"), Bytes::from);
    head(if status == "ready" { 200 } else { 503 }, arrival, head_only).send(session, json(), body).await
}

pub(crate) async fn metrics(context: &Context, session: &mut ServerSession, arrival: &Arrival, head_only: bool) -> Sent {
    context.look_around();
    let text = Bytes::from(context.metrics.render());
    head(200, arrival, head_only).send(session, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"), text).await
}

pub(crate) async fn root(session: &mut ServerSession, arrival: &Arrival, head_only: bool) -> Sent {
    let text = Bytes::from_static(b"{\"service\":\"modelux\"}");
    head(200, arrival, head_only).send(session, json(), text).await
}

fn head(status: u16, arrival: &Arrival, head_only: bool) -> Head {
    let mut head = Head::new(status, &arrival.request_id);
    if head_only {
        head.without_body();
    }
    head
}
