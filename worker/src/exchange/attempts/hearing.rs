//! What a provider's reply to one attempt comes to: the same on a plain route and in a council.
//!
//! Leaves out: whether it is an answer (`judgement`), and the money and the books, which whoever made the attempt settles.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use llm::dialect::Dialect;
use llm::error::{ErrorCode, ErrorReply};
use llm::stream::StreamError;
use memchr::memchr2;
use policy::decision::ResolvedTarget;
use policy::source::RetryOn;
use smallvec::SmallVec;

use super::judgement::{Judge, Objection, Opened, WholeAnswer, promises};
use super::{Failed, First, back_off};
use crate::clock;
use crate::exchange::{Context, Failure, RefusedReply};
use crate::health::OrgHealth;
use crate::metering::Consumption;
use crate::policy_feed::OrgPolicy;
use crate::route::FailureClass;
use crate::upstream::{self, Outgoing, Reply, ReplyBody, ReplyCut, SendError, Way};

/// Bytes of a refusal that are read and passed on.
const REFUSAL_LIMIT: usize = 1 << 20;
/// Bytes of a buffered answer at most.
pub(crate) const REPLY_LIMIT: usize = 64 << 20;
/// Bytes of a stream that are looked at for its first event; one that has none by then is passed on as it is.
const OPENING_LIMIT: usize = 64 << 10;
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
    /// It is an error, which the provider could have answered with.
    Error(StreamError),
    /// It is nothing that can be read; what it is taken to have consumed.
    Unreadable(Consumption),
}

impl From<Objection> for Unheard {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Error(error) => Self::Error(error),
            Objection::Unreadable(consumed) => Self::Unreadable(consumed),
        }
    }
}

/// What an answer begins with: a stream up to its first event where one was asked for and comes, or all of it.
pub(super) async fn first(reply: &mut Reply, streamed: bool, patience: FirstPatience, judge: &Judge<'_>) -> Result<First, Unheard> {
    if streamed && reply.streams() {
        return Box::pin(opening(reply, patience, judge)).await.map(First::Piece);
    }
    whole(reply, (patience.idle, patience.limit), judge).await.map(First::Whole)
}

/// A whole answer, as long as neither a silence nor the exchange is over.
pub(super) async fn whole(reply: &mut Reply, patience: (Duration, Option<Instant>), judge: &Judge<'_>) -> Result<WholeAnswer, Unheard> {
    if !promises(reply) {
        tracing::warn!(target.name = %judge.target, "a provider's head promises no answer");
        return Err(Unheard::Unreadable(judge.unread(reply)));
    }
    let target = || Arc::clone(judge.target);
    let body = match collect(reply, REPLY_LIMIT, patience).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => return Err(Unheard::Broken(Failure::ReplyTooLarge { target: target() })),
        Ok(Err(_)) => return Err(Unheard::Broken(Failure::Cut { target: target() })),
        Err(_) => return Err(Unheard::Broken(Failure::Deadline)),
    };
    judge.whole(reply, body).map_err(Unheard::Unreadable)
}

/// What a stream begins with, up to the end of the first event that says anything. Until that is there the caller has heard nothing, and another
/// target can be tried.
async fn opening(reply: &mut Reply, patience: FirstPatience, judge: &Judge<'_>) -> Result<Bytes, Unheard> {
    let FirstPatience { took, piece, idle, limit } = patience;
    let silent = |waited: Duration| {
        let ms = u64::try_from(waited.saturating_add(took).as_millis()).unwrap_or(u64::MAX);
        Unheard::Silent(SendError::Timeout { ms, sent: true })
    };
    let cut = || Unheard::Broken(Failure::Cut { target: Arc::clone(judge.target) });
    let Ok(next) = pingora_timeout::timeout(piece, reply.body.next()).await else { return Err(silent(piece)) };
    let Ok(Some(mut begun)) = next else { return Err(cut()) };
    // Only where a line ends can an event end.
    let (mut worth_a_look, mut ended) = (true, false);
    loop {
        if worth_a_look && (judge.opening(reply, &begun, ended)? == Opened::Begun || begun.len() > OPENING_LIMIT) {
            return Ok(begun);
        }
        if ended {
            return Err(cut());
        }
        match next_within(&mut reply.body, (idle, limit)).await {
            Ok(Ok(Some(next))) => {
                worth_a_look = memchr2(b'\n', b'\r', &next).is_some() || begun.len() > OPENING_LIMIT;
                begun = [begun, next].concat().into();
            }
            Ok(Ok(None)) => (worth_a_look, ended) = (true, true),
            Ok(Err(_)) => return Err(cut()),
            Err(_) => return Err(silent(idle)),
        }
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

/// An answer that is none. What was sent in its place may be as wrong at another time, so that it counts as the provider's failure.
pub(super) fn unreadable(target: Arc<str>) -> Failed {
    Failed::new(Failure::Unreadable { target }, FailureClass::Retryable(RetryOn::ServerError))
}

/// A provider's refusal, read as far as it is worth.
pub(super) struct Refused {
    pub status: u16,
    class: FailureClass,
    retry_after: Option<Duration>,
    reply: Option<Box<RefusedReply>>,
    /// Where it came from, if nothing more is to come.
    connection: Option<ReplyBody>,
}

impl Refused {
    pub(super) async fn read(mut reply: Reply) -> Self {
        let body = refusal_body(&mut reply).await;
        let Reply { status, spoken, content_type, passed, body: connection, .. } = reply;
        let retry_after = back_off::retry_after(&passed, clock::now());
        let connection = body.is_some().then_some(connection);
        let reply = body.filter(|_| (400..500).contains(&status)).map(|body| Box::new(RefusedReply { spoken, content_type, passed, body }));
        Self { status, class: class_of(status), retry_after, reply, connection }
    }

    /// One that came as the first event of a stream, for a caller who speaks `caller`.
    pub(super) fn in_stream(error: &StreamError, caller: Dialect) -> Self {
        let StreamError { status, kind, message } = error;
        let code = Some(ErrorCode::Name("upstream_refused"));
        let body = || caller.write_error(&ErrorReply { status: *status, message, kind, code, param: None, budget: None });
        let content_type = Some(HeaderValue::from_static("application/json"));
        let reply = || Box::new(RefusedReply { spoken: caller, content_type, passed: SmallVec::new(), body: body() });
        let reply = (*status < 500).then(reply);
        Self { status: *status, class: class_of(*status), retry_after: None, reply, connection: None }
    }

    /// Whether it says anything about the target's health. What a caller's own account has used up says nothing about ours.
    pub(super) fn speaks_of_health(&self, outgoing: &Outgoing<'_>) -> bool {
        let others_account = self.status == 429 && outgoing.caller_key.is_some();
        self.class != FailureClass::Final && !others_account
    }

    /// The failure it is; a connection whose refusal was read whole is used again.
    pub(super) async fn by(self, target: Arc<str>) -> Failed {
        let Self { status, class, retry_after, reply, connection } = self;
        if let Some(connection) = connection {
            connection.finish().await;
        }
        Failed { failure: Failure::UpstreamStatus { target, status, reply }, class, retry_after }
    }
}

/// What a status that is no success is to `retry_on`. Nobody asked to be sent elsewhere, so a redirection is a failure of the provider's.
fn class_of(status: u16) -> FailureClass {
    match status {
        429 => FailureClass::Retryable(RetryOn::TooManyRequests),
        ..400 | 500.. => FailureClass::Retryable(RetryOn::ServerError),
        _ => FailureClass::Final,
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
