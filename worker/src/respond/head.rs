//! Response heads: ours on every answer, the provider's where it is passed on.

use std::cell::RefCell;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use policy::money::NanoUsd;

use super::{Refusal, rfc3339};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-modelux-request-id");
const PROVIDER: HeaderName = HeaderName::from_static("x-modelux-provider-used");
const MODEL: HeaderName = HeaderName::from_static("x-modelux-model-used");
const AB_VARIANT: HeaderName = HeaderName::from_static("x-modelux-ab-variant");
const CACHE: HeaderName = HeaderName::from_static("x-modelux-cache");
const COST: HeaderName = HeaderName::from_static("x-modelux-cost-usd");
const DROPPED: HeaderName = HeaderName::from_static("x-modelux-dropped");
const CLAMPED: HeaderName = HeaderName::from_static("x-modelux-max-tokens-clamped");
const BUDGET_NAME: HeaderName = HeaderName::from_static("x-modelux-budget-name");
const BUDGET_REMAINING: HeaderName = HeaderName::from_static("x-modelux-budget-remaining");
const BUDGET_ACTION: HeaderName = HeaderName::from_static("x-modelux-budget-action");
const BUDGET_RESET: HeaderName = HeaderName::from_static("x-modelux-budget-reset");
const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");
/// Delivered in order and never delayed by proxies in between.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Lines that a head has room for without growing.
const USUAL_LINES: usize = 20;

/// A response head in the making. A value that is no header value is left out; there is none that could be.
///
/// Lines go into a map of the `http` crate, since Pingora's own would copy and read each name again.
pub(crate) struct Head {
    status: StatusCode,
    lines: HeaderMap,
    body_follows: bool,
}

impl Head {
    /// A head with the id that every answer carries.
    pub(crate) fn new(status: u16, request_id: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut this = Self { status, lines: HeaderMap::with_capacity(USUAL_LINES), body_follows: true };
        this.text(REQUEST_ID, request_id);
        this
    }

    pub(crate) fn value(&mut self, name: HeaderName, value: HeaderValue) {
        self.lines.insert(name, value);
    }

    pub(crate) fn text(&mut self, name: HeaderName, text: &str) {
        if let Ok(value) = HeaderValue::from_str(text) {
            self.value(name, value);
        }
    }

    fn fixed(&mut self, name: HeaderName, text: &'static str) {
        self.value(name, HeaderValue::from_static(text));
    }

    /// The answer to a `HEAD`: lengths as they would be, no body.
    pub(crate) fn without_body(&mut self) {
        self.body_follows = false;
    }

    /// Who answered.
    pub(crate) fn served_by(&mut self, provider: &str, model: &str) {
        self.text(PROVIDER, provider);
        if !model.is_empty() {
            self.text(MODEL, model);
        }
    }

    /// What the response cache had: `HIT`, `MISS` or `BYPASS`.
    pub(crate) fn cache(&mut self, word: &'static str) {
        self.fixed(CACHE, word);
    }

    /// What of the request the provider could not be told.
    pub(crate) fn dropped(&mut self, fields: &str) {
        self.text(DROPPED, fields);
    }

    /// The variant of an `ab_test` that led there.
    pub(crate) fn variant(&mut self, variant: &str) {
        self.text(AB_VARIANT, variant);
    }

    /// What it cost, where that is final.
    pub(crate) fn cost(&mut self, cost: NanoUsd) {
        self.text(COST, &cost.to_string());
    }

    /// The output limit was lowered to what is affordable.
    pub(crate) fn clamped(&mut self, tokens: u32) {
        self.value(CLAMPED, HeaderValue::from(tokens));
    }

    /// The most constraining budget.
    pub(crate) fn budget(&mut self, name: &str, remaining: NanoUsd, action: &'static str, resets_at: Option<DateTime<Utc>>) {
        self.text(BUDGET_NAME, name);
        self.text(BUDGET_REMAINING, &remaining.max(NanoUsd::ZERO).to_usd_4());
        self.fixed(BUDGET_ACTION, action);
        if let Some(at) = resets_at {
            self.value(BUDGET_RESET, reset(at));
        }
    }

    /// How the key's rate stands.
    pub(crate) fn rate(&mut self, limit: u32, remaining: u64) {
        self.value(RATE_LIMIT, HeaderValue::from(limit));
        self.value(RATE_REMAINING, HeaderValue::from(remaining));
    }

    fn retry_after(&mut self, seconds: u64) {
        self.value(header::RETRY_AFTER, HeaderValue::from(seconds));
    }

    /// Sends the head and a whole body.
    pub(crate) async fn send(mut self, session: &mut ServerSession, content_type: HeaderValue, body: Bytes) -> Sent {
        self.value(header::CONTENT_TYPE, content_type);
        self.value(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        let body_follows = self.body_follows;
        let status = self.write(session).await?;
        if body_follows {
            session.write_response_body(body, true).await.map_err(|_| CallerGone)?;
        }
        Ok(status)
    }

    async fn write(self, session: &mut ServerSession) -> Sent {
        let (mut head, ()) = http::Response::new(()).into_parts();
        (head.status, head.headers) = (self.status, self.lines);
        session.write_response_header(Box::new(ResponseHeader::from(head))).await.map_err(|_| CallerGone)?;
        Ok(self.status.as_u16())
    }

    /// Sends the head of a stream.
    pub(crate) async fn send_stream(mut self, session: &mut ServerSession, content_type: HeaderValue) -> Sent {
        self.value(header::CONTENT_TYPE, content_type);
        self.fixed(header::CACHE_CONTROL, "no-cache");
        self.fixed(NO_BUFFERING, "no");
        self.send_open(session, None).await
    }

    /// Sends the head of a body that follows in pieces, of so many bytes where that is known.
    pub(crate) async fn send_open(mut self, session: &mut ServerSession, length: Option<u64>) -> Sent {
        let has_body = !matches!(self.status.as_u16(), 204 | 304);
        match length.filter(|_| has_body) {
            Some(length) => self.value(header::CONTENT_LENGTH, HeaderValue::from(length)),
            None if has_body && session.req_header().version == Version::HTTP_11 && !session.is_http2() => {
                self.fixed(header::TRANSFER_ENCODING, "chunked");
            }
            None => {}
        }
        self.write(session).await
    }
}

thread_local! {
    /// The last time that was written: nearly every request of a period has the same.
    static LAST_RESET: RefCell<Option<(DateTime<Utc>, HeaderValue)>> = const { RefCell::new(None) };
}

fn reset(at: DateTime<Utc>) -> HeaderValue {
    LAST_RESET.with_borrow_mut(|last| match last {
        Some((known, written)) if *known == at => written.clone(),
        _ => {
            let written = HeaderValue::from_str(&rfc3339(at)).unwrap_or(HeaderValue::from_static(""));
            *last = Some((at, written.clone()));
            written
        }
    })
}

/// The caller closed the connection before it had its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallerGone;

/// The status that went out.
pub(crate) type Sent = Result<u16, CallerGone>;

/// Sends a refusal.
pub(crate) async fn refuse(session: &mut ServerSession, request_id: &str, refusal: &Refusal) -> Sent {
    let mut head = Head::new(refusal.status, request_id);
    if let Some(seconds) = refusal.retry_after {
        head.retry_after(seconds);
    }
    if let Some(limit) = refusal.rate_limit {
        head.rate(limit, 0);
        head.text(RATE_RESET, &format!("{}s", refusal.retry_after.unwrap_or(1)));
    }
    if refusal.status == 401 {
        head.fixed(header::WWW_AUTHENTICATE, "Bearer");
    }
    if let Some(short) = &refusal.shortfall {
        head.budget(&short.name, short.cap.saturating_sub(short.spend), "block", short.resets_at);
    }
    head.send(session, HeaderValue::from_static("application/json"), refusal.body()).await
}
