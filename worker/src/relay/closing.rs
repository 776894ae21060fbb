//! What a caller asked to know beside its stream: the final cost and the decision trace, in one event of ours before the usage report and the
//! terminator. Clients take the usage from the last event that could have any, so ours is not the last.

use bytes::{Bytes, BytesMut};
use llm::dialect::Dialect;
use llm::request::Head;
use llm::stream::closing_at;
use policy::decision::Trace;
use policy::money::NanoUsd;

/// A stream of the request that is named so, or the last of one, with what its caller asked to know in it.
pub(super) fn tell(said: Bytes, head: &Head<'_>, named: (&str, u64), cost: NanoUsd, trace: &Trace) -> Bytes {
    if wanted(head) { before_closing(&said, &event(head, named, cost, trace)) } else { said }
}

/// Whether there is anything to say. The other dialects have no place for an event of ours, or clients that take none.
pub(super) fn wanted(head: &Head<'_>) -> bool {
    head.dialect == Dialect::OpenAiChat && (head.include_usage || head.extensions.trace)
}

/// The event, in the stream of the request that is named so.
fn event(head: &Head<'_>, (request_id, created): (&str, u64), cost: NanoUsd, trace: &Trace) -> Bytes {
    let mut event = format!(
        "data: {{\"id\":\"chatcmpl-{request_id}\",\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":{},\"choices\":[],\"mlx:cost_usd\":\"{cost}\"",
        serde_json::Value::from(head.model.as_ref()),
    );
    if head.extensions.trace {
        event.push_str(",\"mlx:trace\":");
        event.push_str(trace.to_json().get());
    }
    event.push_str("}\n\n");
    Bytes::from(event)
}

/// Puts `event` before the closing of the stream, where that is in sight, else behind everything.
fn before_closing(bytes: &Bytes, event: &Bytes) -> Bytes {
    let at = closing_at(bytes);
    join(&[bytes.slice(..at), event.clone(), bytes.slice(at..)])
}

/// All of them in one piece.
pub(super) fn join(pieces: &[Bytes]) -> Bytes {
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        joined.extend_from_slice(piece);
    }
    joined.freeze()
}
