//! What a provider's reply to one attempt comes to: the same on a plain route and in a council.
//!
//! Leaves out: the money and the books, which whoever made the attempt settles.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use policy::decision::ResolvedTarget;
use policy::source::RetryOn;

use super::{Failed, First, back_off};
use crate::clock;
use crate::exchange::{Context, Failure, RefusedReply};
use crate::health::OrgHealth;
use crate::policy_feed::OrgPolicy;
use crate::route::FailureClass;
use crate::upstream::{self, Outgoing, Reply, ReplyBody, ReplyCut, SendError, Way};

/// Bytes of a refusal that are read and passed on.
const REFUSAL_LIMIT: usize = 1 << 20;
/// Bytes of a buffered answer at most.
pub(crate) const REPLY_LIMIT: usize = 64 << 20;
/// Time for the body of a refusal.
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// Sends one attempt; its head has to be there within `timeout`.
pub(super) async fn send(
    context: &Context,
    policy: &OrgPolicy,
    way: &Way<'_, '_>,
    outgoing: &Outgoing<'_>,
    timeout: Duration,
) -> Result<Reply, SendError> {
    match pingora_timeout::timeout(timeout, upstream::send(&context.connections, policy, way, outgoing)).await {
        Ok(answered) => answered,
        Err(_) => {
            let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            Err(SendError::Timeout { ms, sent: way.sent.load(Ordering::Relaxed) })
        }
    }
}

/// How long an answer of `target` may be silent.
pub(crate) fn idle(context: &Context, target: &ResolvedTarget) -> Duration {
    target.patience.idle_timeout_ms.map_or(context.limits.idle_timeout, |ms| Duration::from_millis(ms.into()))
}

/// How long until something of an answer of `target` must be there, where the policy says.
fn first_byte(target: &ResolvedTarget) -> Option<Duration> {
    target.patience.first_byte_timeout_ms.map(|ms| Duration::from_millis(ms.into()))
}

/// How long until the head of an answer of `target` must be there, where its route says `timeout` and so much time is left.
pub(crate) fn until_head(context: &Context, target: &ResolvedTarget, timeout: Option<Duration>, left: Duration) -> Duration {
    let timeout = timeout.into_iter().chain(first_byte(target)).min();
    timeout.unwrap_or(context.limits.attempt_timeout).min(left)
}

/// How long is waited for what an answer begins with, whose head is there.
#[derive(Clone, Copy)]
pub(super) struct FirstPatience {
    /// How long the head took.
    took: Duration,
    /// Until the first piece of a stream.
    piece: Duration,
    /// Between two pieces of a whole answer.
    idle: Duration,
    limit: Option<Instant>,
}

impl FirstPatience {
    /// For an answer of `target` whose head took so long, in an exchange that has to be over at `limit`.
    pub(super) fn of(context: &Context, target: &ResolvedTarget, took: Duration, limit: Option<Instant>) -> Self {
        let idle = idle(context, target);
        let rest = limit.map_or(Duration::MAX, |limit| limit.saturating_duration_since(clock::instant()));
        let piece = first_byte(target).map_or(idle, |limit| limit.saturating_sub(took)).min(rest);
        Self { took, piece, idle, limit }
    }
}

/// Why an answer whose head promised one does not begin.
pub(super) enum Unheard {
    /// Nothing came of it.
    Silent(SendError),
    /// It broke off.
    Broken(Failure),
}

/// What an answer begins with: the first piece where a stream was asked for and comes, or all of it.
pub(super) async fn first(reply: &mut Reply, streamed: bool, patience: FirstPatience, name: &Arc<str>) -> Result<First, Unheard> {
    let FirstPatience { took, piece, idle, limit } = patience;
    if !(streamed && reply.streams()) {
        return whole_body(reply, (idle, limit), Arc::clone(name)).await.map(First::Whole).map_err(Unheard::Broken);
    }
    match pingora_timeout::timeout(piece, reply.body.next()).await {
        Ok(Ok(Some(piece))) => Ok(First::Piece(piece)),
        Ok(Ok(None) | Err(_)) => Err(Unheard::Broken(Failure::Cut { target: Arc::clone(name) })),
        Err(_) => {
            let ms = u64::try_from(piece.saturating_add(took).as_millis()).unwrap_or(u64::MAX);
            Err(Unheard::Silent(SendError::Timeout { ms, sent: true }))
        }
    }
}

/// The whole body of an answer from the target of this name, as long as neither a silence nor the exchange is over.
pub(super) async fn whole_body(reply: &mut Reply, (idle, limit): (Duration, Option<Instant>), name: Arc<str>) -> Result<Bytes, Failure> {
    match collect(reply, REPLY_LIMIT, (idle, limit)).await {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => Err(Failure::ReplyTooLarge { target: name }),
        Ok(Err(_)) => Err(Failure::Cut { target: name }),
        Err(_) => Err(Failure::Deadline),
    }
}

/// The next piece of an answer, as long as neither a silence of `idle` nor the exchange is over.
pub(crate) async fn next_within(
    body: &mut ReplyBody,
    (idle, limit): (Duration, Option<Instant>),
) -> Result<Result<Option<Bytes>, ReplyCut>, pingora_timeout::Elapsed> {
    let left = limit.map_or(idle, |limit| limit.saturating_duration_since(clock::instant()).min(idle));
    pingora_timeout::timeout(left, body.next()).await
}

/// An answer that broke off. Something was generated and will be billed, though nobody will see it.
pub(super) fn broken(failure: Failure) -> Failed {
    let class = if matches!(failure, Failure::Deadline) { RetryOn::Timeout } else { RetryOn::Connect };
    Failed::new(failure, FailureClass::Retryable(class))
}

/// The body of a refusal, if it is there soon and not too large.
pub(crate) async fn refusal_body(reply: &mut Reply) -> Option<Bytes> {
    let all_of_it = clock::instant().checked_add(REFUSAL_TIME);
    match collect(reply, REFUSAL_LIMIT, (REFUSAL_TIME, all_of_it)).await {
        Ok(Ok(Some(body))) => Some(body),
        _ => None,
    }
}

/// A provider's refusal, read as far as it is worth.
pub(super) struct Refused {
    reply: Reply,
    class: FailureClass,
    body: Option<Bytes>,
}

impl Refused {
    pub(super) async fn read(mut reply: Reply) -> Self {
        let body = refusal_body(&mut reply).await;
        let class = match reply.status {
            429 => FailureClass::Retryable(RetryOn::TooManyRequests),
            500.. => FailureClass::Retryable(RetryOn::ServerError),
            _ => FailureClass::Final,
        };
        Self { reply, class, body }
    }

    /// Whether it says anything about the target's health. What a caller's own account has used up says nothing about ours.
    pub(super) fn speaks_of_health(&self, outgoing: &Outgoing<'_>) -> bool {
        let others_account = self.reply.status == 429 && outgoing.caller_key.is_some();
        self.class != FailureClass::Final && !others_account
    }

    /// The failure it is; a connection whose refusal was read whole is used again.
    pub(super) async fn by(self, target: Arc<str>) -> Failed {
        let Self { reply, class, body } = self;
        let Reply { status, spoken, content_type, passed, body: connection, .. } = reply;
        if body.is_some() {
            connection.finish().await;
        }
        let retry_after = back_off::retry_after(&passed, clock::now());
        let reply = body.filter(|_| status < 500).map(|body| Box::new(RefusedReply { spoken, content_type, passed, body }));
        Failed { failure: Failure::UpstreamStatus { target, status, reply }, class, retry_after }
    }
}

/// The failure of an attempt that has no head, noted in the log and in the target's health.
pub(super) fn unanswered(target: Arc<str>, error: SendError, health: &OrgHealth) -> Failed {
    let class = error.class();
    tracing::warn!(target.name = %target, attempt.outcome = error.outcome(), error = %chain(&error), "an attempt failed");
    // That a connection was let go while nobody used it says nothing about the target.
    if class != FailureClass::NotAdmitted && !matches!(error, SendError::Closed(_)) {
        health.failed(&target);
    }
    Failed::new(Failure::Upstream { target, error }, class)
}

/// The whole body; `None` when it is larger than `limit`.
async fn collect(
    reply: &mut Reply,
    limit: usize,
    patience: (Duration, Option<Instant>),
) -> Result<Result<Option<Bytes>, ReplyCut>, pingora_timeout::Elapsed> {
    let mut first: Option<Bytes> = None;
    let mut body = BytesMut::new();
    loop {
        let piece = match next_within(&mut reply.body, patience).await? {
            Ok(Some(piece)) => piece,
            // What comes in one piece is never copied.
            Ok(None) => return Ok(Ok(Some(first.unwrap_or_else(|| body.freeze())))),
            Err(cut) => return Ok(Err(cut)),
        };
        if body.len().saturating_add(first.as_ref().map_or(0, Bytes::len)).saturating_add(piece.len()) > limit {
            return Ok(Ok(None));
        }
        match first.take() {
            None if body.is_empty() => first = Some(piece),
            before => {
                body.extend_from_slice(before.as_deref().unwrap_or_default());
                body.extend_from_slice(&piece);
            }
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
