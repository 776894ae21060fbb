//! Answers of callers who have left, heard to their end where the policy wants to know what they consumed.
//!
//! Promises: bounded in number and in time; where either bound is reached, the provider's work is ended as it is without this.

use std::time::{Duration, Instant};

use llm::stream::meter::{StreamMeter, UsageEvents};

use super::settle_whole;
use crate::exchange::Failure;
use crate::exchange::attempts::{Answer, Answered, First, Flight, next_within};
use crate::metering::{AttemptEnd, consumption};
use crate::respond::head::{CallerGone, Sent};
use crate::upstream::{Reply, ReplyBody};

/// What came of a walk that went on without its caller.
pub(crate) async fn drain(mut flight: Box<Flight<'_, '_>>, answered: Result<Answered<'_>, Failure>) -> Sent {
    match answered {
        Ok(Answered::Passing(Answer { reply, first: First::Whole(answer) })) => {
            settle_whole(&mut flight, "drained", (reply.status, answer.consumed));
            reply.body.finish().await;
        }
        Ok(Answered::Passing(Answer { reply, first: First::Piece(piece) })) => {
            let Reply { status, spoken, mut body, .. } = reply;
            let mut meter = StreamMeter::new(spoken, UsageEvents::Withhold);
            meter.push(piece, &mut Vec::new());
            let limit = flight.booking.limit();
            let complete = hear_out(&mut body, &mut meter, flight.idle(), limit).await;
            let heard = meter.finish();
            if complete {
                flight.health.ended(&flight.last, heard.is_whole());
            }
            let consumed = Some(consumption(flight.context, &heard.verdict(flight.estimate())));
            let (outcome, took) = (if complete { "drained" } else { "cancelled" }, flight.took());
            flight.end(AttemptEnd { outcome, status, took, consumed });
            if complete {
                body.finish().await;
            }
        }
        // All is settled already.
        Ok(Answered::Decided(_)) | Err(_) => {}
    }
    let Flight { booking, trace, .. } = *flight;
    booking.close(499, Some("client_closed_request"), &trace);
    Err(CallerGone)
}

/// Hears a stream to its end for the sake of its usage. Says whether the end came.
pub(super) async fn hear_out(body: &mut ReplyBody, meter: &mut StreamMeter, idle: Duration, limit: Option<Instant>) -> bool {
    let mut unsaid = Vec::new();
    loop {
        match next_within(body, (idle, limit)).await {
            Ok(Ok(Some(piece))) => {
                meter.push(piece, &mut unsaid);
                unsaid.clear();
            }
            Ok(Ok(None)) => return true,
            Ok(Err(_)) | Err(_) => return false,
        }
    }
}
