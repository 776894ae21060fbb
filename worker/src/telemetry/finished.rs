//! A finished exchange as spans: one of a server, and below it one of a client for each attempt.
//!
//! Names follow the semantic conventions for HTTP servers and for generative AI. The ids are those that went over the wire, so that what a
//! provider traces hangs below the attempt that reached it.
//!
//! Leaves out: everything of the request and the answer but the model's name and counts.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use policy::event::{AttemptRecord, UsageEvent};
use policy::facts::Surface;
use policy::price::TokenBuckets;
use url::Url;

use super::trace_context::TraceContext;

/// What spans need beside the event, gathered while the exchange runs.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    /// One for each record of an attempt in the event.
    pub attempts: Vec<TracedAttempt>,
}

/// What a span needs beside the record of an attempt.
#[derive(Debug)]
pub(crate) struct TracedAttempt {
    /// Id of the span, as it was sent to the provider.
    pub span: u64,
    /// From the exchange's start to the attempt's.
    pub after: Duration,
    /// Vendor word.
    pub vendor: String,
    /// Where the provider is.
    pub base_url: Option<String>,
    /// Output tokens that were asked for at most.
    pub max_tokens: Option<u64>,
    /// The model that answered, by the provider's word; absent where it named none or nothing came.
    pub answered_by: Option<String>,
    /// What it consumed.
    pub tokens: TokenBuckets,
}

/// An exchange that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What is booked.
    pub event: UsageEvent,
    /// The place of the server's span.
    pub position: TraceContext,
    /// The rest.
    pub traced: Box<Traced>,
}

impl Finished {
    /// Attempts with what is known of them.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (&AttemptRecord, &TracedAttempt)> {
        self.event.attempts.iter().zip(&self.traced.attempts)
    }

    /// The spans, unless the caller's trace is not kept.
    pub(super) fn to_spans(&self, scope: &InstrumentationScope) -> Vec<SpanData> {
        if !self.position.sampled() {
            return Vec::new();
        }
        let attempts = self.attempts().map(|(record, traced)| self.client(record, traced));
        let spans = std::iter::once(self.server()).chain(attempts);
        spans.map(|span| SpanData { instrumentation_scope: scope.clone(), ..span }).collect()
    }

    /// What was asked for, in the conventions' words or, where these have none, as rules know it.
    pub(super) fn operation(&self) -> &str {
        let passed = self.event.facts.as_ref().and_then(|facts| facts.passthrough.as_ref());
        passed.map_or("chat", |passed| &passed.operation)
    }

    fn server(&self) -> SpanData {
        let Self { event, position, traced } = self;
        let (method, route) = self.operation().split_once(' ').unwrap_or(("POST", route_of(event.surface)));
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(event.status)),
            KeyValue::new("modelux.request_id", event.request_id.to_string()),
            KeyValue::new("modelux.org", event.org_id.to_string()),
            KeyValue::new("modelux.project", event.project.name.to_string()),
            KeyValue::new("modelux.decision", if event.attempts.is_empty() && !event.is_hit() { "deny" } else { "permit" }),
            KeyValue::new("modelux.cost_usd", event.cost.to_string()),
            KeyValue::new("gen_ai.operation.name", self.operation().to_owned()),
        ];
        if !event.requested_model.is_empty() {
            attributes.push(KeyValue::new("gen_ai.request.model", event.requested_model.to_string()));
        }
        attributes.extend(event.cache.map(|outcome| KeyValue::new("modelux.cache", outcome.as_str())));
        attributes.extend(event.model.as_ref().map(|model| KeyValue::new("modelux.model", model.to_string())));
        attributes.extend(traced.attempts.last().map(|last| KeyValue::new("gen_ai.provider.name", last.vendor.clone())));
        // What a kept answer consumed was told when it was made.
        if !event.is_hit() {
            usage(&event.tokens, &mut attributes);
        }
        if let Some(code) = &event.error_code {
            attributes.push(KeyValue::new("error.type", code.to_string()));
        }
        let status = if event.status >= 500 { Status::error("") } else { Status::Unset };
        let took = Duration::from_micros(event.latency_us);
        let name = format!("{method} {route}");
        span(name, SpanKind::Server, *position, (event.time.into(), took), attributes, status)
    }

    fn client(&self, record: &AttemptRecord, traced: &TracedAttempt) -> SpanData {
        let Self { event, position, .. } = self;
        let place = TraceContext { parent: position.span, span: traced.span, ..*position };
        let mut attributes = described(self.operation(), record, traced);
        attributes.extend([
            KeyValue::new("modelux.request_id", event.request_id.to_string()),
            KeyValue::new("modelux.project", event.project.name.to_string()),
            KeyValue::new("modelux.provider", record.provider.to_string()),
            KeyValue::new("modelux.cost_usd", record.cost.to_string()),
        ]);
        if let Some(tokens) = traced.max_tokens {
            attributes.push(KeyValue::new("gen_ai.request.max_tokens", i64::try_from(tokens).unwrap_or(i64::MAX)));
        }
        if record.status != 0 {
            attributes.push(KeyValue::new("http.response.status_code", i64::from(record.status)));
        }
        attributes.extend(traced.answered_by.clone().map(|model| KeyValue::new("gen_ai.response.model", model)));
        usage(&traced.tokens, &mut attributes);
        let failure = error_type(record);
        let status = if failure.is_some() { Status::error("") } else { Status::Unset };
        attributes.extend(failure.map(|word| KeyValue::new("error.type", word)));
        let start = SystemTime::from(event.time).checked_add(traced.after).unwrap_or(event.time.into());
        let took = Duration::from_micros(record.latency_us);
        let name = format!("{} {}", self.operation(), record.model);
        span(name.trim_end().to_owned(), SpanKind::Client, place, (start, took), attributes, status)
    }
}

/// The path of a surface, without what stands in for a part of it.
fn route_of(surface: Surface) -> &'static str {
    match surface {
        Surface::OpenaiChat => "/v1/chat/completions",
        Surface::OpenaiResponses => "/v1/responses",
        Surface::OpenaiEmbeddings => "/v1/embeddings",
        Surface::AnthropicMessages => "/v1/messages",
        Surface::Gemini => "/v1beta/models/{model}",
        Surface::Passthrough => "/",
    }
}

/// What the span and the metrics of an attempt have in common: words that operators chose.
pub(super) fn described(operation: &str, record: &AttemptRecord, traced: &TracedAttempt) -> Vec<KeyValue> {
    let mut attributes =
        vec![KeyValue::new("gen_ai.operation.name", operation.to_owned()), KeyValue::new("gen_ai.provider.name", traced.vendor.clone())];
    if !record.model.is_empty() {
        attributes.push(KeyValue::new("gen_ai.request.model", record.model.to_string()));
    }
    // Host and port only: an address may hold credentials.
    if let Some(url) = traced.base_url.as_deref().and_then(|base_url| Url::parse(base_url).ok()) {
        attributes.extend(url.host_str().map(|host| KeyValue::new("server.address", host.to_owned())));
        attributes.extend(url.port_or_known_default().map(|port| KeyValue::new("server.port", i64::from(port))));
    }
    attributes
}

/// The word for how an attempt failed; none where it did not.
pub(super) fn error_type(record: &AttemptRecord) -> Option<String> {
    match (&*record.outcome, record.status) {
        ("ok", _) => None,
        ("status", status) => Some(status.to_string()),
        (outcome, _) => Some(outcome.to_owned()),
    }
}

/// All input and all output: the conventions count cached and reasoning tokens among them.
pub(super) fn totals(tokens: &TokenBuckets) -> (u64, u64) {
    (tokens.all_input(), tokens.all_output())
}

fn usage(tokens: &TokenBuckets, attributes: &mut Vec<KeyValue>) {
    let (input, output) = totals(tokens);
    if input == 0 && output == 0 {
        return;
    }
    let tokens = tokens.folded();
    let counts = [
        ("gen_ai.usage.input_tokens", input),
        ("gen_ai.usage.output_tokens", output),
        ("gen_ai.usage.cache_read.input_tokens", tokens.cached_input),
        ("gen_ai.usage.cache_creation.input_tokens", tokens.cache_write),
        ("gen_ai.usage.reasoning.output_tokens", tokens.reasoning),
    ];
    let told = counts.into_iter().enumerate().filter(|(index, (_, count))| *index < 2 || *count > 0);
    attributes.extend(told.map(|(_, (name, count))| KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX))));
}

fn span(
    name: String,
    span_kind: SpanKind,
    place: TraceContext,
    (start_time, took): (SystemTime, Duration),
    attributes: Vec<KeyValue>,
    status: Status,
) -> SpanData {
    SpanData {
        span_context: SpanContext::new(place.trace_id.into(), place.span.into(), TraceFlags::new(place.flags), false, TraceState::NONE),
        parent_span_id: SpanId::from(place.parent),
        parent_span_is_remote: span_kind == SpanKind::Server && place.parent != 0,
        span_kind,
        name: name.into(),
        start_time,
        end_time: start_time.checked_add(took).unwrap_or(start_time),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::event::{EventKind, Named, TraceRecord, UsageSource};
    use policy::facts::Tags;
    use policy::money::NanoUsd;

    use super::*;

    fn finished(header: &str) -> Finished {
        let word = |text: &str| -> Arc<str> { Arc::from(text) };
        let attempt = |outcome: &str, status, latency_us| AttemptRecord {
            provider: word("sim"),
            model: word("gpt-test"),
            status,
            outcome: outcome.to_owned().into(),
            latency_us,
            cost: NanoUsd::ZERO,
            priced: None,
            unpriced: None,
        };
        let event = UsageEvent {
            id: word("evt_1"),
            kind: EventKind::Settled,
            org_id: word("org_1"),
            request_id: word("req_1"),
            worker_id: word("wrk_1"),
            bundle_revision: 1,
            time: chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            project: Named { id: word("prj_1"), name: word("app") },
            key: Named { id: word("key_1"), name: word("main") },
            surface: Surface::OpenaiChat,
            requested_model: word("@fast"),
            model: Some(word("gpt-test")),
            provider: Some(word("sim")),
            status: 200,
            error_code: None,
            stream: false,
            end_user: Some(word("somebody")),
            tags: Tags::default(),
            cost: NanoUsd::from_nanos(1_500_000_000),
            reserved: NanoUsd::ZERO,
            usage_source: UsageSource::Provider,
            tokens: TokenBuckets { input: 3, cached_input: 2, output: 7, ..TokenBuckets::default() },
            rates: None,
            price_version: word(""),
            latency_us: 5_000,
            first_byte_us: None,
            trace_id: None,
            conversation_id: None,
            ab_variant: None,
            attempts: vec![attempt("status", 503, 1_000), attempt("ok", 200, 3_000)],
            charges: Vec::new(),
            trace: TraceRecord::default(),
            facts: None,
            cache: None,
            unpriced: false,
        };
        let traced = |span, after| TracedAttempt {
            span,
            after: Duration::from_millis(after),
            vendor: "openai_compatible".to_owned(),
            base_url: Some("http://user:secret@models.example:9000/v1?key=secret".to_owned()),
            max_tokens: Some(99),
            answered_by: Some("gpt-test-2026-01-01".to_owned()),
            tokens: TokenBuckets { input: 3, cached_input: 2, output: 7, ..TokenBuckets::default() },
        };
        let position = TraceContext::read(header.as_bytes()).unwrap();
        Finished { event, position, traced: Box::new(Traced { attempts: vec![traced(0xaa, 1), traced(0xbb, 2)] }) }
    }

    fn value<'s>(span: &'s SpanData, name: &str) -> Option<std::borrow::Cow<'s, str>> {
        span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| attribute.value.as_str())
    }

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn each_attempt_is_a_span_below_the_servers_with_the_id_that_was_sent() {
        let finished = finished(HEADER);
        let spans = finished.to_spans(&InstrumentationScope::default());
        let [server, first, second] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(server.parent_span_id, SpanId::from(0x00f0_67aa_0ba9_02b7));
        assert_eq!((server.span_kind.clone(), first.span_kind.clone()), (SpanKind::Server, SpanKind::Client));
        for (client, id) in [(first, 0xaa), (second, 0xbb)] {
            assert_eq!(client.span_context.span_id(), SpanId::from(id));
            assert_eq!(client.parent_span_id, server.span_context.span_id());
            assert_eq!(client.span_context.trace_id(), server.span_context.trace_id());
        }
        assert_eq!(second.end_time.duration_since(server.start_time).unwrap(), Duration::from_millis(5));
    }

    #[test]
    fn attributes_follow_the_conventions() {
        let finished = finished(HEADER);
        let spans = finished.to_spans(&InstrumentationScope::default());
        let (server, failed, ok) = (&spans[0], &spans[1], &spans[2]);
        assert_eq!(ok.name, "chat gpt-test");
        for (name, expected) in [
            ("gen_ai.provider.name", "openai_compatible"),
            ("gen_ai.usage.input_tokens", "5"),
            ("gen_ai.usage.output_tokens", "7"),
            ("gen_ai.request.max_tokens", "99"),
            ("gen_ai.response.model", "gpt-test-2026-01-01"),
            ("server.address", "models.example"),
            ("server.port", "9000"),
        ] {
            assert_eq!(value(ok, name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!((value(failed, "error.type").as_deref(), value(ok, "error.type")), (Some("503"), None));
        assert_eq!(value(server, "modelux.decision").as_deref(), Some("permit"));
        assert_eq!(value(server, "gen_ai.request.model").as_deref(), Some("@fast"));
        assert!(!format!("{spans:?}").contains("secret"));
    }

    #[test]
    fn what_is_passed_through_is_named_for_what_it_is() {
        let mut finished = finished(HEADER);
        let facts = r#"{"input_tokens":0,"input_tokens_bound":0,"choices":1,"has_tools":false,"has_images":false,"peer":"::1","kept_input":false,
            "passthrough":{"operation":"DELETE /openai/v1/files/{id}","interface":"openai","spends":"nothing"}}"#;
        finished.event.facts = serde_json::from_str(facts).ok();
        finished.event.model = None;
        finished.event.attempts.iter_mut().for_each(|attempt| attempt.model = Arc::default());
        let spans = finished.to_spans(&InstrumentationScope::default());
        assert_eq!((&*spans[0].name, &*spans[1].name), ("DELETE /openai/v1/files/{id}", "DELETE /openai/v1/files/{id}"));
        assert_eq!((value(&spans[0], "http.request.method").as_deref(), value(&spans[1], "gen_ai.request.model")), (Some("DELETE"), None));
    }

    #[test]
    fn a_trace_that_the_caller_does_not_keep_has_no_spans() {
        assert!(finished(&HEADER.replace("-01", "-00")).to_spans(&InstrumentationScope::default()).is_empty());
    }
}
