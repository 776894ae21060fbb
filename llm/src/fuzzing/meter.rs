//! Metering: whatever passes goes on byte for byte, but for the reports that are withheld, and the cuts change nothing.

use bytes::Bytes;

use super::{PIECES, shown, sse::framed};
use crate::{
    dialect::Dialect,
    stream::{StreamMeter, StreamOutcome, UsageEvents, meter::EVENT_LIMIT, sse::Event},
    tokens::TokenEstimate,
    usage::UsageSource,
};

const PROMPT: TokenEstimate = TokenEstimate { likely: 500, bound: 5_000 };
/// Bytes of an event that are held at most, for a meter that is to let go early.
const SMALL: usize = 16;

pub(super) fn holds(dialect: Dialect, stream: &[u8]) {
    for usage_events in [UsageEvents::Forward, UsageEvents::ForwardWhole, UsageEvents::Withhold] {
        let (forwarded, outcome) = metered(dialect, stream, usage_events, stream.len(), EVENT_LIMIT);
        let expected = if usage_events == UsageEvents::Withhold { without_reports(dialect, stream) } else { stream.to_vec() };
        assert_eq!(shown(&forwarded), shown(&expected), "{usage_events:?}");
        assert_eq!(forwarded, expected, "{usage_events:?}");
        is_settled(&outcome);
        for piece in PIECES {
            let (cut, found) = metered(dialect, stream, usage_events, piece, EVENT_LIMIT);
            assert_eq!(cut, expected, "{usage_events:?} in pieces of {piece}");
            assert_eq!(found, outcome, "{usage_events:?} in pieces of {piece}");
        }
        let (cut, found) = metered(dialect, stream, usage_events, PIECES[0], SMALL);
        assert!(usage_events == UsageEvents::Withhold || cut == stream, "a long event is passed on, {usage_events:?}");
        is_settled(&found);
    }
}

/// What was forwarded, with what was held at the end, and what it came to.
pub(super) fn metered(dialect: Dialect, stream: &[u8], usage_events: UsageEvents, piece: usize, limit: usize) -> (Vec<u8>, StreamOutcome) {
    let mut meter = StreamMeter::with_limit(dialect, usage_events, limit);
    let mut forward = Vec::new();
    let mut rest = Bytes::copy_from_slice(stream);
    while !rest.is_empty() {
        meter.push(rest.split_to(piece.clamp(1, rest.len())), &mut forward);
    }
    let outcome = meter.finish();
    forward.push(outcome.held.clone());
    (forward.concat(), outcome)
}

/// The stream without the events that are a report of usage and nothing else.
fn without_reports(dialect: Dialect, stream: &[u8]) -> Vec<u8> {
    let is_report = |event: &Vec<u8>| Event::read(event).data.is_some_and(|data| dialect.read_event(&data).usage_only);
    framed(stream, stream.len()).into_iter().filter(|event| !is_report(event)).collect::<Vec<_>>().concat()
}

/// Whatever became of a stream has one usage, never below what the provider had said by then.
fn is_settled(outcome: &StreamOutcome) {
    let verdict = outcome.verdict(PROMPT);
    assert!(verdict.usage.input_tokens.is_some(), "{outcome:?}");
    assert!(verdict.usage.is_complete(), "{outcome:?}");
    assert!(verdict.source == UsageSource::PartialEstimate || outcome.reported == Some(verdict.usage), "{outcome:?}");
    let said = outcome.reported.and_then(|usage| usage.output_tokens);
    assert!(verdict.usage.output_tokens >= said, "{outcome:?}");
}
