//! The request as it goes to a provider: one buffer with head and body, the body spliced out of the caller's.

use bytes::{Bytes, BytesMut};
use llm::dialect::openai_chat::{Adaptation, Adapted, ChatHead, OutputField, OutputLimit, Rewrite, adapt};
use policy::catalogue::{OutputMember, Quirks, StreamUsage};
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

/// A request as it is sent.
pub(crate) struct Wire {
    /// Head and body.
    pub request: Bytes,
    /// Members of the body that were left out because the provider refuses them.
    pub dropped: Vec<&'static str>,
}

/// The body of one attempt: the caller's with edits to be made, or whole where the provider needs more than edits.
enum Body {
    Edited(llm::splice::Edits<'static>),
    Adapted(Bytes),
}

impl Outgoing<'_> {
    /// Head and body for an OpenAI-shaped provider; `None` when the key can't be put into a header.
    pub(crate) fn to_wire(&self, site: &Site<'_>, key: Option<&SecretString>, way: &Way<'_, '_>, quirks: &Quirks) -> Option<Wire> {
        let (body, dropped) = self.body_for(way, quirks);
        let length = match &body {
            Body::Edited(edits) => edits.edited_length(),
            Body::Adapted(body) => body.len(),
        };
        let mut wire = self.write_head(site, key, way, length)?;
        match &body {
            Body::Edited(edits) => edits.write_to(self.body, &mut wire),
            Body::Adapted(body) => wire.extend_from_slice(body),
        }
        Some(Wire { request: wire.freeze(), dropped })
    }

    /// Most providers get the caller's bytes with a few replaced, in one copy; those that refuse members pay for a second one.
    fn body_for(&self, way: &Way<'_, '_>, quirks: &Quirks) -> (Body, Vec<&'static str>) {
        let field = match quirks.output_limit {
            OutputMember::MaxCompletionTokens => OutputField::MaxCompletionTokens,
            OutputMember::MaxTokens | OutputMember::Either => OutputField::MaxTokens,
        };
        let rewrite = Rewrite {
            model: Some(&way.admission.target().model),
            force_usage: quirks.stream_usage == StreamUsage::OnRequest,
            output_limit: way.admission.output_limit().map(|tokens| OutputLimit { tokens, field }),
        };
        let to = Adaptation { max_tokens_only: quirks.output_limit == OutputMember::MaxTokens, refuses: quirks.refuses };
        if to == Adaptation::default() {
            return (Body::Edited(self.chat.layout.edits(self.body, &rewrite)), Vec::new());
        }
        let body = self.chat.layout.upstream_body(self.body, &rewrite);
        match adapt(&body, &to) {
            Ok(Adapted { body, dropped }) => (Body::Adapted(body), dropped),
            // It was read before, so this can't be; the provider has the last word.
            Err(_) => (Body::Adapted(body), Vec::new()),
        }
    }

    fn write_head(&self, site: &Site<'_>, key: Option<&SecretString>, way: &Way<'_, '_>, length: usize) -> Option<BytesMut> {
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
        if let Some(trace) = &way.trace {
            wire.extend_from_slice(b"\r\ntraceparent: ");
            wire.extend_from_slice(trace.header().as_bytes());
        }
        wire.extend_from_slice(b"\r\nContent-Length: ");
        wire.extend_from_slice(length.to_string().as_bytes());
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(self.forwarded);
        wire.extend_from_slice(b"\r\n");
        Some(wire)
    }
}
