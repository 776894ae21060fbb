//! The request's body, whole, within its limit and its deadline.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version, header};
use pingora_core::protocols::http::ServerSession;

use super::ReadFailure;
use crate::config::Limits;

/// How much of an unwanted body is read away so that the caller sees the answer rather than a reset.
const LINGER_BYTES: usize = 4 << 20;
/// A body's first allocation at most; the rest grows as it arrives, so that an announced length costs nothing.
const FIRST_ALLOCATION: u64 = 1 << 20;

/// Refuses framing that two readers could understand in two ways. Pingora has dropped one of the lengths by now; the raw head has both.
pub(crate) fn check_framing(session: &ServerSession) -> Result<(), ReadFailure> {
    let head = session.req_header();
    if head.headers.contains_key(header::TRANSFER_ENCODING) && !session.is_http2() && has_length(&session.to_h1_raw()) {
        return Err(ReadFailure::TwoLengths);
    }
    if !codings(&head.headers).all(|coding| coding.eq_ignore_ascii_case(b"chunked")) || codings(&head.headers).nth(1).is_some() {
        return Err(ReadFailure::TransferCoding);
    }
    if head.version == Version::HTTP_11 && head.headers.get_all(header::HOST).iter().count() != 1 {
        return Err(ReadFailure::Host);
    }
    let identity = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if head.headers.get(header::CONTENT_ENCODING).is_some_and(|value| !identity(value)) {
        return Err(ReadFailure::Encoded);
    }
    Ok(())
}

/// What a body went through on its way here, in order.
fn codings(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn has_length(raw_head: &[u8]) -> bool {
    let name = b"content-length:";
    raw_head.split(|byte| *byte == b'\n').any(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

/// Reads the body. Where it can't be read, nobody knows where the next request begins: the connection ends with the answer.
pub(crate) async fn read(session: &mut ServerSession, limits: &Limits) -> Result<Bytes, ReadFailure> {
    let body = read_within(session, limits).await;
    if body.is_err() {
        session.set_keepalive(None);
    }
    body
}

async fn read_within(session: &mut ServerSession, limits: &Limits) -> Result<Bytes, ReadFailure> {
    let announced = announced_length(session);
    let limit = u64::try_from(limits.body_bytes).unwrap_or(u64::MAX);
    if announced.is_some_and(|length| length > limit) {
        return Err(ReadFailure::BodyTooLarge { limit });
    }
    if session.req_header().headers.contains_key(header::EXPECT) {
        session.write_continue_response().await.map_err(|_| ReadFailure::BodyCut)?;
    }
    match pingora_timeout::timeout(limits.body_timeout, read_all(session, announced, limit)).await {
        Ok(body) => body,
        Err(_) => Err(ReadFailure::BodyTimeout { seconds: limits.body_timeout.as_secs() }),
    }
}

fn announced_length(session: &ServerSession) -> Option<u64> {
    let value = session.req_header().headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.trim().parse().ok()
}

async fn read_all(session: &mut ServerSession, announced: Option<u64>, limit: u64) -> Result<Bytes, ReadFailure> {
    let cut = |_| ReadFailure::BodyCut;
    let Some(first) = session.read_request_body().await.map_err(cut)? else { return Ok(Bytes::new()) };
    if announced == u64::try_from(first.len()).ok() {
        return Ok(first);
    }
    let capacity = announced.unwrap_or(0).min(FIRST_ALLOCATION);
    let mut body = BytesMut::with_capacity(usize::try_from(capacity).unwrap_or(0));
    body.extend_from_slice(&first);
    while let Some(piece) = session.read_request_body().await.map_err(cut)? {
        if u64::try_from(body.len().saturating_add(piece.len())).unwrap_or(u64::MAX) > limit {
            return Err(ReadFailure::BodyTooLarge { limit });
        }
        body.extend_from_slice(&piece);
    }
    if u64::try_from(body.len()).unwrap_or(u64::MAX) > limit {
        return Err(ReadFailure::BodyTooLarge { limit });
    }
    Ok(body.freeze())
}

/// Reads away what is left of a body that was refused, for a moment, so that closing does not reset the answer on its way. A connection
/// on which some of it is left ends with the answer.
pub(crate) async fn linger(session: &mut ServerSession) {
    let drain = async {
        let mut seen = 0_usize;
        while seen <= LINGER_BYTES {
            match session.read_request_body().await {
                Ok(Some(piece)) => seen = seen.saturating_add(piece.len()),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    };
    if !matches!(tokio::time::timeout(std::time::Duration::from_secs(2), drain).await, Ok(true)) {
        session.set_keepalive(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_read_over_lines_and_commas() {
        let lines = [" gzip ,chunked", "identity"].map(|line| (header::TRANSFER_ENCODING, line.parse().unwrap()));
        let headers: HeaderMap = lines.into_iter().collect();
        assert_eq!(codings(&headers).collect::<Vec<_>>(), [&b"gzip"[..], b"chunked", b"identity"]);
        assert_eq!(codings(&HeaderMap::new()).count(), 0);
    }

    #[test]
    fn a_length_is_found_in_any_spelling_but_not_in_a_value() {
        assert!(has_length(b"POST / HTTP/1.1\r\nContent-LENGTH: 5\r\n\r\n"));
        assert!(!has_length(b"POST / HTTP/1.1\r\nX-A: content-length: 5\r\n\r\n"));
    }
}
