//! The request as it goes to a provider: one buffer with head and body. The body is spliced out of the caller's where the provider speaks
//! the caller's dialect, and said again in the provider's where it does not.

use std::sync::atomic::AtomicBool;

use bytes::{BufMut as _, Bytes, BytesMut};
use llm::convert::embeddings::{Awaited, Wanted};
use llm::convert::{self, Ask, Dropped, Feature, Stamp, embeddings, token_count};
use llm::dialect::Dialect;
use llm::dialect::anthropic_messages::{Hosting, host};
use llm::dialect::openai_chat::{Adaptation, adapt, mentions_developer};
use llm::request::{Head, OutputField, OutputLimit, Rewrite};
use llm::splice::Edits;
use llm::stream::Framing;
use llm::usage::Usage;
use policy::catalogue::{OutputMember, Quirks, StreamUsage};
use secrecy::SecretString;

use super::SendError;
use super::bedrock;
use super::reach::Line;
use super::vendor::{Call, Vendor};
use super::vertex;
use crate::enforce::{Admission, Prompt};
use crate::ingress::headers::Forwarded;
use crate::telemetry::trace_context::TraceContext;

/// What OpenAI calls the length of vectors.
const DIMENSIONS: &str = "dimensions";

/// What of a request is the same for every attempt.
pub(crate) struct Outgoing<'r> {
    /// The caller's body.
    pub body: &'r Bytes,
    /// What was read in it.
    pub head: &'r Head<'r>,
    /// Header lines of the caller that go along.
    pub forwarded: &'r Forwarded,
    /// The caller's own upstream key for this one call.
    pub caller_key: Option<&'r SecretString>,
    /// How the caller wants the events of a stream.
    pub framing: Framing,
    /// Its tokens are counted, and nothing else is done.
    pub counts: bool,
    /// The project refuses to leave out what a provider can't take.
    pub strict: bool,
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
    /// Becomes true before anything of it is sent, and while a connection is made.
    pub sent: &'a AtomicBool,
}

impl Way<'_, '_> {
    /// Writes the line of a head that says where in the caller's trace this is, where it has one.
    pub(super) fn write_trace(&self, wire: &mut BytesMut) {
        if let Some(trace) = self.trace {
            wire.put_slice(b"\r\ntraceparent: ");
            wire.put_slice(trace.header().as_bytes());
        }
    }
}

/// How the answer has to be said again for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayBack {
    /// It passes through.
    Same,
    /// From the provider's dialect.
    Converted(Dialect),
    /// Embeddings, as they are awaited.
    Embeddings(Dialect, Awaited),
    /// A count of tokens.
    Counted(Dialect),
}

impl WayBack {
    /// What was consumed by the word of the answer's head.
    pub(crate) fn told(self) -> Option<Usage> {
        let Self::Embeddings(_, awaited) = self else { return None };
        awaited.input_tokens.map(Usage::of_input)
    }
}

/// A body in the provider's dialect.
pub(super) struct Prepared<'r> {
    body: Body<'r>,
    pub(super) spoken: Dialect,
    pub(super) back: WayBack,
    pub(super) dropped: Dropped,
    call: Call,
}

enum Body<'r> {
    Edited(&'r Bytes, Edits<'static>),
    Written(Bytes),
}

impl<'r> Outgoing<'r> {
    /// Says the request as a provider of `vendor` takes it.
    pub(super) fn prepare(&self, vendor: &Vendor, admission: &Admission<'_>) -> Result<Prepared<'r>, SendError> {
        let target = admission.target();
        let unusable = || SendError::Unusable { provider: target.provider_name.to_string(), problem: "it makes no embeddings" };
        if self.counts {
            return self.prepare_count(vendor, &target.model);
        }
        let (head, model) = (self.head, &*target.model);
        let spoken = vendor.speaks(head.dialect, model, head.embeds).ok_or_else(unusable)?;
        let output_limit = admission.output_limit();
        let dimensions = target.dimensions.map(|said| said.number);
        let quirks = vendor.quirks().filter(|_| spoken == Dialect::OpenAiChat);
        let (body, back, mut dropped, call) = if spoken == head.dialect {
            let field = match quirks.map(|quirks| quirks.output_limit) {
                Some(OutputMember::MaxCompletionTokens) => OutputField::MaxCompletionTokens,
                Some(OutputMember::MaxTokens | OutputMember::Either) | None => OutputField::MaxTokens,
            };
            let force_usage = quirks.is_none_or(|quirks| quirks.stream_usage == StreamUsage::OnRequest);
            let output_limit = output_limit.map(|tokens| OutputLimit { tokens, field });
            let edits = head.layout.edits(self.body, &Rewrite { model: Some(model), force_usage, output_limit, dimensions });
            (Body::Edited(self.body, edits), WayBack::Same, Dropped::of(head.dialect), self.call())
        } else if head.embeds {
            let converted = embeddings::request(head.dialect, self.body, spoken, Wanted { model, dimensions }).ok_or_else(unusable)?;
            let converted = converted.map_err(|error| SendError::Inexpressible(error.into()))?;
            let awaited = Awaited { shape: converted.shape, input_tokens: None };
            (Body::Written(converted.body.into()), WayBack::Embeddings(spoken, awaited), converted.dropped, Call::Embeddings)
        } else {
            // Anthropic's answers need a limit; the model's own is none that anybody would notice.
            let limit = output_limit.or(target.max_output_tokens.filter(|_| head.output_limit.is_none()));
            let ask = Ask { model, output_limit: limit, stream: Some(head.stream) };
            let converted = convert::request(head.dialect, self.body, spoken, &ask).map_err(SendError::Inexpressible)?;
            (Body::Written(converted.body.into()), WayBack::Converted(spoken), converted.dropped, self.call())
        };
        let body = match (quirks, vendor.quirks()) {
            (Some(quirks), _) => body.adapted(&of_chat(&quirks, self.body), &mut |member| dropped.note_chat_member(member)),
            // The one member that may have to go has another name in the other dialect.
            (None, Some(quirks)) if head.embeds => body.adapted(&of_embeddings(&quirks), &mut |_| dropped.note(Feature::Dimensions)),
            _ => body,
        };
        let body = match (vendor, spoken) {
            (Vendor::Bedrock, Dialect::AnthropicMessages) => {
                let betas = bedrock::betas(self.forwarded.betas(), &mut dropped);
                body.hosted(&Hosting { version: bedrock::ANTHROPIC_VERSION, elsewhere: &["model", "stream"], betas: &betas })
            }
            (Vendor::Vertex, Dialect::AnthropicMessages) => {
                body.hosted(&Hosting { version: vertex::ANTHROPIC_VERSION, elsewhere: &["model"], betas: &[] })
            }
            _ => body,
        };
        if self.strict && !dropped.is_empty() {
            return Err(SendError::Strict { dropped: dropped.header() });
        }
        Ok(Prepared { body, spoken, back, dropped, call })
    }

    /// Says the request as a provider of `vendor` counts it.
    fn prepare_count(&self, vendor: &Vendor, model: &str) -> Result<Prepared<'r>, SendError> {
        let caller = self.head.dialect;
        let spoken = vendor.speaks(caller, model, false).unwrap_or(caller);
        let (body, back, dropped) = if spoken == caller {
            let rewrite = Rewrite { model: Some(model), ..Rewrite::default() };
            (self.head.layout.upstream_body(self.body, &rewrite), WayBack::Same, Dropped::of(caller))
        } else {
            let (body, dropped) = token_count::request(caller, self.body, spoken, model).map_err(SendError::Inexpressible)?;
            (Bytes::from(body), WayBack::Counted(spoken), dropped)
        };
        let body = if spoken == Dialect::Gemini { token_count::wrapped_for_gemini(body, model) } else { body };
        Ok(Prepared { body: Body::Written(body), spoken, back, dropped, call: Call::Count })
    }

    /// What its input can be counted from; nothing where that is all that is asked for.
    pub(crate) fn prompt(&self) -> Option<Prompt<'r>> {
        (!self.counts).then_some(Prompt { body: self.body, head: self.head })
    }

    /// How the caller shall see an answer that is said again.
    pub(crate) fn stamp<'s>(&'s self, id: &'s str) -> Stamp<'s> {
        Stamp { id, created: self.created, model: &self.head.model }
    }

    /// Id and time of the request.
    pub(crate) fn named(&self) -> (&'r str, u64) {
        (self.request_id, self.created)
    }

    fn call(&self) -> Call {
        match (self.head.embeds, self.head.stream) {
            (true, _) if self.head.layout.is_batch() => Call::Embeddings,
            (true, _) => Call::Embedding,
            (false, true) => Call::Streamed,
            (false, false) => Call::Whole,
        }
    }

    /// Head and body; `None` when the key can't be put into a header.
    pub(super) fn to_wire(&self, prepared: &Prepared<'_>, line: &Line, way: &Way<'_, '_>, token: Option<&SecretString>) -> Option<Bytes> {
        let Line { vendor, site, .. } = line;
        let forwarded = self.forwarded.lines_for(vendor.takes_headers_of(prepared.spoken));
        let length = prepared.body.len();
        let mut wire = BytesMut::with_capacity(length.saturating_add(forwarded.len()).saturating_add(768));
        wire.put_slice(b"POST ");
        let path = wire.len();
        wire.put_slice(site.path.as_bytes());
        vendor.write_path(prepared.spoken, &way.admission.target().model, prepared.call, &mut wire);
        let path = path..wire.len();
        wire.put_slice(b" HTTP/1.1\r\nHost: ");
        wire.put_slice(site.authority.as_bytes());
        wire.put_slice(b"\r\nContent-Type: application/json\r\nAccept: ");
        wire.put_slice(if self.head.stream { vendor.event_stream() } else { "application/json" }.as_bytes());
        wire.put_slice(b"\r\nAccept-Encoding: identity");
        let shown = line.write_credential((self.caller_key, token), &mut wire, |signer, wire| {
            let url = wire.get(path).and_then(|path| site.url_of(path));
            url.is_some_and(|url| signer.write(&url, &prepared.body.whole(), wire))
        });
        if !shown {
            return None;
        }
        vendor.write_version(&forwarded, &mut wire);
        way.write_trace(&mut wire);
        wire.put_slice(b"\r\nContent-Length: ");
        wire.put_slice(length.to_string().as_bytes());
        wire.put_slice(b"\r\n");
        wire.put_slice(&forwarded);
        wire.put_slice(b"\r\n");
        prepared.body.write_to(&mut wire);
        Some(wire.freeze())
    }
}

/// How the chat of a server differs from OpenAI's, as far as the caller's body can show it.
fn of_chat(quirks: &Quirks, callers: &[u8]) -> Adaptation<'static> {
    Adaptation {
        max_tokens_only: quirks.output_limit == OutputMember::MaxTokens,
        refuses: quirks.refuses,
        renames: None,
        no_developer: !quirks.developer && mentions_developer(callers),
        no_schemas: !quirks.schemas,
    }
}

/// How its embeddings do.
fn of_embeddings(quirks: &Quirks) -> Adaptation<'static> {
    match quirks.dimensions {
        None => Adaptation { refuses: &[DIMENSIONS], ..Adaptation::default() },
        Some(own) => Adaptation { renames: (own != DIMENSIONS).then_some((DIMENSIONS, own)), ..Adaptation::default() },
    }
}

impl Body<'_> {
    /// Most providers get the caller's bytes with a few replaced, in one copy; those that refuse members pay for a second one.
    fn adapted(self, to: &Adaptation<'static>, left_out: &mut dyn FnMut(&'static str)) -> Self {
        if *to == Adaptation::default() {
            return self;
        }
        let body = self.whole();
        // It was read or written here before, so it can be read; were it not so, the provider has the last word.
        let Ok(adapted) = adapt(&body, to) else { return Self::Written(body) };
        adapted.dropped.into_iter().for_each(left_out);
        Self::Written(adapted.body)
    }

    /// As the clouds take it that serve Anthropic's models.
    fn hosted(self, hosting: &Hosting<'_>) -> Self {
        let body = self.whole();
        // As above: were it not to be read, the provider has the last word.
        Self::Written(host(&body, hosting).unwrap_or(body))
    }

    /// All of it in one piece.
    fn whole(&self) -> Bytes {
        match self {
            Self::Edited(body, edits) => edits.apply(body),
            Self::Written(body) => body.clone(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Edited(_, edits) => edits.edited_length(),
            Self::Written(body) => body.len(),
        }
    }

    fn write_to(&self, wire: &mut BytesMut) {
        match self {
            Self::Edited(body, edits) => edits.write_to(body, wire),
            Self::Written(body) => wire.put_slice(body),
        }
    }
}
