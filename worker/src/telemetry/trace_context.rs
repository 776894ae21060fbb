//! W3C trace context: taken from the caller, passed on with a span of our own.
//!
//! Costs a parse of one header. The ids are the same whether spans are exported or not; where they are, each attempt has its own.

/// The flag of a trace that is kept.
const SAMPLED: u8 = 1;

/// A position in somebody's trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The trace.
    pub trace_id: u128,
    /// The span above ours; 0 where the trace begins here.
    pub parent: u64,
    /// Our span.
    pub span: u64,
    /// Sampled and friends, passed on as they came.
    pub flags: u8,
}

impl TraceContext {
    /// Reads `traceparent`; a wrong one is ignored, as the recommendation says.
    pub(crate) fn read(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?;
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let shaped = version.len() == 2 && trace.len() == 32 && parent.len() == 16 && flags.len() == 2;
        if !shaped || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        if ![version, trace, parent, flags].into_iter().all(lower_hex) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace_id, parent, span: new_span(), flags })
    }

    /// A trace that begins with this request.
    pub(crate) fn root() -> Self {
        Self { trace_id: rand::random::<u128>() | 1, parent: 0, span: new_span(), flags: SAMPLED }
    }

    /// A span below this one.
    pub(crate) fn child(&self) -> Self {
        Self { parent: self.span, span: new_span(), ..*self }
    }

    /// Whether the caller wants this trace to be kept.
    pub(crate) fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The header for the provider.
    pub(crate) fn header(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span, self.flags)
    }
}

/// Never 0, which means that there is none.
fn new_span() -> u64 {
    rand::random::<u64>() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_is_kept_and_the_span_is_ours() {
        let context = TraceContext::read(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("a context");
        let header = context.header();
        assert!(header.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{header}");
        assert!(header.ends_with("-01") && !header.contains("00f067aa0ba902b7"), "{header}");
    }

    #[test]
    fn a_child_is_below_our_span_in_the_same_trace() {
        let context = TraceContext::root();
        let child = context.child();
        assert_eq!((child.trace_id, child.parent, child.sampled()), (context.trace_id, context.span, true));
        assert_ne!(child.span, context.span);
    }

    #[test]
    fn a_wrong_header_is_ignored() {
        for header in [
            "",
            "00",
            "00-0-0-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(TraceContext::read(header.as_bytes()), None, "{header}");
        }
    }
}
