//! The request as it goes to a provider: one buffer with head and body, the body spliced out of the caller's.

use bytes::{Bytes, BytesMut};
use llm::dialect::openai_chat::{ChatHead, OutputField, OutputLimit, Rewrite};
use secrecy::{ExposeSecret as _, SecretString};

use super::site::Site;
use crate::enforce::Admission;
use crate::telemetry::trace_context::TraceContext;

/// What of a request is the same for every attempt.
pub(crate) struct Outgoing<'r> {
    /// The caller's body.
    pub body: &'r Bytes,
    /// What was read in it.
    pub chat: &'r ChatHead<'r>,
    /// Header lines of the caller that go along.
    pub forwarded: &'r [u8],
    /// The caller's own upstream key for this one call.
    pub caller_key: Option<&'r SecretString>,
    /// Id and time of the request, for replies of our own.
    pub request_id: &'r str,
    /// Seconds since 1970.
    pub created: u64,
}

/// What of a request is this attempt's alone.
pub(crate) struct Way<'a, 'p> {
    /// The money that is held for it.
    pub admission: &'a Admission<'p>,
    /// Where it is in the caller's trace.
    pub trace: Option<TraceContext>,
}

impl Outgoing<'_> {
    /// Head and body for an OpenAI-shaped provider; `None` when the key can't be put into a header.
    pub(crate) fn to_wire(&self, site: &Site<'_>, key: Option<&SecretString>, way: &Way<'_, '_>, openai: bool) -> Option<Bytes> {
        let Way { admission, trace } = way;
        let field = if openai { OutputField::MaxCompletionTokens } else { OutputField::MaxTokens };
        let rewrite = Rewrite {
            model: Some(&admission.target().model),
            force_usage: true,
            output_limit: admission.output_limit().map(|tokens| OutputLimit { tokens, field }),
        };
        let edits = self.chat.layout.edits(self.body, &rewrite);
        let length = edits.edited_length();
        let mut wire = BytesMut::with_capacity(length.saturating_add(self.forwarded.len()).saturating_add(768));
        wire.extend_from_slice(b"POST ");
        wire.extend_from_slice(site.path.as_bytes());
        wire.extend_from_slice(b"/chat/completions HTTP/1.1\r\nHost: ");
        wire.extend_from_slice(site.authority.as_bytes());
        wire.extend_from_slice(b"\r\nContent-Type: application/json\r\nAccept: ");
        wire.extend_from_slice(if self.chat.stream { b"text/event-stream" } else { b"application/json" });
        if let Some(key) = key {
            let key = key.expose_secret();
            if key.bytes().any(|byte| !(b'!'..=b'~').contains(&byte)) {
                return None;
            }
            wire.extend_from_slice(b"\r\nAuthorization: Bearer ");
            wire.extend_from_slice(key.as_bytes());
        }
        if let Some(trace) = trace {
            wire.extend_from_slice(b"\r\ntraceparent: ");
            wire.extend_from_slice(trace.header().as_bytes());
        }
        wire.extend_from_slice(b"\r\nContent-Length: ");
        wire.extend_from_slice(length.to_string().as_bytes());
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(self.forwarded);
        wire.extend_from_slice(b"\r\n");
        edits.write_to(self.body, &mut wire);
        Some(wire.freeze())
    }
}
