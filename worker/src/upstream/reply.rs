//! A response as it comes: head first, then pieces of the body, from a provider or from the simulated one.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use llm::convert::Dropped;
use llm::dialect::Dialect;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_http::ResponseHeader;
use smallvec::SmallVec;

use super::WayBack;
use super::bedrock::Frames;
use super::encoding::Decoder;
use super::idle::Idle;
use super::multiplexed::Lane;
use super::simulated::Simulation;

/// A response whose head is there.
pub(crate) struct Reply {
    pub status: u16,
    /// The provider's dialect.
    pub spoken: Dialect,
    /// How it is said again for the caller.
    pub back: WayBack,
    /// What of the request could not be said to the provider.
    pub dropped: Dropped,
    pub content_type: Option<HeaderValue>,
    /// Headers that go on to the caller.
    pub passed: SmallVec<[(HeaderName, HeaderValue); 4]>,
    pub body: ReplyBody,
}

/// Where the body comes from.
pub(crate) enum ReplyBody {
    /// A connection.
    Provider(Box<ProviderBody>),
    /// A connection, in AWS's framing.
    Framed(Box<Framed>),
    /// This process.
    Simulated(Simulation),
}

/// The body ended before its end.
#[derive(Debug, thiserror::Error)]
#[error("the provider's answer broke off")]
pub(crate) struct ReplyCut;

/// Whence an answer comes, its head read.
#[expect(clippy::large_enum_variant, reason = "the body that it is part of is boxed; nearly all of them are the large one")]
pub(super) enum Wire {
    /// A connection, which waits to be used again when the answer was read to its end.
    One {
        session: HttpSession,
        /// Where it waits.
        destination: u64,
        idle: Arc<Idle>,
    },
    /// A lane of one.
    Two(Box<Lane>),
}

impl Wire {
    fn head(&self) -> Option<&ResponseHeader> {
        match self {
            Self::One { session, .. } => session.resp_header(),
            Self::Two(lane) => lane.head(),
        }
    }

    async fn next(&mut self) -> pingora_core::Result<Option<Bytes>> {
        match self {
            Self::One { session, .. } => session.read_body_bytes().await,
            Self::Two(lane) => lane.next().await,
        }
    }

    async fn finish(self) {
        if let Self::One { mut session, destination, idle } = self {
            session.respect_keepalive();
            if let Some(stream) = session.reuse().await {
                idle.put(destination, stream);
            }
        }
    }
}

/// A body on its way from a provider.
pub(crate) struct ProviderBody {
    wire: Wire,
    /// Where the provider compresses without being asked to.
    decoder: Option<Box<Decoder>>,
}

/// A body whose frames are said again as server-sent events.
pub(crate) struct Framed {
    body: ProviderBody,
    frames: Frames,
}

impl Framed {
    async fn next(&mut self) -> Result<Option<Bytes>, ReplyCut> {
        loop {
            match self.frames.next_events() {
                Ok(Some(events)) => return Ok(Some(events)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a provider's stream can't be read");
                    return Err(ReplyCut);
                }
            }
            match self.body.next().await? {
                Some(piece) => self.frames.push(&piece),
                None if self.frames.is_between_frames() => return Ok(None),
                None => return Err(ReplyCut),
            }
        }
    }
}

impl ProviderBody {
    pub(super) fn new(wire: Wire) -> Self {
        let coding = wire.head().and_then(|head| head.headers.get(header::CONTENT_ENCODING));
        let decoder = coding.and_then(Decoder::of).map(Box::new);
        Self { wire, decoder }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ReplyCut> {
        loop {
            let piece = self.wire.next().await.map_err(|error| cut(&error))?;
            let Some(decoder) = &mut self.decoder else { return Ok(piece) };
            let Some(piece) = piece else {
                let rest = decoder.finish().map_err(|error| cut(&error))?;
                self.decoder = None;
                return Ok(Some(rest).filter(|rest| !rest.is_empty()));
            };
            let decoded = decoder.push(&piece).map_err(|error| cut(&error))?;
            if !decoded.is_empty() {
                return Ok(Some(decoded));
            }
        }
    }

    async fn finish(self) {
        self.wire.finish().await;
    }
}

fn cut(error: &dyn std::error::Error) -> ReplyCut {
    tracing::debug!(%error, "a provider's answer broke off");
    ReplyCut
}

impl Reply {
    pub(super) fn of_provider(body: ProviderBody) -> Self {
        let status = body.wire.head().map_or(502, |head| head.status.as_u16());
        let none = HeaderMap::new();
        let headers = body.wire.head().map_or(&none, |head| &head.headers);
        let content_type = headers.get(header::CONTENT_TYPE).cloned();
        let passed = headers.iter().filter(|(name, _)| passes(name, status)).map(|(name, value)| (name.clone(), value.clone())).collect();
        let body = ReplyBody::Provider(Box::new(body));
        // Whoever sent the request knows in which dialect, and what was left out of it.
        Self {
            status,
            spoken: Dialect::OpenAiChat,
            back: WayBack::Same,
            dropped: Dropped::of(Dialect::OpenAiChat),
            content_type,
            passed,
            body,
        }
    }

    /// Whether the body is an event stream.
    pub(crate) fn streams(&self) -> bool {
        self.content_type.as_ref().is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
    }
}

/// What of a provider's head is the caller's business. Its limits are those of our account, and only matter when one was hit.
fn passes(name: &HeaderName, status: u16) -> bool {
    match name.as_str() {
        "openai-processing-ms" | "openai-version" | "openai-model" | "x-request-id" | "x-amzn-requestid" => true,
        "x-amzn-errortype" => status >= 400,
        "retry-after" | "retry-after-ms" => status >= 400,
        other => status == 429 && other.starts_with("x-ratelimit-"),
    }
}

impl ReplyBody {
    /// The head of the answer as it came, where it came over a connection.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Provider(body) => body.wire.head().map(|head| &head.headers),
            Self::Framed(_) | Self::Simulated(_) => None,
        }
    }

    /// How long the body is, where its head says so and what comes out is what came in.
    pub(crate) fn length(&self) -> Option<u64> {
        let Self::Provider(body) = self else { return None };
        let length = self.headers()?.get(header::CONTENT_LENGTH).filter(|_| body.decoder.is_none())?;
        length.to_str().ok()?.trim().parse().ok()
    }

    /// The next piece; `None` at the end. May be dropped while it waits and asked again.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ReplyCut> {
        match self {
            Self::Provider(body) => body.next().await,
            Self::Framed(framed) => framed.next().await,
            Self::Simulated(simulation) => simulation.next().await,
        }
    }

    /// All of it; `None` where it is longer than `limit`. The caller sees to the time.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Option<Bytes>, ReplyCut> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if body.len().saturating_add(piece.len()) > limit {
                return Ok(None);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Some(body.freeze()))
    }

    /// The same, whose bytes are in AWS's framing.
    pub(super) fn framed(self, frames: Frames) -> Self {
        match self {
            Self::Provider(body) => Self::Framed(Box::new(Framed { body: *body, frames })),
            other => other,
        }
    }

    /// The next piece if it is there already.
    pub(crate) fn ready(&mut self) -> Option<Result<Option<Bytes>, ReplyCut>> {
        self.next().now_or_never()
    }

    /// Gives the connection back, if the body was read to its end.
    pub(crate) async fn finish(self) {
        match self {
            Self::Provider(body) => body.finish().await,
            Self::Framed(framed) => framed.body.finish().await,
            Self::Simulated(_) => {}
        }
    }
}
