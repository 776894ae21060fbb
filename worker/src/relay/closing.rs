//! What a caller asked to know beside its stream: the final cost and the decision trace, in one event of ours before the terminator.

use bytes::{Bytes, BytesMut};
use llm::dialect::Dialect;
use llm::request::Head;
use memchr::memmem;
use policy::decision::Trace;
use policy::money::NanoUsd;

/// Whether there is anything to say. The other dialects have no place for an event of ours, or clients that take none.
pub(super) fn wanted(head: &Head<'_>) -> bool {
    head.dialect == Dialect::OpenAiChat && (head.include_usage || head.extensions.trace)
}

/// The event, in the stream of the request that is named so.
pub(super) fn event(head: &Head<'_>, (request_id, created): (&str, u64), cost: NanoUsd, trace: &Trace) -> Bytes {
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

/// Puts `event` before the terminator, where that is in sight, else behind everything.
pub(super) fn before_done(bytes: &Bytes, event: &Bytes) -> Bytes {
    let at = memmem::rfind(bytes, b"data: [DONE]").or_else(|| memmem::rfind(bytes, b"data:[DONE]")).unwrap_or(bytes.len());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_event_goes_before_the_terminator() {
        let bytes = Bytes::from_static(b"data: {}\n\ndata: [DONE]\n\n");
        assert_eq!(before_done(&bytes, &Bytes::from_static(b"data: 1\n\n")), "data: {}\n\ndata: 1\n\ndata: [DONE]\n\n");
        let split = Bytes::from_static(b"NE]\n\n");
        assert_eq!(before_done(&split, &Bytes::from_static(b"data: 1\n\n")), "NE]\n\ndata: 1\n\n");
    }
}
