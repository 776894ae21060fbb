//! A caller who asked for a stream, while nobody has answered yet: after a while the head goes out, and keep-alives behind it.
//!
//! Promises: before that nothing is sent, so that a refusal has its own status. Keep-alives are no content: behind them the walk along the
//! route goes on as before. What comes of it then goes into the stream that has begun, a refusal as an error event of the surface.
//!
//! Leaves out: what only the answer knows, such as the model that gave it, is not in a head that is sent before it.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use llm::dialect::Dialect;
use llm::error::{ErrorCode, ErrorReply};
use llm::stream::{Elements, Framing};
use pingora_core::protocols::http::ServerSession;
use policy::decision::{Permit, TraceStep};
use policy::facts::RequestFacts;

use super::{budget, caller_gone, closing, decided, json, keep, record, refusal_words, settle_whole, stream, write};
use crate::cache::Given;
use crate::clock;
use crate::exchange::attempts::{Answer, Answered, First, Flight, Whole, WholeAnswer};
use crate::exchange::call::Exchange;
use crate::exchange::{Failure, RefusedReply};
use crate::respond::Refusal;
use crate::respond::head::{CallerGone, Head, Sent};
use crate::upstream::Reply;

/// What the head can say before there is an answer.
pub(crate) struct Standby<'e> {
    pub exchange: Exchange<'e>,
    pub facts: &'e RequestFacts,
    pub permit: &'e Permit,
    pub rate: Option<(u32, u64)>,
    /// How the events stand in the caller's stream.
    pub framing: Framing,
    /// What the head says of the response cache.
    pub cache: &'static str,
}

/// What came of a walk.
pub(crate) struct Attended<T> {
    pub answered: Result<T, Failure>,
    /// The caller has the head of its stream already.
    pub begun: bool,
}

impl<T> Attended<T> {
    /// The caller went away; the walk has not ended.
    pub(crate) fn left(&self) -> bool {
        matches!(self.answered, Err(Failure::Gone))
    }
}

impl Standby<'_> {
    /// Awaits the walk, and keeps the caller's stream alive meanwhile; a caller that goes away ends it.
    pub(crate) async fn attend<T>(
        &self,
        session: &mut ServerSession,
        mut walk: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Attended<T> {
        let quiet = self.exchange.context.limits.stream_keep_alive;
        let (streams, mut begun) = (self.facts.stream, false);
        let mut pause = quiet.saturating_sub(clock::instant().saturating_duration_since(self.exchange.arrival.started));
        loop {
            tokio::select! {
                biased;
                answered = &mut walk => return Attended { answered, begun },
                () = caller_gone(session) => return Attended { answered: Err(Failure::Gone), begun },
                () = pingora_timeout::sleep(pause.max(Duration::from_millis(1))), if streams => {}
            }
            pause = quiet;
            if !begun {
                begun = true;
                if self.begin(session).await.is_err() {
                    return Attended { answered: Err(Failure::Gone), begun };
                }
            }
            if write(session, keep_alive(self.exchange.dialect)).await.is_err() {
                return Attended { answered: Err(Failure::Gone), begun };
            }
        }
    }

    async fn begin(&self, session: &mut ServerSession) -> Sent {
        let Exchange { context, caller, arrival, .. } = self.exchange;
        let mut head = Head::new(200, &arrival.request_id);
        head.cache(self.cache);
        if let Some((limit, remaining)) = self.rate {
            head.rate(limit, remaining);
        }
        budget(&mut head, &context.budgets, &caller.policy, (self.permit, None), arrival.time);
        let content_type = match self.framing {
            Framing::Events => HeaderValue::from_static("text/event-stream"),
            Framing::Array => json(),
        };
        head.send_stream(session, content_type).await
    }
}

/// What keeps a stream alive: a comment, but for clients that are told of one in another way (Anthropic's wait for pings) or that take a
/// comment for data (Gemini's).
pub(super) fn keep_alive(dialect: Dialect) -> Bytes {
    Bytes::from_static(match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => b": keep-alive\n\n",
        Dialect::AnthropicMessages => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
        Dialect::Gemini => b"\n",
    })
}

/// Passes what came of the walk into a stream that has begun.
pub(crate) async fn pass_begun<'p>(
    mut flight: Box<Flight<'_, 'p>>,
    session: &mut ServerSession,
    answered: Result<Answered<'p>, Failure>,
) -> Sent {
    match answered {
        Ok(Answered::Passing(Answer { reply, first: First::Piece(piece) })) => {
            let served = flight.current.as_ref().map(|current| (current.admission.target(), current.admission.clamped_to()));
            let Reply { status, passed, dropped, .. } = &reply;
            record(&mut flight, Given { status: *status, passed, dropped, served });
            stream::pass(flight, session, None, reply, piece).await
        }
        Ok(Answered::Passing(Answer { reply, first: First::Whole(answer) })) => {
            let served = flight.current.as_ref().map(|current| (current.admission.target(), current.admission.clamped_to()));
            let Some((target, clamped)) = served else {
                return fail(flight, session, Failure::Bug).await;
            };
            let WholeAnswer { body, said, consumed } = answer;
            settle_whole(&mut flight, "ok", (reply.status, consumed));
            let Reply { status, spoken, dropped, passed, body: connection, .. } = reply;
            connection.finish().await;
            replay(flight, session, Whole { target, status, spoken, passed, dropped, clamped, body, said, text: None }).await
        }
        Ok(Answered::Decided(whole)) => replay(flight, session, *whole).await,
        Err(failure) => fail(flight, session, failure).await,
    }
}

/// A whole answer as the rest of the stream.
async fn replay(mut flight: Box<Flight<'_, '_>>, session: &mut ServerSession, whole: Whole<'_>) -> Sent {
    record(&mut flight, decided::given(&whole));
    flight.booking.served_by(whole.target);
    let Some(mut said) = decided::said(&flight, &whole) else {
        let target = std::sync::Arc::clone(&flight.last);
        return fail(flight, session, Failure::Unreadable { target }).await;
    };
    keep(&mut flight, Some(&said), &json());
    let outgoing = flight.outgoing;
    said = closing::tell(said, outgoing.head, outgoing.named(), flight.booking.cost(), &flight.trace);
    said = decided::framed(outgoing, said);
    flight.booking.first_byte();
    end(flight, session, said, None).await
}

/// A refusal in a stream: what would have been the body, as an event, and no terminator behind it.
async fn fail(mut flight: Box<Flight<'_, '_>>, session: &mut ServerSession, failure: Failure) -> Sent {
    let caller = flight.outgoing.head.dialect;
    let refusal = Refusal::of(&failure, clock::now()).said_in(caller);
    if let Failure::UpstreamStatus { status, reply: Some(reply), .. } = &failure {
        let event = framed(&flight, refused_event(caller, *status, reply));
        return end(flight, session, event, Some("upstream_refused")).await;
    }
    flight.trace.push(TraceStep::Denied { code: refusal.code().into(), message: refusal.message().to_owned() });
    let event = framed(&flight, refusal.event(0));
    end(flight, session, event, Some(refusal.code())).await
}

/// An only event as it stands in the caller's stream.
fn framed(flight: &Flight<'_, '_>, event: Bytes) -> Bytes {
    match flight.outgoing.framing {
        Framing::Events => event,
        Framing::Array => Bytes::from(Elements::of(&event)),
    }
}

fn refused_event(caller: Dialect, status: u16, refused: &RefusedReply) -> Bytes {
    let (kind, message) = refusal_words(refused, status);
    let code = Some(ErrorCode::Name("upstream_refused"));
    caller.write_error_event(&ErrorReply { status, message: &message, kind: &kind, code, param: None, budget: None }, 0)
}

/// Sends the rest of the stream as it is said, and closes the books.
async fn end(flight: Box<Flight<'_, '_>>, session: &mut ServerSession, last: Bytes, code: Option<&str>) -> Sent {
    let sent = write(session, last).await;
    let Flight { booking, trace, .. } = *flight;
    match sent {
        Ok(()) => booking.close(200, code, &trace),
        Err(CallerGone) => booking.close(499, Some("client_closed_request"), &trace),
    }
    sent.map(|()| 200)
}
