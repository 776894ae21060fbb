//! Where a request came from: address, origin and trace.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use entity::audit_event::Origin;
use http::HeaderMap;

use super::HttpState;
use super::request_id::RequestId;
use crate::context::Arrival;

/// Which of our own programs speaks. It says so itself: the word is a note in the audit event, and no right depends on it.
const ORIGIN: &str = "x-modelux-origin";

/// Puts the arrival where handlers find it.
pub(super) async fn note(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let arrival = Arrival {
        origin: origin(headers),
        ip: client_ip(headers, peer, state.config.trusted_proxies),
        request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()),
        trace_id: trace_id(headers),
    };
    request.extensions_mut().insert(arrival);
    next.run(request).await
}

fn origin(headers: &HeaderMap) -> Origin {
    match headers.get(ORIGIN).and_then(|value| value.to_str().ok()) {
        Some("cli") => Origin::Cli,
        Some("console") => Origin::Console,
        _ => Origin::Api,
    }
}

/// The address of the connection, or what the outermost proxy that is ours saw: each adds one entry at the end.
fn client_ip(headers: &HeaderMap, peer: Option<IpAddr>, trusted_proxies: usize) -> Option<IpAddr> {
    let Some(skipped) = trusted_proxies.checked_sub(1) else { return peer };
    let entries = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let entries: Vec<&str> = entries.collect();
    entries.iter().rev().nth(skipped)?.trim().parse().ok()
}

/// The trace id of a W3C `traceparent`.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = parent.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let sound = version.len() == 2 && trace.len() == 32 && hex(version) && hex(trace) && trace.bytes().any(|byte| byte != b'0');
    sound.then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_forwarded_address_counts_only_behind_our_own_proxies() {
        let peer = Some("10.0.0.9".parse().unwrap());
        let forwarded = headers(&[("x-forwarded-for", "1.2.3.4, 5.6.7.8")]);
        assert_eq!(client_ip(&forwarded, peer, 0), peer);
        assert_eq!(client_ip(&forwarded, peer, 1), Some("5.6.7.8".parse().unwrap()));
        assert_eq!(client_ip(&forwarded, peer, 2), Some("1.2.3.4".parse().unwrap()));
        assert_eq!(client_ip(&forwarded, peer, 3), None);
    }

    #[test]
    fn only_known_words_are_an_origin() {
        assert_eq!(origin(&headers(&[("x-modelux-origin", "cli")])), Origin::Cli);
        assert_eq!(origin(&headers(&[("x-modelux-origin", "system")])), Origin::Api);
    }

    #[test]
    fn a_trace_id_is_taken_from_a_sound_traceparent_only() {
        let sound = headers(&[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]);
        assert_eq!(trace_id(&sound).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(trace_id(&headers(&[("traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01")])), None);
        assert_eq!(trace_id(&headers(&[("traceparent", "nonsense")])), None);
    }
}
